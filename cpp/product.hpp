// The two matrix products, both of which consist of calls of one micro-kernel.
//
//     multiply          C = init + A * B      the forward pass, and the deltas of the backward pass
//     multiply_weights  C = A^T * D           one tile of a weight gradient
//
// The micro-kernel keeps a block of MR x NR sums in registers and then writes it contiguously to C. While the block is
// in the first-level cache, an epilogue (activation, likelihood, derivative, optimizer) processes it. Every sum adds
// its terms in order, whichever block its row is in, so the result does not depend on how threads share the rows.
#pragma once

#include <array>
#include <optional>
#include <span>

#include "blocks.hpp"
#include "nonzeros.hpp"
#include "panels.hpp"
#include "threads.hpp"

namespace vaefast {

// A block of C, as passed to an epilogue.
struct Block {
  float* data;         // rows * NR contiguous sums
  std::size_t offset;  // offset of `data` in C, and of the block in any matrix of C's shape
  int panel, row, rows;
  int size() const { return rows * NR; }
};

namespace detail {

// c (rows, NR) = init + a * b. a: rows of a Panels whose panels are `a_stride` floats apart. b: a panel of `depth`
// rows. init: NR floats that all rows share (init_stride 0), or c itself (init_stride NR).
using ForwardKernel = void (*)(const float* a, std::size_t a_stride, const float* b, int depth, const float* init,
                               int init_stride, float* c);
// The same over the used terms only.
using SparseForwardKernel = void (*)(const float* a, const float* b, std::span<const UsedTerms::Term> used,
                                     const float* init, int init_stride, float* c);
// Computes one row of several panels: c[p] = init[p] + a * b[p] for p = 0, 1, ..., where the panels of b and c are
// b_stride and c_stride floats apart, and those of init NR floats.
using RowKernel = void (*)(const float* a, std::size_t a_stride, const float* b, std::size_t b_stride, int depth,
                           const float* init, float* c, std::size_t c_stride);
// c (rows, NR) = a^T * d over the first `batch` rows. a: columns of one panel. d: one panel.
using WeightsKernel = void (*)(const float* a, const float* d, int batch, float* c);
// The same over the used rows only, which are given by their offsets in a panel.
using SparseWeightsKernel = void (*)(const float* a, const float* d, std::span<const std::uint32_t> used, float* c);

// Kernels for blocks of 1, 2, ..., MR rows. half_kernels are for panels that need only one packet: they compute the
// first packet of each row and set the second one to zero.
struct Kernels {
  std::array<ForwardKernel, MR> forward;
  std::array<SparseForwardKernel, MR> sparse_forward;
  std::array<WeightsKernel, MR> weights;
  std::array<SparseWeightsKernel, MR> sparse_weights;
};
extern const Kernels whole_kernels, half_kernels;

// A row of a single panel has too few sums to hide the latency of an FMA. A RowKernel therefore computes 1, 2, ..., or
// ROW_PANELS panels at a time.
inline constexpr int ROW_PANELS = 4;
extern const std::array<RowKernel, ROW_PANELS> row_kernels;

// cols: number of columns of C
inline const Kernels& kernels_for(int cols, int panel) { return cols - panel * NR <= W ? half_kernels : whole_kernels; }

alignas(64) inline constexpr float zeros[ROW_PANELS * NR] = {};

}  // namespace detail

// Returns whether threads split a product by columns rather than by rows. By columns, each thread reads its part of B
// (depth, cols) and all of A. By rows, it reads its part of A and all of B. A split by columns needs a barrier before
// and after the product, and two barriers take longer than reading a small B twice.
inline bool by_columns(int rows, int depth, int cols) {
  constexpr int SMALL = 1 << 13;  // elements of B
  return cols >= rows && static_cast<std::int64_t>(depth) * cols >= SMALL;
}

// Computes a thread's share of C = bias + A * B and calls epilogue(Block) for each finished block.
//
//     A: (batch, depth)   B: (depth, cols)   C: (batch, cols)   bias: one row, or null
//
// When it returns, the thread's own rows of C are complete, whichever threads computed them. `nonzeros` marks the
// nonzero elements of A, or is null. `cols` limits the product to the first columns of B and C; 0 means all. Columns of
// C beyond them may change.
template <class Epilogue>
inline void multiply(const Panels& a, const Panels& b, const float* bias, Panels& c, const Share& share,
                     Epilogue&& epilogue, const Nonzeros* nonzeros = nullptr, int cols = 0) {
  const int depth = b.rows();
  if (cols == 0) cols = c.cols();
  // By rows, the share is some rows of all panels. By columns, it extends from some row of one panel to some row of
  // another.
  const bool columns = share.threads > 1 && by_columns(share.rows, depth, c.cols());
  const int top = columns ? share.top : share.first, height = columns ? share.rows : share.last - share.first;
  if (height == 0) return;
  const std::int64_t all = static_cast<std::int64_t>(panel_count(cols)) * height;
  const std::int64_t begin = columns ? part_begin(all, share.thread, share.threads) : 0;
  const std::int64_t end = columns ? part_begin(all, share.thread + 1, share.threads) : all;
  const int first_panel = static_cast<int>(begin / height), last_panel = static_cast<int>((end - 1) / height);
  if (columns) share.barrier->wait();  // until all rows of A are complete

  if (height == 1 && !(nonzeros && is_sparse(nonzeros->count(top, top + 1), depth))) {
    for (int panel = first_panel; panel <= last_panel; panel += detail::ROW_PANELS) {
      const int some = std::min(detail::ROW_PANELS, last_panel - panel + 1);
      detail::row_kernels[static_cast<std::size_t>(some - 1)](
          a.at(0, top), a.panel_stride(), b.at(panel, 0), b.panel_stride(), depth,
          bias ? bias + panel * NR : detail::zeros, c.at(panel, top), c.panel_stride());
      for (int i = panel; i < panel + some; ++i) epilogue(Block{c.at(i, top), c.offset(i, top), i, top, 1});
    }
    if (columns) share.barrier->wait();
    return;
  }

  std::optional<UsedTerms> used;
  if (nonzeros && is_sparse(nonzeros->count(top, top + height), static_cast<std::int64_t>(height) * depth))
    used.emplace(*nonzeros, depth, a.panel_stride());
  // If terms are skipped, a few rows go through all panels before the next few rows do, so that the terms of each row
  // are found only once.
  const int rounds = used ? (height + UsedTerms::MOST_ROWS - 1) / UsedTerms::MOST_ROWS : 1;
  const int few = (height + rounds - 1) / rounds;

  const auto strip = [&](int panel, int first, int last, int k) {
    const float* row_init = bias ? bias + panel * NR : detail::zeros;
    const int terms = std::min(DEPTH, depth - k);
    const detail::Kernels& kernels = detail::kernels_for(cols, panel);
    // The next panel's strip of B is too far away for the hardware prefetcher, so each block prefetches a part of it. A
    // single block would have to prefetch too much, and rows after the first few find the strip in the cache.
    const int blocks = block_count(last - first), part = (terms * NR / blocks + 15) / 16 * 16;
    const float* next = nullptr;
    if (blocks > 1 && first < top + few) {
      if (panel < last_panel) next = b.at(panel + 1, k);
      if (panel == last_panel && k + terms < depth) next = b.at(first_panel, k + terms);
    }
    if (used) used->find(first, last, k);
    int block = 0;
    for_blocks(first, last, [&](int row, int rows) {
      if (next) simd::prefetch(next + block * part, part);
      const auto kernel = static_cast<std::size_t>(rows - 1);
      float* out = c.at(panel, row);
      const float *in = a.at(k / NR, row), *init = k ? out : row_init;
      const int init_stride = k ? NR : 0;
      const auto some = used ? used->terms(block) : std::span<const UsedTerms::Term>();
      if (used && is_sparse(static_cast<std::int64_t>(some.size()), terms))
        kernels.sparse_forward[kernel](in, b.at(panel, k), some, init, init_stride, out);
      else
        kernels.forward[kernel](in, a.panel_stride(), b.at(panel, k), terms, init, init_stride, out);
      if (k + terms == depth) epilogue(Block{out, c.offset(panel, row), panel, row, rows});
      ++block;
    });
  };
  for (int k = 0; k < depth; k += DEPTH)
    for (int row = 0; row < height; row += few)
      for (int panel = first_panel; panel <= last_panel; ++panel) {
        const std::int64_t before = static_cast<std::int64_t>(panel) * height;
        const int first = static_cast<int>(std::max<std::int64_t>(row, begin - before));
        const int last = static_cast<int>(std::min<std::int64_t>(std::min(row + few, height), end - before));
        if (first < last) strip(panel, top + first, top + last, k);
      }
  if (columns) share.barrier->wait();
}

// Computes one tile of A^T * D over the first `batch` rows: `tile` (rows, NR). The tile's rows are columns of panel
// `a_panel` of A, and its columns are those of panel `d_panel` of D. used: the rows in which A is nonzero, or null.
inline void multiply_weights(const Panels& a, const Panels& d, int batch, int a_panel, int d_panel, int rows,
                             float* tile, const UsedRows* used = nullptr) {
  const detail::Kernels& kernels = detail::kernels_for(d.cols(), d_panel);
  int block = 0;
  for_blocks(0, rows, [&](int row, int n) {
    const auto kernel = static_cast<std::size_t>(n - 1);
    const float *columns = a.at(a_panel, 0) + row, *delta = d.at(d_panel, 0);
    const std::span<const std::uint32_t> some = used ? used->rows(block++) : std::span<const std::uint32_t>();
    if (used && is_sparse(static_cast<int>(some.size()), batch))
      kernels.sparse_weights[kernel](columns, delta, some, tile + row * NR);
    else
      kernels.weights[kernel](columns, delta, batch, tile + row * NR);
  });
}

}  // namespace vaefast
