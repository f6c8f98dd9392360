// From the caller's rows to panels, a batch at a time.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <utility>

#include "panels.hpp"
#include "special.hpp"
#include "types.hpp"

namespace vaefast {

// Row `index` of the caller's rows, without its conditions, becomes row `row` of `out`.
inline void copy_row(const Rows& rows, std::int64_t index, Panels& out, int row) {
  const std::size_t start = static_cast<std::size_t>(index) * static_cast<std::size_t>(rows.cols);
  if (rows.floats) return out.write_row(row, 0, rows.cols, rows.floats + start);
  for (int panel = 0; panel < panel_count(rows.cols); ++panel) {
    const int n = std::min(NR, rows.cols - panel * NR);
    const std::uint8_t* in = rows.bytes + start + panel * NR;
    float* to = out.at(panel, row);
    for (int i = 0; i < n; ++i) to[i] = static_cast<float>(in[i]) / rows.divisor;
  }
}

// The conditions of row `index` become columns [first, first + count) of row `row` of `out`.
inline void copy_conditions(const Rows& rows, std::int64_t index, int count, Panels& out, int row, int first) {
  if (count) out.write_row(row, first, count, rows.conditions + static_cast<std::size_t>(index) * count);
}

// Splits row `row` of x at its missing values: that of the mask becomes 0 where x is NaN and 1 elsewhere, and such an x
// becomes 0.
inline void split_missing(Panels& x, Panels& mask, int row) {
  for (int panel = 0; panel < mask.count(); ++panel) {
    float *values = x.at(panel, row), *known = mask.at(panel, row);
    for (int i = 0; i < std::min(NR, mask.cols() - panel * NR); ++i) {
      known[i] = std::isnan(values[i]) ? 0.f : 1.f;
      if (known[i] == 0) values[i] = 0;
    }
  }
}

// Makes columns [first, first + count) of a row, which are one variable, missing if any of them is.
inline void join_missing(Panels& x, Panels& mask, int row, int first, int count) {
  const auto element = [row](Panels& m, int col) -> float& { return m.at(col / NR, row)[col % NR]; };
  bool known = true;
  for (int col = first; col < first + count; ++col) known = known && element(mask, col) > 0;
  for (int col = first; !known && col < first + count; ++col) element(x, col) = element(mask, col) = 0;
}

// Columns [first, first + count) of a row become log(1 + x): what the encoder reads of counts.
inline void log_counts(Panels& x, int row, int first, int count) {
  alignas(64) float values[NR] = {};
  for (int done = 0; done < count; done += NR) {
    const int n = std::min(NR, count - done);
    x.read_row(row, first + done, n, values);
    for (int i = 0; i < NR; i += W) simd::store(values + i, special::log1p(simd::load(values + i)));
    x.write_row(row, first + done, n, values);
  }
}

// The least and the largest of n numbers, both NaN where one of them is NaN or infinite.
std::pair<float, float> value_range(const float* x, std::int64_t n);

// Asks for row `index`, to be copied soon: the rows of a batch lie all over the memory.
inline void prefetch_row(const Rows& rows, std::int64_t index) {
  const std::size_t start = static_cast<std::size_t>(index) * static_cast<std::size_t>(rows.cols);
  if (rows.floats) return simd::prefetch(rows.floats + start, rows.cols);
  for (int i = 0; i < rows.cols; i += 64) __builtin_prefetch(rows.bytes + start + i);
}

// A name for the content of one row, whatever its position and its neighbours: eight interleaved multiplicative hashes.
inline std::uint64_t hash_row(const Panels& x, int row) {
  static_assert(NR % 8 == 0);
  std::uint32_t lanes[8] = {1, 2, 3, 4, 5, 6, 7, 8};
  for (int panel = 0; panel < x.count(); ++panel) {
    const float* in = x.at(panel, row);
    const int n = std::min(NR, (x.cols() - panel * NR + 7) / 8 * 8);  // the same padding whatever NR
    for (int i = 0; i < n; i += 8)
      for (int j = 0; j < 8; ++j) {
        const float value = in[i + j] + 0.f;  // -0 counts as 0
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
