// The one layout of every matrix in the core: weights, their transposes, activations, deltas.
//
// A (rows, cols) matrix is cut into panels of NR columns, each stored whole, row after row:
//
//     [ceil(cols / NR)][rows][NR]
//
// so that whatever the product reads or writes - a strip of a weight matrix, a block of a batch, a tile of a
// gradient - is one contiguous run, whatever the matrix's width. Columns beyond `cols` are padding: zero in
// weights, deltas and data, and never read as the left side of a product.
#pragma once

#include "buffer.hpp"
#include "simd.hpp"

namespace vaefast {

inline constexpr int NR = 2 * W;  // columns of a panel: two packets

inline constexpr int panel_count(int cols) { return (cols + NR - 1) / NR; }

class Panels {
 public:
  Panels() = default;
  Panels(int rows, int cols)
      : rows_(rows), cols_(cols), buffer_(static_cast<std::size_t>(panel_count(cols)) * rows * NR) {}

  int rows() const { return rows_; }
  int cols() const { return cols_; }
  int count() const { return panel_count(cols_); }
  // Whether the second packet of this panel's rows is padding.
  bool is_half(int panel) const { return cols_ - panel * NR <= W; }
  std::size_t size() const { return buffer_.size(); }
  bool empty() const { return buffer_.size() == 0; }

  // Where the NR floats of `row` in `panel` start.
  std::size_t offset(int panel, int row) const { return (static_cast<std::size_t>(panel) * rows_ + row) * NR; }
  float* data() { return buffer_.data(); }
  const float* data() const { return buffer_.data(); }
  float* at(int panel, int row) { return data() + offset(panel, row); }
  const float* at(int panel, int row) const { return data() + offset(panel, row); }
  std::size_t panel_stride() const { return static_cast<std::size_t>(rows_) * NR; }
  void zero() { buffer_.fill(0.f); }

  // Columns [first, first + count) of one row, to and from consecutive floats.
  void read_row(int row, int first, int count, float* out) const {
    for_pieces(row, first, count, [&](std::size_t at, int done, int n) { std::copy_n(data() + at, n, out + done); });
  }
  void write_row(int row, int first, int count, const float* in) {
    for_pieces(row, first, count, [&](std::size_t at, int done, int n) {
      if (n == NR)  // a size that the compiler knows
        std::copy_n(in + done, NR, data() + at);
      else
        std::copy_n(in + done, n, data() + at);
    });
  }

 private:
  template <class Copy>
  void for_pieces(int row, int first, int count, Copy&& copy) const {
    for (int done = 0; done < count;) {
      const int col = first + done;
      const int n = std::min(NR - col % NR, count - done);
      copy(offset(col / NR, row) + col % NR, done, n);
      done += n;
    }
  }

  int rows_ = 0, cols_ = 0;
  Buffer buffer_;
};

}  // namespace vaefast
