#include "product.hpp"

#include <bit>
#include <utility>

namespace vaefast::detail {
namespace {

// sums[i][:] += a[i * ROW] * b[:]. Every third broadcast is left to the FMAs, for as many more loads as the ports for
// loads have to spare.
template <int ROWS, int ROW>
inline void add_term(Packet (&sums)[ROWS][2], const float* a, const float* b) {
  const Packet b0 = simd::load(b), b1 = simd::load(b + W);
#pragma GCC unroll 16
  for (int i = 0; i < ROWS; ++i) {
    const float* ai = a + i * ROW;
    if (i % 3 == 0) {
      sums[i][0] = simd::fma(ai, b0, sums[i][0]);
      sums[i][1] = simd::fma(ai, b1, sums[i][1]);
    } else {
      const Packet broadcast = simd::set(*ai);
      sums[i][0] = simd::fma(broadcast, b0, sums[i][0]);
      sums[i][1] = simd::fma(broadcast, b1, sums[i][1]);
    }
  }
}

// The sum over k = 0 .. depth - 1 of a[i * ROW + k * TERM] * b[k * NR ...]
template <int ROWS, int ROW, int TERM>
inline void accumulate(Packet (&sums)[ROWS][2], const float* a, const float* b, int depth) {
  for (; depth >= 4; depth -= 4, a += 4 * TERM, b += 4 * NR)
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) add_term<ROWS, ROW>(sums, a + k * TERM, b + k * NR);
  for (; depth > 0; --depth, a += TERM, b += NR) add_term<ROWS, ROW>(sums, a, b);
}

// The same over some terms only: those of each `NR` whose bit is set, for the forward product...
template <int ROWS>
inline void accumulate_used(Packet (&sums)[ROWS][2], const float* a, const float* b, std::uint32_t used) {
  for (; used; used &= used - 1) {
    const int k = std::countr_zero(used);
    add_term<ROWS, NR>(sums, a + k, b + k * NR);
  }
}

// ...and those that are listed, for the gradients.
template <int ROWS>
inline void accumulate_used(Packet (&sums)[ROWS][2], const float* a, const float* d, std::span<const int> used) {
  for (const int k : used) add_term<ROWS, 1>(sums, a + k * NR, d + k * NR);
}

template <int ROWS>
inline void load(Packet (&sums)[ROWS][2], const float* init, int init_stride) {
#pragma GCC unroll 16
  for (int i = 0; i < ROWS; ++i) {
    sums[i][0] = simd::load(init + i * init_stride);
    sums[i][1] = simd::load(init + i * init_stride + W);
  }
}

template <int ROWS>
inline void store(const Packet (&sums)[ROWS][2], float* c) {
#pragma GCC unroll 16
  for (int i = 0; i < ROWS; ++i) {
    simd::store(c + i * NR, sums[i][0]);
    simd::store(c + i * NR + W, sums[i][1]);
  }
}

template <int ROWS>
void forward_block(const float* a, std::size_t a_stride, const float* b, int depth, const float* init, int init_stride,
                   float* c) {
  Packet sums[ROWS][2];
  load(sums, init, init_stride);
  for (; depth > 0; depth -= NR, a += a_stride, b += NR * NR) accumulate<ROWS, NR, 1>(sums, a, b, std::min(depth, NR));
  store(sums, c);
}

template <int ROWS>
void sparse_forward_block(const float* a, std::size_t a_stride, const float* b, std::span<const std::uint32_t> used,
                          const float* init, int init_stride, float* c) {
  Packet sums[ROWS][2];
  load(sums, init, init_stride);
  for (const std::uint32_t bits : used) {
    accumulate_used(sums, a, b, bits);
    a += a_stride;
    b += NR * NR;
  }
  store(sums, c);
}

template <int ROWS>
void weights_block(const float* a, const float* d, int rows, float* c) {
  Packet sums[ROWS][2];
  load(sums, zeros, 0);
  accumulate<ROWS, 1, NR>(sums, a, d, rows);
  store(sums, c);
}

template <int ROWS>
void sparse_weights_block(const float* a, const float* d, std::span<const int> used, float* c) {
  Packet sums[ROWS][2];
  load(sums, zeros, 0);
  accumulate_used(sums, a, d, used);
  store(sums, c);
}

template <int... I>
constexpr Kernels all_kernels(std::integer_sequence<int, I...>) {
  return {.forward = {&forward_block<I + 1>...},
          .sparse_forward = {&sparse_forward_block<I + 1>...},
          .weights = {&weights_block<I + 1>...},
          .sparse_weights = {&sparse_weights_block<I + 1>...}};
}

}  // namespace

constinit const Kernels kernels = all_kernels(std::make_integer_sequence<int, MR>{});

}  // namespace vaefast::detail
