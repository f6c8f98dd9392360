#include "product.hpp"

#include <utility>

namespace vaefast::detail {
namespace {

// sums[i][:] += a[i * ROW] * b[:]. In every third row the FMAs broadcast from memory, because the load ports have
// capacity for that many additional loads.
template <int ROWS, int PACKETS, int ROW>
inline void add_term(Packet (&sums)[ROWS][PACKETS], const float* a, const float* b) {
  Packet packets[PACKETS];
#pragma GCC unroll 2
  for (int j = 0; j < PACKETS; ++j) packets[j] = simd::load(b + j * W);
#pragma GCC unroll 16
  for (int i = 0; i < ROWS; ++i) {
    const float* ai = a + i * ROW;
    const Packet broadcast = simd::set(*ai);
#pragma GCC unroll 2
    for (int j = 0; j < PACKETS; ++j)
      i % 3 == 0 ? simd::add_product(sums[i][j], ai, packets[j]) : simd::add_product(sums[i][j], broadcast, packets[j]);
  }
  simd::keep(packets[0]);
}

// Adds a[i * ROW + k * TERM] * b[k * NR ...] for k = 0, ..., depth - 1, four terms per iteration as long as possible.
template <int ROWS, int PACKETS, int ROW, int TERM>
inline void accumulate(Packet (&sums)[ROWS][PACKETS], const float* a, const float* b, int depth) {
// GCC computes all broadcasts of an unrolled iteration at once, for which SSE has too few registers.
#if defined(__SSE2__) && !defined(__AVX__)
#pragma GCC unroll 1
#else
  for (; depth >= 4; depth -= 4, a += 4 * TERM, b += 4 * NR)
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) add_term<ROWS, PACKETS, ROW>(sums, a + k * TERM, b + k * NR);
#endif
  for (; depth > 0; --depth, a += TERM, b += NR) add_term<ROWS, PACKETS, ROW>(sums, a, b);
}

// Adds the used terms only, for the forward product.
template <int ROWS, int PACKETS>
inline void accumulate_used(Packet (&sums)[ROWS][PACKETS], const float* a, const float* b,
                            std::span<const UsedTerms::Term> used) {
  for (const UsedTerms::Term& term : used) add_term<ROWS, PACKETS, NR>(sums, a + term.a, b + term.b);
}

// Adds the used rows only, for the gradients.
template <int ROWS, int PACKETS>
inline void accumulate_used(Packet (&sums)[ROWS][PACKETS], const float* a, const float* d,
                            std::span<const std::uint32_t> used) {
  for (const std::size_t at : used) add_term<ROWS, PACKETS, 1>(sums, a + at, d + at);
}

template <int ROWS, int PACKETS>
inline void load(Packet (&sums)[ROWS][PACKETS], const float* init, int init_stride) {
#pragma GCC unroll 16
  for (int i = 0; i < ROWS; ++i) {
#pragma GCC unroll 2
    for (int j = 0; j < PACKETS; ++j) sums[i][j] = simd::load(init + i * init_stride + j * W);
  }
}

template <int ROWS, int PACKETS>
inline void store(const Packet (&sums)[ROWS][PACKETS], float* c) {
#pragma GCC unroll 16
  for (int i = 0; i < ROWS; ++i) {
#pragma GCC unroll 2
    for (int j = 0; j < PACKETS; ++j) simd::store(c + i * NR + j * W, sums[i][j]);
    if constexpr (PACKETS == 1) simd::store(c + i * NR + W, simd::zero());
  }
}

template <int ROWS, int PACKETS>
void forward_block(const float* a, std::size_t a_stride, const float* b, int depth, const float* init, int init_stride,
                   float* c) {
  Packet sums[ROWS][PACKETS];
  load(sums, init, init_stride);
  for (; depth >= NR; depth -= NR, a += a_stride, b += NR * NR) accumulate<ROWS, PACKETS, NR, 1>(sums, a, b, NR);
  accumulate<ROWS, PACKETS, NR, 1>(sums, a, b, depth);
  store(sums, c);
}

template <int ROWS, int PACKETS>
void sparse_forward_block(const float* a, const float* b, std::span<const UsedTerms::Term> used, const float* init,
                          int init_stride, float* c) {
  Packet sums[ROWS][PACKETS];
  load(sums, init, init_stride);
  accumulate_used(sums, a, b, used);
  store(sums, c);
}

template <int ROWS, int PACKETS>
void weights_block(const float* a, const float* d, int rows, float* c) {
  Packet sums[ROWS][PACKETS];
  load(sums, zeros, 0);
  accumulate<ROWS, PACKETS, 1, NR>(sums, a, d, rows);
  store(sums, c);
}

template <int ROWS, int PACKETS>
void sparse_weights_block(const float* a, const float* d, std::span<const std::uint32_t> used, float* c) {
  Packet sums[ROWS][PACKETS];
  load(sums, zeros, 0);
  accumulate_used(sums, a, d, used);
  store(sums, c);
}

template <int PANELS>
void row_block(const float* a, std::size_t a_stride, const float* b, std::size_t b_stride, int depth, const float* init,
               float* c, std::size_t c_stride) {
  Packet sums[PANELS][2];
#pragma GCC unroll 8
  for (int p = 0; p < PANELS; ++p)
#pragma GCC unroll 2
    for (int j = 0; j < 2; ++j) sums[p][j] = simd::load(init + p * NR + j * W);
  for (; depth > 0; depth -= NR, a += a_stride)
    for (int k = 0; k < std::min(depth, NR); ++k, b += NR) {
      const Packet broadcast = simd::set(a[k]);
#pragma GCC unroll 8
      for (int p = 0; p < PANELS; ++p)
#pragma GCC unroll 2
        for (int j = 0; j < 2; ++j)
          simd::add_product(sums[p][j], broadcast, simd::load(b + static_cast<std::size_t>(p) * b_stride + j * W));
    }
#pragma GCC unroll 8
  for (int p = 0; p < PANELS; ++p)
#pragma GCC unroll 2
    for (int j = 0; j < 2; ++j) simd::store(c + static_cast<std::size_t>(p) * c_stride + j * W, sums[p][j]);
}

template <int... I>
constexpr std::array<RowKernel, ROW_PANELS> all_row_kernels(std::integer_sequence<int, I...>) {
  return {&row_block<I + 1>...};
}

template <int PACKETS, int... I>
constexpr Kernels all_kernels(std::integer_sequence<int, I...>) {
  return {.forward = {&forward_block<I + 1, PACKETS>...},
          .sparse_forward = {&sparse_forward_block<I + 1, PACKETS>...},
          .weights = {&weights_block<I + 1, PACKETS>...},
          .sparse_weights = {&sparse_weights_block<I + 1, PACKETS>...}};
}

}  // namespace

constinit const Kernels whole_kernels = all_kernels<2>(std::make_integer_sequence<int, MR>{});
constinit const Kernels half_kernels = all_kernels<1>(std::make_integer_sequence<int, MR>{});
constinit const std::array<RowKernel, ROW_PANELS> row_kernels =
    all_row_kernels(std::make_integer_sequence<int, ROW_PANELS>{});

}  // namespace vaefast::detail
