// The memory layout of every matrix in the core: weights, their transposes, activations and deltas.
//
// A (rows, cols) matrix is cut into panels of NR columns. Each panel is contiguous and stored row by row:
//
//     [ceil(cols / NR)][rows][NR]
//
// Therefore a product reads and writes contiguous runs, whatever the matrix's width: a strip of a weight matrix, a
// block of a batch, a tile of a gradient. Columns beyond `cols` are padding. The padding is zero in weights, deltas and
// data, and never read in the left operand of a product.
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
  std::size_t size() const { return buffer_.size(); }
  bool empty() const { return buffer_.size() == 0; }

  // Returns the offset of the NR floats of `row` in `panel`.
  std::size_t offset(int panel, int row) const { return (static_cast<std::size_t>(panel) * rows_ + row) * NR; }
  float* data() { return buffer_.data(); }
  const float* data() const { return buffer_.data(); }
  float* at(int panel, int row) { return data() + offset(panel, row); }
  const float* at(int panel, int row) const { return data() + offset(panel, row); }
  std::size_t panel_stride() const { return static_cast<std::size_t>(rows_) * NR; }
  void zero() { buffer_.fill(0.f); }

  // These copy columns [first, first + count) of one row to and from consecutive floats.
  void read_row(int row, int first, int count, float* out) const {
    for_runs(row, first, count, [&](std::size_t at, int done, int n) { std::copy_n(data() + at, n, out + done); });
  }
  void write_row(int row, int first, int count, const float* in) {
    for_runs(row, first, count, [&](std::size_t at, int done, int n) {
      float* out = data() + at;
      if (n < NR) return (void)std::copy_n(in + done, n, out);
      for (int i = 0; i < NR; i += W) simd::store(out + i, simd::load_unaligned(in + done + i));
    });
  }

 private:
  template <class Copy>
  void for_runs(int row, int first, int count, Copy&& copy) const {
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
