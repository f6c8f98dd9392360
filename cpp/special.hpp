// Functions of packets that the densities of counts need.
#pragma once

#include "simd.hpp"

namespace vaefast::special {
using namespace simd;

// log(1 + u) for u >= 0, exact to rounding for small u too (Kahan's correction).
inline Packet log1p(Packet u) {
  const Packet sum = add(set(1.f), u), rounded = sub(sum, set(1.f));
  const Packet exact = mul(log(sum), mul(u, reciprocal(max(rounded, set(1e-30f)))));
  return select(less(zero(), rounded), exact, u);
}

// Below SHIFT, gamma(y) is led back to gamma(y + SHIFT), where Stirling's series takes few terms.
inline constexpr int SHIFT = 8;

inline Packet is_small(Packet y) { return less(y, set(static_cast<float>(SHIFT))); }
inline Packet shifted(Packet y) { return add(y, select(is_small(y), set(static_cast<float>(SHIFT)), zero())); }

// What log gamma(y) is above (y - 1/2) log y - y + log(2 pi) / 2, for y >= 8: 1 / (12 y) - 1 / (360 y^3).
inline Packet stirling_tail(Packet y) {
  const Packet inverse = reciprocal(y);
  return mul(inverse, fma(mul(inverse, inverse), set(-1.f / 360), set(1.f / 12)));
}

// log gamma(y), y > 0 (Abramowitz & Stegun 1964, 6.1.41).
inline Packet log_gamma(Packet y) {
  const Packet large = shifted(y);
  Packet product = y;
  for (int i = 1; i < SHIFT; ++i) product = mul(product, add(y, set(static_cast<float>(i))));
  const Packet series =
      add(fma(sub(large, set(0.5f)), log(large), sub(set(0.918938533f), large)), stirling_tail(large));
  return sub(series, select(is_small(y), log(select(is_small(y), product, set(1.f))), zero()));
}

// log gamma(r + x) - log gamma(r) and digamma(r + x) - digamma(r), for r > 0 and x >= 0, as differences of the series:
// the values themselves may be large, and would cancel (Abramowitz & Stegun 1964, 6.1.41 and 6.3.18).
struct GammaRatio {
  Packet log_ratio, digamma_difference;
};
inline GammaRatio gamma_ratio(Packet r, Packet x) {
  const Packet low = shifted(r), high = add(low, x), inverse_low = reciprocal(low), inverse_high = reciprocal(high);
  const Packet log_growth = log1p(mul(x, inverse_low));  // log(high / low)
  Packet log_ratio = fma(sub(low, set(0.5f)), log_growth, mul(x, sub(log(high), set(1.f))));
  log_ratio = add(log_ratio, sub(stirling_tail(high), stirling_tail(low)));
  const auto digamma_tail = [](Packet inverse) {  // digamma(y) - log y
    const Packet square = mul(inverse, inverse);
    return neg(fma(inverse, set(0.5f), mul(square, fma(square, set(-1.f / 120), set(1.f / 12)))));
  };
  Packet difference = add(log_growth, sub(digamma_tail(inverse_high), digamma_tail(inverse_low)));
  Packet first = set(1.f), second = set(1.f),
         sum = zero();  // of the shift's terms; two products, that neither overflows
  for (int i = 0; i < SHIFT; ++i) {
    const Packet down = add(r, set(static_cast<float>(i))), inverse = reciprocal(down);
    const Packet ratio = fma(x, inverse, set(1.f));  // (r + x + i) / (r + i)
    (i % 2 ? second : first) = mul(i % 2 ? second : first, ratio);
    sum = add(sum, mul(mul(x, inverse), reciprocal(add(down, x))));
  }
  const Packet small = is_small(r);
  log_ratio = sub(log_ratio, select(small, add(log(first), log(second)), zero()));
  return {log_ratio, add(difference, select(small, sum, zero()))};
}

}  // namespace vaefast::special
