#include "data.hpp"

#include <algorithm>

namespace vaefast {

std::pair<float, float> value_range(const float* x, std::int64_t n) {
  constexpr int AT_ONCE = 2;  // independent results, which hide the latency of an addition
  Packet lowest[AT_ONCE], highest[AT_ONCE], zeros[AT_ONCE];
  for (int j = 0; j < AT_ONCE; ++j) {
    lowest[j] = simd::set(simd::largest);
    highest[j] = simd::set(-simd::largest);
    zeros[j] = simd::zero();
  }
  std::int64_t i = 0;
  const auto take = [&](int j, const float* at) {
    const Packet value = simd::load_unaligned(at);
    lowest[j] = simd::min(lowest[j], value);
    highest[j] = simd::max(highest[j], value);
    zeros[j] = simd::add(zeros[j], simd::sub(value, value));  // stays NaN after a value that is not finite
  };
  for (; i + AT_ONCE * W <= n; i += AT_ONCE * W)
    for (int j = 0; j < AT_ONCE; ++j) take(j, x + i + j * W);
  for (; i + W <= n; i += W) take(0, x + i);
  const Packet low = simd::min(lowest[0], lowest[1]), high = simd::max(highest[0], highest[1]);
  const Packet zero = simd::add(zeros[0], zeros[1]);
  alignas(Packet) float lows[W], highs[W];
  simd::store(lows, low);
  simd::store(highs, high);
  float least = *std::min_element(lows, lows + W), largest = *std::max_element(highs, highs + W);
  auto nothing = static_cast<float>(simd::sum(zero));
  for (; i < n; ++i) {
    least = std::min(least, x[i]);
    largest = std::max(largest, x[i]);
    nothing += x[i] - x[i];
  }
  return {least + nothing, largest + nothing};
}

bool within(const Rows& rows, std::int64_t first, std::int64_t last, const Limits& limits) {
  const std::int64_t start = first * rows.cols, n = (last - first) * rows.cols;
  if (rows.floats) {
    const auto [low, high] = value_range(rows.floats + start, n);
    return low >= limits.low && high <= limits.high;  // false for NaN
  }
  if (!rows.doubles) return true;
  const double *x = rows.doubles + start, low = limits.low, high = limits.high;
  constexpr int LANES = 8;  // independent sums, which the compiler turns into packets
  std::int64_t outside[LANES] = {}, i = 0;
  for (; i + LANES <= n; i += LANES)
    for (int j = 0; j < LANES; ++j) outside[j] += !(x[i + j] >= low) | !(x[i + j] <= high);
  for (; i < n; ++i) outside[0] += !(x[i] >= low) | !(x[i] <= high);
  return std::all_of(outside, outside + LANES, [](std::int64_t count) { return count == 0; });
}

}  // namespace vaefast
