// log p(x | z) of one feature given the decoder's output for it. To add one: write its functor, add it to
// `likelihoods`.
#pragma once

#include "panels.hpp"

namespace vaefast {

// A block of the decoder's output, with what a likelihood reads and writes beside it. Every pointer is to rows * NR
// contiguous floats, except mask and log_sigma (one row of NR) and nll (rows * W).
struct LikelihoodBlock {
  float* out;              // decoder output; becomes d nll / d output
  const float* x;          // data
  const float* mask;       // 1 for a feature, 0 for padding
  const float* log_sigma;  // per feature; null for a likelihood without a scale
  float* log_sigma_delta;  // d nll / d log_sigma; null if sigma is not learned
  float* nll;              // running sum of -log p(x | z), W partial sums a row
  int rows;
};

struct Likelihood {
  const char* name;
  bool has_scale;
  void (*evaluate)(const LikelihoodBlock& block);
  void (*mean)(float* out, int n);  // decoder output becomes E[x | z], in place
};

namespace likelihood {
using namespace simd;

// output = logit l: nll = max(l, 0) - l x + log1p(exp(-|l|)), d nll / dl = sigmoid(l) - x
struct Bernoulli {
  static void evaluate(const LikelihoodBlock& b) {
    for (int r = 0; r < b.rows; ++r) {
      Packet nll = load(b.nll + r * W);
      for (int c = 0; c < NR; c += W) {
        float* out = b.out + r * NR + c;
        const Packet l = load(out), x = load(b.x + r * NR + c), mask = load(b.mask + c);
        const Packet e = exp(neg(abs(l))), s = reciprocal(add(set(1.f), e));
        const Packet value = add(sub(max(l, zero()), mul(l, x)), log1p_unit(e));
        nll = fma(mask, value, nll);
        store(out, mul(mask, sub(select(less(l, zero()), mul(e, s), s), x)));
      }
      store(b.nll + r * W, nll);
    }
  }
  static void mean(float* out, int n) {
    for (int i = 0; i < n; i += W) store(out + i, sigmoid(load(out + i)));
  }
};

// output = mean m: with r = (x - m) / sigma, nll = r^2 / 2 + log sigma + log(2 pi) / 2,
// d nll / dm = -r / sigma, d nll / d log sigma = 1 - r^2
struct Gaussian {
  static void evaluate(const LikelihoodBlock& b) {
    const Packet half_log_2pi = set(0.918938533f);
    for (int c = 0; c < NR; c += W) {
      const Packet log_sigma = load(b.log_sigma + c), precision = exp(neg(log_sigma)), mask = load(b.mask + c);
      const Packet constant = add(log_sigma, half_log_2pi);
      for (int r = 0; r < b.rows; ++r) {
        float* out = b.out + r * NR + c;
        const Packet residual = mul(sub(load(b.x + r * NR + c), load(out)), precision);
        const Packet square = mul(residual, residual);
        float* nll = b.nll + r * W;
        store(nll, fma(mask, fma(set(0.5f), square, constant), load(nll)));
        store(out, mul(mask, neg(mul(residual, precision))));
        if (b.log_sigma_delta) store(b.log_sigma_delta + r * NR + c, mul(mask, sub(set(1.f), square)));
      }
    }
  }
  static void mean(float*, int) {}
};

}  // namespace likelihood

inline constexpr Likelihood likelihoods[] = {
    {"bernoulli", false, likelihood::Bernoulli::evaluate, likelihood::Bernoulli::mean},
    {"gaussian", true, likelihood::Gaussian::evaluate, likelihood::Gaussian::mean},
};

}  // namespace vaefast
