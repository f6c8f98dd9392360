#include "data.hpp"

#include <algorithm>

namespace vaefast {

std::pair<float, float> value_range(const float* x, std::int64_t n) {
  Packet low = simd::set(simd::largest), high = simd::set(-simd::largest), zero = simd::zero();
  std::int64_t i = 0;
  for (; i + W <= n; i += W) {
    Packet value;
    std::memcpy(&value, x + i, sizeof value);
    low = simd::min(low, value);
    high = simd::max(high, value);
    zero = simd::add(zero, simd::sub(value, value));  // stays NaN after a value that is not finite
  }
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

}  // namespace vaefast
