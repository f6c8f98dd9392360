// Register blocks and strips: how many rows and how many terms of a product the micro-kernel processes at once.
#pragma once

#include "panels.hpp"

namespace vaefast {

// Rows of a register block. Its 2 * MR sums, two packets of B and one broadcast must fit into the vector registers: 32
// with AVX-512, otherwise 16.
#ifdef __AVX512F__
inline constexpr int MR = 12;
#else
inline constexpr int MR = 6;
#endif

// Terms that are summed before a register block is written back to memory. With this depth, the second-level cache
// holds a strip of A, together with the strips of B, while all panels of B are processed.
inline constexpr int DEPTH = 8 * NR;

inline constexpr int block_count(int rows) { return (rows + MR - 1) / MR; }

// Splits rows [first, last) into the smallest possible number of blocks of at most MR rows, all of nearly the same
// size, and calls f(row, rows) for each.
template <class F>
inline void for_blocks(int first, int last, F&& f) {
  for (int left = block_count(last - first), at = first; left > 0; --left) {
    const int rows = (last - at + left - 1) / left;
    f(at, rows);
    at += rows;
  }
}

}  // namespace vaefast
