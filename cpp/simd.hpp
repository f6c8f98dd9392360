// Packets: W floats that one instruction processes. This is the only file that uses Eigen's packet API.
#pragma once

#include <Eigen/Core>
#include <cstdint>

namespace vaefast {

using Packet = Eigen::internal::packet_traits<float>::type;
inline constexpr int W = Eigen::internal::packet_traits<float>::size;

namespace simd {
namespace ei = Eigen::internal;

inline Packet set(float value) { return ei::pset1<Packet>(value); }
inline Packet zero() { return ei::pzero(Packet{}); }
inline Packet load(const float* p) { return ei::pload<Packet>(p); }  // load and store need aligned addresses
inline void store(float* p, Packet a) { ei::pstore(p, a); }

// Loads from any address of a float.
inline Packet load_unaligned(const float* p) { return ei::ploadu<Packet>(p); }

// Prefetches n floats from p on into the second-level cache.
inline void prefetch([[maybe_unused]] const float* p, [[maybe_unused]] int n) {
#ifdef __GNUC__
  for (int i = 0; i < n; i += 16) __builtin_prefetch(p + i, 0, 2);
#endif
}

inline Packet add(Packet a, Packet b) { return ei::padd(a, b); }
inline Packet sub(Packet a, Packet b) { return ei::psub(a, b); }
inline Packet mul(Packet a, Packet b) { return ei::pmul(a, b); }
inline Packet div(Packet a, Packet b) { return ei::pdiv(a, b); }
inline Packet fma(Packet a, Packet b, Packet c) { return ei::pmadd(a, b, c); }  // a * b + c

// sum += a * b, in place. With fma(), GCC copies some sums between registers on every iteration of a long loop. The
// second overload broadcasts *a within the instruction. Compared with a broadcast that several instructions share, this
// costs one more load and saves one micro-operation.
inline void add_product(Packet& sum, Packet a, Packet b) {
#if defined(__AVX512F__) && defined(__GNUC__)
  asm("vfmadd231ps %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
#else
  sum = fma(a, b, sum);
#endif
}
inline void add_product(Packet& sum, const float* a, Packet b) {
#if defined(__AVX512F__) && defined(__GNUC__)
  asm("vfmadd231ps %2%{1to16%}, %1, %0" : "+v"(sum) : "v"(b), "m"(*a));
#else
  sum = fma(set(*a), b, sum);
#endif
}
// Keeps `a` live in a register up to this point; otherwise GCC moves the last accumulator into that register, and back,
// on every iteration.
inline void keep([[maybe_unused]] Packet a) {
#if defined(__AVX512F__) && defined(__GNUC__)
  asm("" : : "v"(a));
#endif
}

inline Packet neg(Packet a) { return ei::pnegate(a); }
inline Packet abs(Packet a) { return ei::pabs(a); }
inline Packet max(Packet a, Packet b) { return ei::pmax(a, b); }
inline Packet min(Packet a, Packet b) { return ei::pmin(a, b); }
inline Packet sqrt(Packet a) {
#ifdef __AVX512F__
  return _mm512_sqrt_ps(a);  // faster than Eigen's version, which refines an estimate
#else
  return ei::psqrt(a);
#endif
}
inline Packet exp(Packet a) { return ei::pexp(a); }
inline Packet log(Packet a) { return ei::plog(a); }
inline Packet tanh(Packet a) { return ei::ptanh(a); }
inline Packet less(Packet a, Packet b) { return ei::pcmp_lt(a, b); }  // a mask for select
inline Packet select(Packet mask, Packet yes, Packet no) { return ei::pselect(mask, yes, no); }

// Returns a bit mask in which bit i tells whether p[i] is nonzero.
inline std::uint32_t nonzero_bits(const float* p) {
#if defined(__AVX512F__)
  return _mm512_cmp_ps_mask(load(p), zero(), _CMP_NEQ_UQ);
#elif defined(__AVX__)
  return static_cast<std::uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(load(p), zero(), _CMP_NEQ_UQ)));
#else
  std::uint32_t bits = 0;
  for (int i = 0; i < W; ++i) bits |= static_cast<std::uint32_t>(p[i] != 0) << i;
  return bits;
#endif
}

// Transposes W x W floats in place. rows[i] is row i.
inline void transpose(Packet (&rows)[W]) { ei::ptranspose(reinterpret_cast<ei::PacketBlock<Packet, W>&>(rows)); }

// Returns the sum of the W lanes in float64, in lane order.
inline double sum(Packet a) {
  alignas(Packet) float lanes[W];
  store(lanes, a);
  double total = 0;
  for (float lane : lanes) total += lane;
  return total;
}

inline float sum_in_float(Packet a) { return ei::predux(a); }
inline float greatest(Packet a) { return ei::predux_max(a); }

inline constexpr float largest = 3.402823466e38f;

// 1 / a to within one unit in the last place, for a finite a. With AVX-512, one Newton step from the processor's
// estimate is faster than a division.
inline Packet reciprocal(Packet a) {
#ifdef __AVX512F__
  const Packet estimate = _mm512_rcp14_ps(a);
  return mul(estimate, fma(neg(a), estimate, set(2.f)));
#else
  return div(set(1.f), a);
#endif
}

// exp(-a) for a >= 0 with an absolute error of about 2e-7. The result is 1 for a = 0 and never below 2^-126. It is
// computed as 2^t: the integer part of t goes into the exponent, and a Chebyshev fit of (2^t - 1) / t gives the rest.
inline Packet exp_negative(Packet a) {
  constexpr float c[] = {0.00133813025f, 0.00966636852f, 0.0555038101f, 0.24022349f, 0.693147181f, 1.f};
  const Packet t = max(mul(a, set(-1.44269504f)), set(-126.f));  // max in this order propagates a NaN
  const Packet whole = ei::print(t), rest = sub(t, whole);
  Packet p = set(c[0]);
  for (int i = 1; i < 6; ++i) p = fma(p, rest, set(c[i]));
#ifdef __AVX512F__
  return _mm512_scalef_ps(p, whole);
#else
  using Integers = ei::unpacket_traits<Packet>::integer_packet;
  const Integers exponent = ei::pcast<Packet, Integers>(add(whole, set(127.f)));
  return mul(p, ei::preinterpret<Packet>(ei::plogical_shift_left<23>(exponent)));
#endif
}

// log(1 + e) for 0 <= e <= 1 with a relative error of 1.2e-7: e times a Chebyshev fit of log1p(e) / e.
inline Packet log1p_unit(Packet e) {
  constexpr float c[] = {-0.00317605701843196f, 0.019542527261014103f, -0.05637361283010733f, 0.10543623795419527f,
                         -0.15269667074363288f, 0.19663274257204805f,  -0.24951616262872076f, 0.3332971049891775f,
                         -0.49999892648063277f, 0.999999994656292f};
  Packet p = set(c[0]);
  for (int i = 1; i < 10; ++i) p = fma(p, e, set(c[i]));
  return mul(p, e);
}

// The argument of exp is at most 88, where exp is still finite.
inline Packet sigmoid(Packet x) { return reciprocal(add(set(1.f), exp(min(neg(x), set(88.f))))); }

// log(1 + exp(x)) without overflow.
inline Packet softplus(Packet x) { return add(max(x, zero()), log1p_unit(exp(neg(abs(x))))); }

// CDF of the standard normal distribution with an absolute error of 1e-7 (Abramowitz & Stegun 1964, 7.1.26 for erf).
inline Packet normal_cdf(Packet x) {
  const Packet u = mul(abs(x), set(0.70710678f));
  const Packet t = reciprocal(fma(u, set(0.3275911f), set(1.f)));
  Packet p = set(1.061405429f);
  for (float c : {-1.453152027f, 1.421413741f, -0.284496736f, 0.254829592f}) p = fma(p, t, set(c));
  const Packet upper = mul(mul(mul(p, t), exp(neg(mul(u, u)))), set(0.5f));  // P(X > |x|)
  return select(less(x, zero()), upper, sub(set(1.f), upper));
}

}  // namespace simd
}  // namespace vaefast
