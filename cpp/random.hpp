// Counter-based random numbers. Each number is a function of a key and a counter, so it depends neither on the order of
// calls nor on the thread.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace vaefast {

// The purpose of a stream of random numbers. Streams with the same seed never share a number. Every layer has its own
// stream for dropout, from `dropout` on.
enum class Stream : std::uint32_t { initial, shuffling, training, scoring, corruption, dropout };

// Philox4x32-10 (Salmon, Moraes, Dror & Shaw 2011).
std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key);

// Writes uniform numbers in (-1, 1), never 0: numbers 4 * block, 4 * block + 1, ... of the sequence that (seed, stream,
// word) identifies.
void fill_uniform(std::uint64_t seed, Stream stream, std::uint64_t word, std::uint32_t block, int count, float* out);

// Writes standard normals, transformed from the uniform numbers with the same arguments.
void fill_normals(std::uint64_t seed, Stream stream, std::uint64_t word, std::uint32_t block, int count, float* out);

// Returns 0, 1, ..., n - 1 in a random order, which (seed, epoch) determines.
std::vector<std::int64_t> permutation(std::int64_t n, std::uint64_t seed, std::uint32_t epoch);

// Returns its first `count` numbers, in memory for `count` numbers.
std::vector<std::int64_t> start_of_permutation(std::int64_t n, std::int64_t count, std::uint64_t seed,
                                               std::uint32_t epoch);

}  // namespace vaefast
