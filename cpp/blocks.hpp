// Blocks: the rows of a product that the micro-kernel does at once.
#pragma once

namespace vaefast {

// Rows of a register block: MR * 2 sums, two packets of B and one broadcast must fit the registers (32 or 16).
#ifdef __AVX512F__
inline constexpr int MR = 12;
#else
inline constexpr int MR = 6;
#endif

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
