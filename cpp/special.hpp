// Special functions for the densities of counts, on packets.
#pragma once

#include "simd.hpp"

namespace vaefast::special {
using namespace simd;

// log(1 + u) for u >= 0, accurate for small u too (Kahan's correction).
inline Packet log1p(Packet u) {
  const Packet sum = add(set(1.f), u), rounded = sub(sum, set(1.f));
  const Packet exact = mul(log(sum), mul(u, reciprocal(max(rounded, set(1e-30f)))));
  return select(less(zero(), rounded), exact, u);
}

// For y < SHIFT, gamma(y) is computed from gamma(y + SHIFT), where Stirling's series needs few terms.
inline constexpr int SHIFT = 8;

inline Packet is_small(Packet y) { return less(y, set(static_cast<float>(SHIFT))); }
inline Packet shifted(Packet y) { return add(y, select(is_small(y), set(static_cast<float>(SHIFT)), zero())); }

// log gamma(y) - ((y - 1/2) log y - y + log(2 pi) / 2) for y >= 8, by the series 1 / (12 y) - 1 / (360 y^3).
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

// log y! - (y log y - y + log(2 pi y) / 2) for y > 0 (Loader 2000). It tends to 0 as y grows.
inline Packet stirling_error(Packet y) {
  const Packet small = is_small(y), safe = select(small, y, set(1.f));
  const Packet direct =
      sub(add(log_gamma(add(safe, set(1.f))), sub(safe, set(0.918938533f))), mul(add(safe, set(0.5f)), log(safe)));
  return select(small, direct, stirling_tail(y));
}

// x (exp(d) - 1 - d), the part of a count density that measures how far x is from the mean exp(d) x (Loader 2000). Near
// d = 0 it uses a series, because the difference of large numbers would lose precision.
inline Packet deviance(Packet x, Packet d) {
  const Packet near = less(abs(d), set(0.3f)), safe = select(near, d, zero());
  Packet p = set(1.f / 40320);
  for (float c : {1.f / 5040, 1.f / 720, 1.f / 120, 1.f / 24, 1.f / 6, 0.5f}) p = fma(p, safe, set(c));
  return mul(x, select(near, mul(mul(p, safe), safe), sub(sub(exp(d), set(1.f)), d)));
}

// digamma(r + x) - digamma(r) for r > 0 and x >= 0. It subtracts the series, because the two values themselves would
// cancel (Abramowitz & Stegun 1964, 6.3.18).
inline Packet digamma_difference(Packet r, Packet x) {
  const Packet low = shifted(r), high = add(low, x), inverse_low = reciprocal(low), inverse_high = reciprocal(high);
  const auto tail = [](Packet inverse) {  // digamma(y) - log y
    const Packet square = mul(inverse, inverse);
    return neg(fma(inverse, set(0.5f), mul(square, fma(square, set(-1.f / 120), set(1.f / 12)))));
  };
  const Packet far = add(log1p(mul(x, inverse_low)), sub(tail(inverse_high), tail(inverse_low)));
  Packet sum = zero();  // the shift adds 1 / (r + i) - 1 / (r + x + i) for each i
  for (int i = 0; i < SHIFT; ++i) {
    const Packet down = add(r, set(static_cast<float>(i)));
    sum = add(sum, mul(mul(x, reciprocal(down)), reciprocal(add(down, x))));
  }
  return add(far, select(is_small(r), sum, zero()));
}

}  // namespace vaefast::special
