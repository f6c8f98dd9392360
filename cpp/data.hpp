// Copies the caller's rows into panels, one batch at a time.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <utility>

#include "panels.hpp"
#include "special.hpp"
#include "types.hpp"

namespace vaefast {

// Copies row `index` of the caller's sparse data to row `row` of `out`.
inline void copy_sparse_row(const Rows& rows, std::int64_t index, Panels& out, int row) {
  for (int panel = 0; panel < panel_count(rows.cols); ++panel) std::fill_n(out.at(panel, row), NR, 0.f);
  for (std::int64_t i = rows.starts[index]; i < rows.starts[index + 1]; ++i) {
    const std::int32_t col = rows.columns[i];
    if (col < 0 || col >= rows.cols) continue;  // the caller changed the columns after they were checked
    out.at(col / NR, row)[col % NR] = rows.floats ? rows.floats[i] : static_cast<float>(rows.bytes[i]) / rows.divisor;
  }
}

// Copies row `index` of the caller's data, without its conditions, to row `row` of `out`.
inline void copy_row(const Rows& rows, std::int64_t index, Panels& out, int row) {
  if (rows.starts) return copy_sparse_row(rows, index, out, row);
  const std::size_t start = static_cast<std::size_t>(index) * static_cast<std::size_t>(rows.cols);
  if (rows.floats) return out.write_row(row, 0, rows.cols, rows.floats + start);
  const auto convert = [&](const auto* in, auto&& write) {
    for (int panel = 0; panel < panel_count(rows.cols); ++panel, in += NR) {
      float* to = out.at(panel, row);
      if (const int n = rows.cols - panel * NR; n < NR)
        write(in, n, to);
      else
        write(in, NR, to);  // gives the compiler a constant size
    }
  };
  if (rows.doubles)
    return convert(rows.doubles + start, [](const double* in, int n, float* to) {
      for (int i = 0; i < n; ++i) to[i] = static_cast<float>(in[i]);
    });
  convert(rows.bytes + start, [divisor = rows.divisor](const std::uint8_t* in, int n, float* to) {
    std::uint8_t bytes[NR] = {};  // a copy that cannot overlap with `to`, so that packets of it can be converted
    std::copy_n(in, n, bytes);
#pragma GCC unroll 1  // GCC does not vectorize the unrolled loop
    for (int i = 0; i < NR; ++i) to[i] = static_cast<float>(bytes[i]) / divisor;
  });
}

// Copies the conditions of row `index` to columns [first, first + count) of row `row` of `out`.
inline void copy_conditions(const Rows& rows, std::int64_t index, int count, Panels& out, int row, int first) {
  if (count) out.write_row(row, first, count, rows.conditions + static_cast<std::size_t>(index) * count);
}

// Moves the missing values of row `row` of x to the mask. Where x is NaN, x and the mask become 0; elsewhere the mask
// becomes 1.
inline void split_missing(Panels& x, Panels& mask, int row) {
  for (int panel = 0; panel < mask.count(); ++panel) {
    float *values = x.at(panel, row), *known = mask.at(panel, row);
    for (int i = 0; i < std::min(NR, mask.cols() - panel * NR); ++i) {
      known[i] = std::isnan(values[i]) ? 0.f : 1.f;
      if (known[i] == 0) values[i] = 0;
    }
  }
}

// Marks columns [first, first + count) of a row, which encode one variable, as missing if any of them is missing.
inline void join_missing(Panels& x, Panels& mask, int row, int first, int count) {
  const auto element = [row](Panels& m, int col) -> float& { return m.at(col / NR, row)[col % NR]; };
  bool known = true;
  for (int col = first; col < first + count; ++col) known = known && element(mask, col) > 0;
  for (int col = first; !known && col < first + count; ++col) element(x, col) = element(mask, col) = 0;
}

// Replaces the counts in columns [first, first + count) of a row by log(1 + x), which the encoder reads.
inline void log_counts(Panels& x, int row, int first, int count) {
  alignas(64) float values[NR] = {};
  for (int done = 0; done < count; done += NR) {
    const int n = std::min(NR, count - done);
    x.read_row(row, first + done, n, values);
    if (!simd::nonzero_bits(values) && !simd::nonzero_bits(values + W)) continue;  // log(1 + 0) is 0
    for (int i = 0; i < NR; i += W) simd::store(values + i, special::log1p(simd::load(values + i)));
    x.write_row(row, first + done, n, values);
  }
}

// Divides the first `features` columns of a row by the root of the sum of their squares, unless all are 0.
inline void normalize(Panels& x, int row, int features) {
  double squares = 0;
  for (int panel = 0; panel < panel_count(features); ++panel) {
    const float* values = x.at(panel, row);
    for (int i = 0; i < std::min(NR, features - panel * NR); ++i)
      squares += static_cast<double>(values[i]) * static_cast<double>(values[i]);
  }
  const auto scale = static_cast<float>(squares > 0 ? 1 / std::sqrt(squares) : 1);
  for (int panel = 0; panel < panel_count(features); ++panel) {
    float* values = x.at(panel, row);
    for (int i = 0; i < std::min(NR, features - panel * NR); ++i) values[i] *= scale;
  }
}

// Returns the smallest and the largest of n numbers. Both are NaN if any of the numbers is NaN or infinite.
std::pair<float, float> value_range(const float* x, std::int64_t n);
// Returns whether all values of rows [first, last) lie within the limits. Bytes always do.
bool within(const Rows& rows, std::int64_t first, std::int64_t last, const Limits& limits);

// Prefetches row `index`, which is copied next. The rows of a shuffled batch are scattered in memory, so the
// hardware cannot predict them.
inline void prefetch_row(const Rows& rows, std::int64_t index) {
  if (rows.starts) return;  // short, and written to scattered places
  const std::size_t start = static_cast<std::size_t>(index) * static_cast<std::size_t>(rows.cols);
  if (rows.floats) return simd::prefetch(rows.floats + start, rows.cols);
  if (rows.doubles) return;
#ifdef __GNUC__
  for (int i = 0; i < rows.cols; i += 64) __builtin_prefetch(rows.bytes + start + i);
#endif
}

// Returns a hash of one row's content, which does not depend on the row's position or on its neighbours. It combines
// eight interleaved multiplicative hashes.
inline std::uint64_t hash_row(const Panels& x, int row) {
  static_assert(NR % 8 == 0);
  std::uint32_t lanes[8] = {1, 2, 3, 4, 5, 6, 7, 8};
  for (int panel = 0; panel < x.count(); ++panel) {
    const float* in = x.at(panel, row);
    const int n = std::min(NR, (x.cols() - panel * NR + 7) / 8 * 8);  // includes the same padding for every NR
    for (int i = 0; i < n; i += 8)
      for (int j = 0; j < 8; ++j) {
        const float value = in[i + j] + 0.f;  // turns -0 into 0
        std::uint32_t bits;
        std::memcpy(&bits, &value, sizeof bits);
        lanes[j] = (lanes[j] ^ bits) * 0x9E3779B1u;
        lanes[j] ^= lanes[j] >> 15;
      }
  }
  std::uint64_t hash = 0xCBF29CE484222325ull;
  for (std::uint32_t lane : lanes) hash = (hash ^ lane) * 0x100000001B3ull;
  return hash ^ (hash >> 32);
}

}  // namespace vaefast
