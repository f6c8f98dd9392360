// The micro-kernel, and the two products that are made of it.
//
//     multiply          C = init + A * B      forward, and the deltas on their way back
//     multiply_weights  C = A^T * D           one tile of a weight gradient
//
// The kernel keeps a block of MR x NR sums in registers, and the block then lies contiguous in C, in the first-level
// cache, where an epilogue (activation, likelihood, derivative, optimiser) finishes it. Every sum runs over its terms
// in order, whatever block the row fell into, so that no result depends on how rows are shared among threads.
#pragma once

#include <array>

#include "panels.hpp"
#include "threads.hpp"

namespace vaefast {

// Rows of a register block: MR * 2 sums, two packets of B and one broadcast must fit the registers (32 or 16).
#ifdef __AVX512F__
inline constexpr int MR = 12;
#else
inline constexpr int MR = 6;
#endif

// Terms summed before the block goes back to memory: a strip of B of this depth stays in the second-level cache.
inline constexpr int DEPTH = 16 * NR;

// A block of C, as an epilogue sees it.
struct Block {
  float* data;         // rows * NR sums, contiguous
  std::size_t offset;  // where they start in C, and in any matrix of C's shape
  int panel, row, rows;
  int size() const { return rows * NR; }
};

namespace detail {

// c (rows, NR) = init + a * b. a: rows of a Panels, its panels `a_stride` apart; b: a panel of `depth` rows.
// init: NR floats for every row (init_stride 0), or c itself (init_stride NR).
using ForwardKernel = void (*)(const float* a, std::size_t a_stride, const float* b, int depth, const float* init,
                               int init_stride, float* c);
// c (rows, NR) = a^T * d over `batch` rows. a: columns of one panel; d: a panel.
using WeightsKernel = void (*)(const float* a, const float* d, int batch, float* c);

// For blocks of 1, 2, ..., MR rows.
extern const std::array<ForwardKernel, MR> forward_kernels;
extern const std::array<WeightsKernel, MR> weights_kernels;

alignas(64) inline constexpr float zeros[NR] = {};

}  // namespace detail

// Cuts [first, last) into as few blocks of at most MR as can be, all of nearly the same size.
template <class F>
inline void for_blocks(int first, int last, F&& f) {
  const int n = last - first;
  for (int left = (n + MR - 1) / MR, at = first; left > 0; --left) {
    const int rows = (last - at + left - 1) / left;
    f(at, rows);
    at += rows;
  }
}

// Whether threads share a product's columns, so that each reads its part of B and all of A, or its rows, so that each
// reads its part of A and all of B.
inline bool by_columns(int rows, int cols) {
  constexpr int COLUMNS_PER_ROW = 2;  // with fewer, to wait for each other costs what is won
  return cols >= COLUMNS_PER_ROW * rows;
}

// A thread's share of C = bias + A * B, then epilogue(Block) on each finished block. bias: one row, or null.
// A: (batch, depth)   B: (depth, cols)   C: (batch, cols)
// When it returns, the thread's own rows of C are done, whoever did them.
template <class Epilogue>
inline void multiply(const Panels& a, const Panels& b, const float* bias, Panels& c, const Share& share,
                     Epilogue&& epilogue) {
  const int depth = b.rows();
  const auto some_rows = [&](int panel, int first, int last) {
    const float* row_init = bias ? bias + panel * NR : detail::zeros;
    for (int k = 0; k < depth; k += DEPTH) {
      const int terms = std::min(DEPTH, depth - k);
      for_blocks(first, last, [&](int row, int rows) {
        float* out = c.at(panel, row);
        detail::forward_kernels[static_cast<std::size_t>(rows - 1)](a.at(k / NR, row), a.panel_stride(), b.at(panel, k),
                                                                    terms, k ? out : row_init, k ? NR : 0, out);
        if (k + terms == depth) epilogue(Block{out, c.offset(panel, row), panel, row, rows});
      });
    }
  };
  if (share.threads == 1 || !by_columns(share.rows, c.cols())) {
    for (int panel = 0; panel < c.count(); ++panel) some_rows(panel, share.first, share.last);
    return;
  }
  share.barrier->wait();  // for all rows of A
  const std::int64_t all = static_cast<std::int64_t>(c.count()) * share.rows;
  const std::int64_t end = part_begin(all, share.thread + 1, share.threads);
  for (std::int64_t at = part_begin(all, share.thread, share.threads); at < end;) {
    const int panel = static_cast<int>(at / share.rows), first = static_cast<int>(at % share.rows);
    const int last = static_cast<int>(std::min<std::int64_t>(share.rows, first + end - at));
    some_rows(panel, first, last);
    at += last - first;
  }
  share.barrier->wait();
}

// One tile of A^T * D over the first `batch` rows: `tile` (rows, NR), where its rows are the columns of A's panel
// `a_panel` and its columns those of D's panel `d_panel`.
inline void multiply_weights(const Panels& a, const Panels& d, int batch, int a_panel, int d_panel, int rows,
                             float* tile) {
  for_blocks(0, rows, [&](int row, int n) {
    detail::weights_kernels[static_cast<std::size_t>(n - 1)](a.at(a_panel, 0) + row, d.at(d_panel, 0), batch,
                                                             tile + row * NR);
  });
}

}  // namespace vaefast
