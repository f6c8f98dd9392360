#include "roofline.hpp"

#include <chrono>
#include <vector>

#include "buffer.hpp"
#include "product.hpp"
#include "simd.hpp"
#include "threads.hpp"

namespace vaefast {
namespace {

constexpr int SUMS = 2 * MR;  // as many as in the micro-kernel, enough to hide the latency of an FMA

// Returns the seconds that `times` parallel runs of body(0), ..., body(threads - 1) take. An untimed run comes first,
// which starts the threads and warms them up.
template <class Body>
double seconds(int threads, int times, Body&& body) {
  ThreadPool pool(threads);
  pool.run(threads, body);
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < times; ++i) pool.run(threads, body);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Repeats sum = sum / 2 + 1 / 2 for every sum, `terms` times. Returns the total, so that the compiler keeps the loop.
double multiply_and_add(std::int64_t terms) {
  const Packet half = simd::set(0.5f);
  Packet sums[SUMS];
#pragma GCC unroll 32
  for (int i = 0; i < SUMS; ++i) sums[i] = simd::set(static_cast<float>(i));
  for (std::int64_t k = 0; k < terms; ++k)
#pragma GCC unroll 32
    for (int i = 0; i < SUMS; ++i) sums[i] = simd::fma(sums[i], half, half);
  double total = 0;
  for (const Packet& sum : sums) total += simd::sum(sum);
  return total;
}

}  // namespace

double fma_rate(int threads, std::int64_t terms) {
  std::vector<double> totals(static_cast<std::size_t>(threads));
  const double time =
      seconds(threads, 1, [&](int thread) { totals[static_cast<std::size_t>(thread)] = multiply_and_add(terms); });
  return 2.0 * W * SUMS * static_cast<double>(terms) * threads / time;
}

double kernel_rate(int threads, std::int64_t calls) {
  constexpr int TERMS = 4 * NR;  // as in a real product, but both operands fit into the first-level cache
  Panels a(MR, TERMS), b(TERMS, NR), c(MR * threads, NR);
  const auto kernel = detail::whole_kernels.forward[MR - 1];
  const double time = seconds(threads, 1, [&](int thread) {
    for (std::int64_t i = 0; i < calls; ++i)
      kernel(a.data(), a.panel_stride(), b.data(), TERMS, detail::zeros, 0, c.at(0, MR * thread));
  });
  return 2.0 * MR * NR * TERMS * static_cast<double>(calls) * threads / time;
}

double stream_rate(int threads, std::int64_t floats, int passes) {
  const std::int64_t packets = (floats + W - 1) / W;
  Buffer buffer(static_cast<std::size_t>(packets * W));
  float* data = buffer.data();
  const Packet factor = simd::set(1.5f);
  const double time = seconds(threads, passes, [&](int thread) {
    float* end = data + packets * (thread + 1) / threads * W;
    for (float* x = data + packets * thread / threads * W; x < end; x += W)
      simd::store(x, simd::mul(simd::load(x), factor));
  });
  return 2.0 * sizeof(float) * static_cast<double>(packets * W) * passes / time;
}

double load_rate(int threads, std::int64_t floats, int passes) {
  constexpr int AT_ONCE = 8;  // independent sums
  const std::int64_t runs = (floats + AT_ONCE * W - 1) / (AT_ONCE * W);
  Buffer buffer(static_cast<std::size_t>(runs * AT_ONCE * W));
  const float* data = buffer.data();
  std::vector<double> totals(static_cast<std::size_t>(threads));
  const double time = seconds(threads, passes, [&](int thread) {
    Packet sums[AT_ONCE];
    for (Packet& sum : sums) sum = simd::zero();
    const float* end = data + runs * (thread + 1) / threads * AT_ONCE * W;
    for (const float* x = data + runs * thread / threads * AT_ONCE * W; x < end; x += AT_ONCE * W)
#pragma GCC unroll 8
      for (int i = 0; i < AT_ONCE; ++i) sums[i] = simd::add(sums[i], simd::load(x + i * W));
    for (const Packet& sum : sums) totals[static_cast<std::size_t>(thread)] += simd::sum(sum);
  });
  return sizeof(float) * static_cast<double>(runs * AT_ONCE * W) * passes / time;
}

}  // namespace vaefast
