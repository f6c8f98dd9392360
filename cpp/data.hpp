// From the caller's rows to panels, a batch at a time.
#pragma once

#include <cstdint>
#include <cstring>

#include "panels.hpp"
#include "types.hpp"

namespace vaefast {

// Row `index` of the caller's rows becomes row `row` of `out`.
inline void copy_row(const Rows& rows, std::int64_t index, Panels& out, int row) {
  const std::size_t start = static_cast<std::size_t>(index) * static_cast<std::size_t>(rows.cols);
  if (rows.floats) return out.write_row(row, 0, rows.cols, rows.floats + start);
  for (int panel = 0; panel < out.count(); ++panel) {
    const int n = std::min(NR, rows.cols - panel * NR);
    const std::uint8_t* in = rows.bytes + start + panel * NR;
    float* to = out.at(panel, row);
    for (int i = 0; i < n; ++i) to[i] = static_cast<float>(in[i]) / 255.f;
  }
}

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
