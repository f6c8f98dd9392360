// Blocks and strips: the rows and the terms of a product that the micro-kernel does at once.
#pragma once

#include "panels.hpp"

namespace vaefast {

// Rows of a register block: MR * 2 sums, two packets of B and one broadcast must fit the registers (32 or 16).
#ifdef __AVX512F__
inline constexpr int MR = 12;
#else
inline constexpr int MR = 6;
#endif

// Terms summed before the block goes back to memory. A strip of A of this depth stays in the second-level cache while
// all of B's panels come by, and theirs as well.
inline constexpr int DEPTH = 8 * NR;

inline constexpr int block_count(int rows) { return (rows + MR - 1) / MR; }

// Cuts [first, last) into as few blocks of at most MR as can be, all of nearly the same size.
template <class F>
inline void for_blocks(int first, int last, F&& f) {
  for (int left = block_count(last - first), at = first; left > 0; --left) {
    const int rows = (last - at + left - 1) / left;
    f(at, rows);
    at += rows;
  }
}

}  // namespace vaefast
