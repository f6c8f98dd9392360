#include "posterior.hpp"

namespace vaefast {
namespace {

// The log-variance is the identity up to +-10 and bends smoothly towards +-20 beyond, so that exp never overflows and
// the gradient never vanishes within reach: logvar = sign(r) (10 + 10 tanh((|r| - 10) / 10)).
void bound_logvar(Packet raw, Packet& logvar, Packet& slope) {
  using namespace simd;
  const Packet excess = max(sub(abs(raw), set(10.f)), zero());
  const Packet t = tanh(mul(excess, set(0.1f)));
  const Packet beyond = fma(set(10.f), t, set(10.f));
  const Packet bounded = select(less(raw, zero()), neg(beyond), beyond);
  logvar = select(less(zero(), excess), bounded, raw);
  slope = sub(set(1.f), mul(t, t));
}

}  // namespace

Posterior::Posterior(int rows, int latent_dim)
    : head(rows, 2 * latent_dim),
      z(rows, latent_dim),
      dz(rows, latent_dim),
      kl(static_cast<std::size_t>(rows)),
      latent_dim_(latent_dim),
      stride_(static_cast<std::size_t>((latent_dim + W - 1) / W * W)),
      mu_(rows * stride_),
      logvar_(rows * stride_),
      eps_(rows * stride_),
      sigma_(rows * stride_),
      slope_(rows * stride_),
      scratch_(rows * stride_) {}

void Posterior::read_head(int first, int last) {
  for (int row = first; row < last; ++row) {
    const std::size_t at = row * stride_;
    float* logvar = logvar_.data() + at;
    head.read_row(row, 0, latent_dim_, mu_.data() + at);
    head.read_row(row, latent_dim_, latent_dim_, logvar);
    for (std::size_t i = 0; i < stride_; i += W) {
      Packet bounded, slope;
      bound_logvar(simd::load(logvar + i), bounded, slope);
      simd::store(logvar + i, bounded);
      simd::store(slope_.data() + at + i, slope);
    }
  }
}

// z = mu + exp(logvar / 2) eps;  kl = 1/2 sum(exp(logvar) - 1 - logvar + mu^2)   (Kingma & Welling 2014, eq. 10)
void Posterior::sample(int first, int last) {
  using namespace simd;
  for (int row = first; row < last; ++row) {
    const std::size_t at = row * stride_;
    Packet sum_kl = zero();
    for (std::size_t i = at; i < at + stride_; i += W) {
      const Packet mu = load(mu_.data() + i), logvar = load(logvar_.data() + i);
      const Packet sigma = exp(mul(set(0.5f), logvar));
      store(sigma_.data() + i, sigma);
      store(scratch_.data() + i, fma(sigma, load(eps_.data() + i), mu));
      sum_kl = add(sum_kl, fma(mu, mu, sub(sub(mul(sigma, sigma), set(1.f)), logvar)));
    }
    z.write_row(row, 0, latent_dim_, scratch_.data() + at);
    kl[static_cast<std::size_t>(row)] = 0.5 * simd::sum(sum_kl);
  }
}

// d loss / d mu = dz + beta mu;  d loss / d logvar = dz eps sigma / 2 + beta (exp(logvar) - 1) / 2
void Posterior::backward(float beta, Panels& dhead, int first, int last) {
  using namespace simd;
  const Packet half = set(0.5f), b = set(beta);
  for (int row = first; row < last; ++row) {
    const std::size_t at = row * stride_;
    float* delta = scratch_.data() + at;
    dz.read_row(row, 0, latent_dim_, delta);
    float* dlogvar = eps_.data() + at;  // eps has done its work
    for (std::size_t i = 0; i < stride_; i += W) {
      const Packet d = load(delta + i), sigma = load(sigma_.data() + at + i);
      const Packet draw = mul(d, mul(load(dlogvar + i), sigma));
      const Packet divergence = mul(b, sub(mul(sigma, sigma), set(1.f)));
      store(dlogvar + i, mul(mul(half, load(slope_.data() + at + i)), add(draw, divergence)));
      store(delta + i, fma(b, load(mu_.data() + at + i), d));
    }
    dhead.write_row(row, 0, latent_dim_, delta);
    dhead.write_row(row, latent_dim_, latent_dim_, dlogvar);
  }
}

}  // namespace vaefast
