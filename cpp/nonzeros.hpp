// Which elements of a matrix are not zero: of images, counts and one-hot columns most are, and products leave them out.
// What is left out would add 0: of finite weights, no bit of a sum depends on it, but the sign of a sum that is 0.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

#include "blocks.hpp"
#include "panels.hpp"

namespace vaefast {

class Nonzeros {
 public:
  Nonzeros(int rows, int cols) : panels_(panel_count(cols)), bits_(static_cast<std::size_t>(rows) * panels_) {}

  // The padding of m must be zero.
  void mark(const Panels& m, int first, int last) {
    static_assert(NR <= 32);
    for (int panel = 0; panel < panels_; ++panel)
      for (int row = first; row < last; ++row) {
        const float* values = m.at(panel, row);
        bits_[at(row, panel)] = simd::nonzero_bits(values) | simd::nonzero_bits(values + W) << W;
      }
  }
  // Bit i: whether column i of the panel is not zero in this row.
  std::uint32_t bits(int row, int panel) const { return bits_[at(row, panel)]; }
  // The same of rows [row, row + rows) together, for `panels` panels. Returns how many bits are set.
  int find(int row, int rows, int panel, int panels, std::uint32_t* used) const {
    std::copy_n(bits_.data() + at(row, panel), panels, used);
    for (int i = 1; i < rows; ++i)
      for (int p = 0; p < panels; ++p) used[p] |= bits_[at(row + i, panel + p)];
    return std::accumulate(used, used + panels, 0,
                           [](int sum, std::uint32_t bits) { return sum + std::popcount(bits); });
  }

 private:
  std::size_t at(int row, int panel) const { return static_cast<std::size_t>(row) * panels_ + panel; }

  int panels_;
  std::vector<std::uint32_t> bits_;  // (rows, panels)
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
  static constexpr int BLOCKS = (NR + MR - 1) / MR;  // of a tile

  int batch_;
  std::vector<std::uint32_t> rows_;
  std::size_t counts_[BLOCKS] = {};
};

}  // namespace vaefast
