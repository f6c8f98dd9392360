// Packets: W floats that one instruction works on. The only file that touches Eigen's packet API.
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
inline Packet load(const float* p) { return ei::pload<Packet>(p); }  // aligned, as store
inline void store(float* p, Packet a) { ei::pstore(p, a); }

// Asks for n floats from p on, which are wanted soon, to be brought into the second-level cache.
inline void prefetch(const float* p, int n) {
  for (int i = 0; i < n; i += 16) __builtin_prefetch(p + i, 0, 2);
}

inline Packet add(Packet a, Packet b) { return ei::padd(a, b); }
inline Packet sub(Packet a, Packet b) { return ei::psub(a, b); }
inline Packet mul(Packet a, Packet b) { return ei::pmul(a, b); }
inline Packet div(Packet a, Packet b) { return ei::pdiv(a, b); }
inline Packet fma(Packet a, Packet b, Packet c) { return ei::pmadd(a, b, c); }  // a * b + c

// sum += a * b, in the register that sum is in: of sums by fma() GCC copies some in every turn of a long loop. The
// second takes a broadcast that is part of the instruction: a load more than one that several instructions share, a
// micro-operation less.
inline void add_product(Packet& sum, Packet a, Packet b) {
#ifdef __AVX512F__
  asm("vfmadd231ps %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
#else
  sum = fma(a, b, sum);
#endif
}
inline void add_product(Packet& sum, const float* a, Packet b) {
#ifdef __AVX512F__
  asm("vfmadd231ps %2%{1to16%}, %1, %0" : "+v"(sum) : "v"(b), "m"(*a));
#else
  sum = fma(set(*a), b, sum);
#endif
}
// Keeps `a` in a register until here. Else the last sum is moved to a's in every turn, and back.
inline void keep([[maybe_unused]] Packet a) {
#ifdef __AVX512F__
  asm("" : : "v"(a));
#endif
}

inline Packet neg(Packet a) { return ei::pnegate(a); }
inline Packet abs(Packet a) { return ei::pabs(a); }
inline Packet max(Packet a, Packet b) { return ei::pmax(a, b); }
inline Packet min(Packet a, Packet b) { return ei::pmin(a, b); }
inline Packet sqrt(Packet a) {
#ifdef __AVX512F__
  return _mm512_sqrt_ps(a);  // Eigen's is made of an estimate, with care that costs more
#else
  return ei::psqrt(a);
#endif
}
inline Packet exp(Packet a) { return ei::pexp(a); }
inline Packet log(Packet a) { return ei::plog(a); }
inline Packet tanh(Packet a) { return ei::ptanh(a); }
inline Packet less(Packet a, Packet b) { return ei::pcmp_lt(a, b); }  // a mask for select
inline Packet select(Packet mask, Packet yes, Packet no) { return ei::pselect(mask, yes, no); }

// Bit i: whether p[i] is not zero.
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

// W x W floats, row i in rows[i], become their transpose.
inline void transpose(Packet (&rows)[W]) { ei::ptranspose(reinterpret_cast<ei::PacketBlock<Packet, W>&>(rows)); }

// Sum of the W lanes in float64, in lane order.
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

// 1 / a within one unit in the last place, for a finite a. AVX-512 divides slowly and estimates well: one Newton step.
inline Packet reciprocal(Packet a) {
#ifdef __AVX512F__
  const Packet estimate = _mm512_rcp14_ps(a);
  return mul(estimate, fma(neg(a), estimate, set(2.f)));
#else
  return div(set(1.f), a);
#endif
}

// exp(-a) for a >= 0, absolute error about 2e-7, 1 for 0, never below 2^-126: 2^t, the whole part of t in the exponent
// and the rest by a Chebyshev fit of (2^t - 1) / t.
inline Packet exp_negative(Packet a) {
  constexpr float c[] = {0.00133813025f, 0.00966636852f, 0.0555038101f, 0.24022349f, 0.693147181f, 1.f};
  const Packet t = max(mul(a, set(-1.44269504f)), set(-126.f));  // in this order a NaN stays
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

// log(1 + e) for 0 <= e <= 1: e times a Chebyshev fit of log1p(e) / e, relative error 1.2e-7.
inline Packet log1p_unit(Packet e) {
  constexpr float c[] = {-0.00317605701843196f, 0.019542527261014103f, -0.05637361283010733f, 0.10543623795419527f,
                         -0.15269667074363288f, 0.19663274257204805f,  -0.24951616262872076f, 0.3332971049891775f,
                         -0.49999892648063277f, 0.999999994656292f};
  Packet p = set(c[0]);
  for (int i = 1; i < 10; ++i) p = fma(p, e, set(c[i]));
  return mul(p, e);
}

// 88: where exp is still finite.
inline Packet sigmoid(Packet x) { return reciprocal(add(set(1.f), exp(min(neg(x), set(88.f))))); }

// log(1 + exp(x)), without overflow.
inline Packet softplus(Packet x) { return add(max(x, zero()), log1p_unit(exp(neg(abs(x))))); }

// The normal distribution's CDF, absolute error 1e-7 (Abramowitz & Stegun 1964, 7.1.26 for erf).
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
