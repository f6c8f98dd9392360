// Counter-based randomness: a number is a function of a key and a counter, so it depends on no order and no thread.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace vaefast {

// What a stream of numbers is for. Streams of one seed never share a number. Every layer has a stream for dropout, from
// `dropout` on.
enum class Stream : std::uint32_t { initial, shuffling, training, scoring, corruption, dropout };

// Philox4x32-10 (Salmon, Moraes, Dror & Shaw 2011).
std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key);

// Uniform numbers in (-1, 1), never 0: 4 * block, 4 * block + 1, ... of the sequence that (seed, stream, word) names.
void fill_uniform(std::uint64_t seed, Stream stream, std::uint64_t word, std::uint32_t block, int count, float* out);

// Standard normals, from the uniform numbers of the same name.
void fill_normals(std::uint64_t seed, Stream stream, std::uint64_t word, std::uint32_t block, int count, float* out);

// 0, 1, ..., n - 1 in the order of (seed, epoch).
std::vector<std::int64_t> permutation(std::int64_t n, std::uint64_t seed, std::uint32_t epoch);

}  // namespace vaefast
