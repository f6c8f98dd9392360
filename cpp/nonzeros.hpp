// The nonzero elements of a matrix. Products skip the zeros, because images, counts and one-hot columns mostly consist
// of zeros. A skipped term would add 0. If the weights are finite, skipping it changes no bit of a sum except the sign
// of a sum that is 0.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <span>
#include <vector>

#include "blocks.hpp"
#include "panels.hpp"

namespace vaefast {

inline constexpr int WORD = 64;  // columns per word of the bit mask
static_assert(DEPTH % WORD == 0);
inline constexpr int word_count(int cols) { return (cols + WORD - 1) / WORD; }

class Nonzeros {
 public:
  Nonzeros(int rows, int cols)
      : rows_(rows), panels_(panel_count(cols)), bits_(static_cast<std::size_t>(word_count(cols)) * rows) {}

  // Marks rows [first, last) of m, whose padding must be zero.
  void mark(const Panels& m, int first, int last) {
    static_assert(NR <= 32 && WORD % NR == 0);
    for (int word = 0; word * PANELS < panels_; ++word)
      for (int row = first; row < last; ++row) {
        std::uint64_t bits = 0;
        for (int i = 0; i < std::min(PANELS, panels_ - word * PANELS); ++i) {
          const float* values = m.at(word * PANELS + i, row);
          bits |= (simd::nonzero_bits(values) | static_cast<std::uint64_t>(simd::nonzero_bits(values + W)) << W)
                  << i * NR;
        }
        bits_[at(row, word)] = bits;
      }
  }
  // Returns a bit mask in which bit i tells whether column i of the panel is nonzero in this row.
  std::uint32_t bits(int row, int panel) const {
    const std::uint64_t word = bits_[at(row, panel / PANELS)];
    return static_cast<std::uint32_t>((word >> (panel % PANELS * NR)) & ((1ull << NR) - 1));
  }
  // Returns a bit mask of the word's columns that are nonzero in any of rows [row, row + rows).
  std::uint64_t any(int row, int rows, int word) const {
    std::uint64_t bits = 0;
    for (int i = 0; i < rows; ++i) bits |= bits_[at(row + i, word)];
    return bits;
  }
  // Returns the number of nonzero elements in rows [first, last).
  std::int64_t count(int first, int last) const {
    std::int64_t sum = 0;
    for (int word = 0; word * PANELS < panels_; ++word)
      for (int row = first; row < last; ++row) sum += std::popcount(bits_[at(row, word)]);
    return sum;
  }

 private:
  static constexpr int PANELS = WORD / NR;  // panels per word

  std::size_t at(int row, int word) const { return static_cast<std::size_t>(word) * rows_ + row; }

  int rows_, panels_;
  std::vector<std::uint64_t> bits_;  // (words, rows)
};

// Returns whether so few of the terms are nonzero that skipping the others pays off.
inline bool is_sparse(std::int64_t used, std::int64_t terms) { return used < terms - terms / 8; }

// For each register block of a few rows: the terms of a strip of A * B that are nonzero in some row of the block.
class UsedTerms {
 public:
  static constexpr int MOST_ROWS = 4 * MR;

  // a: offset of the term's column in A, from the block's first row and the strip's first term. b: offset of the term's
  // row in a panel of B, from the strip's first term.
  struct Term {
    std::uint32_t a, b;
  };

  // a_stride: distance between two panels of A, in floats
  UsedTerms(const Nonzeros& nonzeros, int depth, std::size_t a_stride)
      : nonzeros_(nonzeros), depth_(depth), a_stride_(a_stride) {}

  // Finds the terms for the blocks of rows [first, last) and the strip that begins with term k. Does nothing if the
  // last call had the same arguments.
  void find(int first, int last, int k) {
    if (first == first_ && last == last_ && k == k_) return;
    first_ = first, last_ = last, k_ = k;
    int block = 0;
    for_blocks(first, last, [&](int row, int rows) {
      Term* out = terms_[block];
      for (int from = k; from < std::min(k + DEPTH, depth_); from += WORD)
        for (std::uint64_t bits = nonzeros_.any(row, rows, from / WORD); bits; bits &= bits - 1) {
          const auto term = static_cast<std::size_t>(from - k + std::countr_zero(bits));
          *out++ = {static_cast<std::uint32_t>(term / NR * a_stride_ + term % NR),
                    static_cast<std::uint32_t>(term * NR)};
        }
      counts_[block] = static_cast<std::size_t>(out - terms_[block]);
      ++block;
    });
  }
  std::span<const Term> terms(int block) const { return {terms_[block], counts_[block]}; }

 private:
  static constexpr int BLOCKS = block_count(MOST_ROWS);

  const Nonzeros& nonzeros_;
  const int depth_;
  const std::size_t a_stride_;
  int first_ = -1, last_ = -1, k_ = -1;  // arguments of the last find()
  Term terms_[BLOCKS][DEPTH];
  std::size_t counts_[BLOCKS] = {};
};

// For each register block of a tile of A^T * D: the rows in which A is nonzero in some column of the block. The blocks
// are those of multiply_weights().
class alignas(64) UsedRows {
 public:
  explicit UsedRows(int batch) : batch_(batch), rows_(static_cast<std::size_t>(BLOCKS) * batch) {}

  // Finds the rows among the first `count`, for the first `cols` columns of `panel`.
  void find(const Nonzeros& nonzeros, int panel, int cols, int count) {
    int block = 0;
    for_blocks(0, cols, [&](int first, int n) {
      const std::uint32_t columns = ((1u << n) - 1) << first;
      std::uint32_t* out = rows_.data() + static_cast<std::size_t>(block) * batch_;
      std::size_t found = 0;
      for (int row = 0; row < count; ++row) {
        out[found] = static_cast<std::uint32_t>(row * NR);
        found += (nonzeros.bits(row, panel) & columns) != 0;
      }
      counts_[block++] = found;
    });
  }
  // Returns the offsets of these rows in a panel.
  std::span<const std::uint32_t> rows(int block) const {
    return {rows_.data() + static_cast<std::size_t>(block) * batch_, counts_[block]};
  }

 private:
  static constexpr int BLOCKS = block_count(NR);  // blocks of a tile

  int batch_;
  std::vector<std::uint32_t> rows_;
  std::size_t counts_[BLOCKS] = {};
};

}  // namespace vaefast
