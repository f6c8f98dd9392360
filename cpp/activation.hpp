// Activation functions of the hidden layers. Each returns its value and its slope (derivative) at x. To add one, write
// its function and add an entry to `activations`.
#pragma once

#include "simd.hpp"

namespace vaefast {

struct ValueAndSlope {
  Packet value, slope;
};

namespace activation {
using namespace simd;

inline ValueAndSlope relu(Packet x) {
  return {max(x, zero()), select(less(zero(), x), set(1.f), zero())};  // max(x, 0) in this order propagates a NaN
}
inline ValueAndSlope tanh(Packet x) {
  const Packet y = simd::tanh(x);
  return {y, sub(set(1.f), mul(y, y))};
}
inline ValueAndSlope sigmoid(Packet x) {
  const Packet y = simd::sigmoid(x);
  return {y, mul(y, sub(set(1.f), y))};
}
inline ValueAndSlope elu(Packet x) {  // alpha = 1
  const Packet e = exp(min(x, zero()));
  const Packet negative = less(x, zero());
  return {select(negative, sub(e, set(1.f)), x), select(negative, e, set(1.f))};
}
inline ValueAndSlope leaky_relu(Packet x) {  // slope 0.01 for x < 0
  const Packet slope = select(less(zero(), x), set(1.f), set(0.01f));
  return {mul(x, slope), slope};
}
inline ValueAndSlope softplus(Packet x) { return {simd::softplus(x), simd::sigmoid(x)}; }
inline ValueAndSlope gelu(Packet x) {  // x times the exact normal CDF (Hendrycks & Gimpel 2016)
  const Packet cdf = normal_cdf(x);
  const Packet density = mul(set(0.39894228f), exp(mul(set(-0.5f), mul(x, x))));
  return {mul(x, cdf), fma(x, density, cdf)};
}
inline ValueAndSlope silu(Packet x) {
  const Packet s = simd::sigmoid(x);
  return {mul(x, s), mul(s, fma(x, sub(set(1.f), s), set(1.f)))};
}
inline ValueAndSlope identity(Packet x) { return {x, set(1.f)}; }

}  // namespace activation

struct Activation {
  const char* name;
  // Replaces n pre-activations by their values, in place. Writes their slopes to `slopes` unless it is null.
  void (*apply)(float* values, float* slopes, int n);
};

namespace detail {
template <ValueAndSlope (*f)(Packet)>
void apply_activation(float* values, float* slopes, int n) {
  for (int i = 0; i < n; i += W) {
    const ValueAndSlope y = f(simd::load(values + i));
    simd::store(values + i, y.value);
    if (slopes) simd::store(slopes + i, y.slope);
  }
}
}  // namespace detail

inline constexpr Activation activations[] = {
    {"relu", detail::apply_activation<activation::relu>},
    {"tanh", detail::apply_activation<activation::tanh>},
    {"sigmoid", detail::apply_activation<activation::sigmoid>},
    {"elu", detail::apply_activation<activation::elu>},
    {"leaky_relu", detail::apply_activation<activation::leaky_relu>},
    {"softplus", detail::apply_activation<activation::softplus>},
    {"gelu", detail::apply_activation<activation::gelu>},
    {"silu", detail::apply_activation<activation::silu>},
    {"identity", detail::apply_activation<activation::identity>},
};

}  // namespace vaefast
