#include "random.hpp"

#include <algorithm>
#include <numeric>
#include <unordered_map>
#include <utility>

#include "simd.hpp"

namespace vaefast {
namespace {

// Runs Philox on LANES counters (block + lane, w1, w2, w3) and writes out[word][lane]. The loops over lanes vectorize.
template <int LANES>
void philox_lanes(std::uint32_t block, std::uint32_t w1, std::uint32_t w2, std::uint32_t w3,
                  std::array<std::uint32_t, 2> key, std::uint32_t (&out)[4][LANES]) {
  for (int i = 0; i < LANES; ++i) {
    out[0][i] = block + static_cast<std::uint32_t>(i);
    out[1][i] = w1;
    out[2][i] = w2;
    out[3][i] = w3;
  }
  for (int round = 0; round < 10; ++round) {
#pragma GCC unroll 1  // GCC does not vectorize the unrolled loop
    for (int i = 0; i < LANES; ++i) {
      const std::uint64_t p0 = 0xD2511F53ull * out[0][i], p1 = 0xCD9E8D57ull * out[2][i];
      const auto high0 = static_cast<std::uint32_t>(p0 >> 32), high1 = static_cast<std::uint32_t>(p1 >> 32);
      out[0][i] = high1 ^ out[1][i] ^ key[0];
      out[1][i] = static_cast<std::uint32_t>(p1);
      out[2][i] = high0 ^ out[3][i] ^ key[1];
      out[3][i] = static_cast<std::uint32_t>(p0);
    }
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
}

std::array<std::uint32_t, 2> split(std::uint64_t value) {
  return {static_cast<std::uint32_t>(value), static_cast<std::uint32_t>(value >> 32)};
}

// Transforms x, uniform in (-1, 1), to a standard normal: sqrt(2) * erfinv(x) (Giles 2012, single precision).
Packet normal_from_uniform(Packet x) {
  using namespace simd;
  const Packet one = set(1.f);
  const Packet w = neg(log(mul(sub(one, x), add(one, x))));
  const Packet near = sub(w, set(2.5f)), far = sub(sqrt(w), set(3.f));
  Packet p = set(2.81022636e-08f), q = set(-0.000200214257f);
  constexpr float pc[] = {3.43273939e-07f, -3.5233877e-06f, -4.39150654e-06f, 0.00021858087f,
                          -0.00125372503f, -0.00417768164f, 0.246640727f,     1.50140941f};
  constexpr float qc[] = {0.000100950558f, 0.00134934322f, -0.00367342844f, 0.00573950773f,
                          -0.0076224613f,  0.00943887047f, 1.00167406f,     2.83297682f};
  for (int i = 0; i < 8; ++i) {
    p = fma(p, near, set(pc[i]));
    q = fma(q, far, set(qc[i]));
  }
  return mul(mul(select(less(w, set(5.f)), p, q), x), set(1.41421356f));
}

constexpr int LANES = 16;

template <class Transform>
void fill(std::uint64_t seed, Stream stream, std::uint64_t word, std::uint32_t block, int count, float* out,
          Transform&& transform) {
  const auto key = split(seed), words = split(word);
  std::uint32_t bits[4][LANES];
  alignas(64) float numbers[4 * LANES];
  for (; count > 0; block += LANES, count -= 4 * LANES, out += 4 * LANES) {
    philox_lanes(block, words[0], words[1], static_cast<std::uint32_t>(stream), key, bits);
    // Maps 24 bits to an odd multiple of 2^-24 in (-1, 1), which is exact in float32, symmetric, never 0 and never +-1.
    for (int i = 0; i < LANES; ++i)
      for (int j = 0; j < 4; ++j)
        numbers[4 * i + j] = (static_cast<float>(static_cast<std::int32_t>(bits[j][i]) >> 8) + 0.5f) * 0x1p-23f;
    for (int i = 0; i < 4 * LANES; i += W) simd::store(numbers + i, transform(simd::load(numbers + i)));
    std::copy_n(numbers, std::min(count, 4 * LANES), out);
  }
}

// A Fisher-Yates shuffle goes from the last place to the first and swaps each place i with one of 0, ..., i. With 64
// bits and at most 2^32 rows, the bias of the remainder is below 2^-32.
std::int64_t swapped_with(std::int64_t i, std::uint64_t seed, std::uint32_t epoch) {
  const auto index = split(static_cast<std::uint64_t>(i));
  const auto bits = philox({index[0], index[1], epoch, static_cast<std::uint32_t>(Stream::shuffling)}, split(seed));
  const std::uint64_t r = (static_cast<std::uint64_t>(bits[1]) << 32) | bits[0];
  return static_cast<std::int64_t>(r % static_cast<std::uint64_t>(i + 1));
}

}  // namespace

std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key) {
  std::uint32_t out[4][1];
  philox_lanes(counter[0], counter[1], counter[2], counter[3], key, out);
  return {out[0][0], out[1][0], out[2][0], out[3][0]};
}

void fill_uniform(std::uint64_t seed, Stream stream, std::uint64_t word, std::uint32_t block, int count, float* out) {
  fill(seed, stream, word, block, count, out, [](Packet u) { return u; });
}

void fill_normals(std::uint64_t seed, Stream stream, std::uint64_t word, std::uint32_t block, int count, float* out) {
  fill(seed, stream, word, block, count, out, normal_from_uniform);
}

std::vector<std::int64_t> permutation(std::int64_t n, std::uint64_t seed, std::uint32_t epoch) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  for (std::int64_t i = n - 1; i > 0; --i)
    std::swap(order[static_cast<std::size_t>(i)], order[static_cast<std::size_t>(swapped_with(i, seed, epoch))]);
  return order;
}

std::vector<std::int64_t> start_of_permutation(std::int64_t n, std::int64_t count, std::uint64_t seed,
                                               std::uint32_t epoch) {
  // Undoes the swaps from the last one to the first, but follows only the numbers that end in front.
  std::unordered_map<std::int64_t, std::int64_t> at;  // from the number's present place to its last one
  for (std::int64_t i = 0; i < count; ++i) at.emplace(i, i);
  const auto move = [&at](auto&& node, std::int64_t to) {
    if (!node) return;
    node.key() = to;
    at.insert(std::move(node));
  };
  for (std::int64_t i = 1; i < n; ++i) {
    const std::int64_t other = swapped_with(i, seed, epoch);
    auto up = at.extract(other);
    if (i < count) move(at.extract(i), other);  // behind the front, nothing has come to place i yet
    move(up, i);
  }
  std::vector<std::int64_t> order(static_cast<std::size_t>(count));
  for (const auto& [number, place] : at) order[static_cast<std::size_t>(place)] = number;
  return order;
}

}  // namespace vaefast
