// Which elements of a matrix are not zero: of images, counts and one-hot columns most are, and products leave them out.
// What is left out would add 0: of finite weights, no bit of a sum depends on it, but the sign of a sum that is 0.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <span>
#include <vector>

#include "blocks.hpp"
#include "panels.hpp"

namespace vaefast {

inline constexpr int WORD = 64;  // columns that one number stands for, a bit each
static_assert(DEPTH % WORD == 0);
inline constexpr int word_count(int cols) { return (cols + WORD - 1) / WORD; }

class Nonzeros {
 public:
  Nonzeros(int rows, int cols)
      : rows_(rows), panels_(panel_count(cols)), bits_(static_cast<std::size_t>(word_count(cols)) * rows) {}

  // The padding of m must be zero.
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
  // Bit i: whether column i of the panel is not zero in this row.
  std::uint32_t bits(int row, int panel) const {
    const std::uint64_t word = bits_[at(row, panel / PANELS)];
    return static_cast<std::uint32_t>((word >> (panel % PANELS * NR)) & ((1ull << NR) - 1));
  }
  // Which columns of the word are not zero in some of rows [row, row + rows).
  std::uint64_t any(int row, int rows, int word) const {
    std::uint64_t bits = 0;
    for (int i = 0; i < rows; ++i) bits |= bits_[at(row + i, word)];
    return bits;
  }
  // How many elements of rows [first, last) are not zero.
  std::int64_t count(int first, int last) const {
    std::int64_t sum = 0;
    for (int word = 0; word * PANELS < panels_; ++word)
      for (int row = first; row < last; ++row) sum += std::popcount(bits_[at(row, word)]);
    return sum;
  }

 private:
  static constexpr int PANELS = WORD / NR;  // of a word

  std::size_t at(int row, int word) const { return static_cast<std::size_t>(word) * rows_ + row; }

  int rows_, panels_;
  std::vector<std::uint64_t> bits_;  // (words, rows)
};

// Whether so few of so many terms are not zero that it is worth looking for them.
inline bool is_sparse(std::int64_t used, std::int64_t terms) { return used < terms - terms / 8; }

// The terms of a strip of A * B that are not zero in some row of a block, for each of the blocks of a few rows.
class UsedTerms {
 public:
  static constexpr int MOST_ROWS = 4 * MR;

  // Where a term's column of A starts, from the block's first row and the strip's first term on, and its row in a panel
  // of B.
  struct Term {
    std::uint32_t a, b;
  };

  // a_stride: from one panel of A to the next
  UsedTerms(const Nonzeros& nonzeros, int depth, std::size_t a_stride)
      : nonzeros_(nonzeros), depth_(depth), a_stride_(a_stride) {}

  // Of the blocks of rows [first, last) and the strip that begins with term k, unless it is known.
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
  int first_ = -1, last_ = -1, k_ = -1;  // that it was found for
  Term terms_[BLOCKS][DEPTH];
  std::size_t counts_[BLOCKS] = {};
};

// The rows with which a panel of A has anything to add to a tile of A^T * D, for each of the tile's blocks, which are
// those of multiply_weights.
class alignas(64) UsedRows {
 public:
  explicit UsedRows(int batch) : batch_(batch), rows_(static_cast<std::size_t>(BLOCKS) * batch) {}

  // Of the first `count` rows and the first `cols` columns of `panel`.
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
  // Where they start in a panel.
  std::span<const std::uint32_t> rows(int block) const {
    return {rows_.data() + static_cast<std::size_t>(block) * batch_, counts_[block]};
  }

 private:
  static constexpr int BLOCKS = block_count(NR);  // of a tile

  int batch_;
  std::vector<std::uint32_t> rows_;
  std::size_t counts_[BLOCKS] = {};
};

}  // namespace vaefast
