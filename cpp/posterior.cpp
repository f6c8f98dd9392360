#include "posterior.hpp"

namespace vaefast {
namespace {

// Bounds the log-variance: it equals r for |r| <= 10 and approaches +-20 smoothly beyond, as sign(r) (10 + 10 tanh((|r|
// - 10) / 10)). Thus exp never overflows, and the gradient does not vanish at values that training reaches.
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

Posterior::Posterior(int rows, int samples, int latent_dim, int conditions)
    : head(rows, 2 * latent_dim),
      z(rows * samples, latent_dim + conditions),
      dz(rows * samples, latent_dim + conditions),
      kl(static_cast<std::size_t>(rows)),
      log_ratio(static_cast<std::size_t>(rows * samples)),
      samples_(samples),
      latent_dim_(latent_dim),
      stride_(static_cast<std::size_t>((latent_dim + W - 1) / W * W)),
      mu_(rows * stride_),
      logvar_(rows * stride_),
      sigma_(rows * stride_),
      slope_(rows * stride_),
      kl_terms_(rows * stride_),
      dmu_(rows * stride_),
      dlogvar_(rows * stride_),
      eps_(rows * samples * stride_),
      scratch_(rows * samples * stride_) {
  kl_weight = Buffer(stride_);
}

// kl = 1/2 sum(exp(logvar) - 1 - logvar + mu^2)   (Kingma & Welling 2014, eq. 10)
void Posterior::read_head(int first, int last) {
  using namespace simd;
  for (int row = first; row < last; ++row) {
    const std::size_t at = row * stride_;
    head.read_row(row, 0, latent_dim_, mu_.data() + at);
    head.read_row(row, latent_dim_, latent_dim_, logvar_.data() + at);
    Packet sum_kl = zero();
    for (std::size_t i = at; i < at + stride_; i += W) {
      Packet logvar, slope;
      bound_logvar(load(logvar_.data() + i), logvar, slope);
      const Packet mu = load(mu_.data() + i), sigma = exp(mul(set(0.5f), logvar));
      const Packet term = mul(set(0.5f), fma(mu, mu, sub(sub(mul(sigma, sigma), set(1.f)), logvar)));
      store(logvar_.data() + i, logvar);
      store(slope_.data() + i, slope);
      store(sigma_.data() + i, sigma);
      store(kl_terms_.data() + i, term);
      sum_kl = add(sum_kl, term);
    }
    kl[static_cast<std::size_t>(row)] = simd::sum(sum_kl);
  }
}

// z = mu + exp(logvar / 2) eps;  log p(z) - log q(z | x) = sum(eps^2 - z^2 + logvar) / 2
void Posterior::sample(int first, int last) {
  using namespace simd;
  for (int sample = first * samples_; sample < last * samples_; ++sample) {
    const std::size_t row = sample / samples_ * stride_, at = sample * stride_;
    Packet ratio = zero();
    for (std::size_t i = 0; i < stride_; i += W) {
      const Packet eps = load(eps_.data() + at + i);
      const Packet value = fma(load(sigma_.data() + row + i), eps, load(mu_.data() + row + i));
      store(scratch_.data() + at + i, value);
      ratio = add(ratio, sub(fma(eps, eps, load(logvar_.data() + row + i)), mul(value, value)));
    }
    z.write_row(sample, 0, latent_dim_, scratch_.data() + at);
    log_ratio[static_cast<std::size_t>(sample)] = 0.5 * simd::sum(ratio);
  }
}

// d loss / d mu = sum dz + w mu;  d loss / d logvar = sum dz eps sigma / 2 + w (exp(logvar) - 1) / 2, where w is the
// kl_weight times the row_weight and the sums run over the samples
void Posterior::backward(const float* row_weight, Panels& dhead, int first, int last) {
  using namespace simd;
  const Packet half = set(0.5f);
  for (int row = first; row < last; ++row) {
    const std::size_t at = row * stride_;
    const Packet of_row = set(row_weight[row]);
    for (std::size_t i = 0; i < stride_; i += W) {
      const Packet sigma = load(sigma_.data() + at + i), weight = mul(of_row, load(kl_weight.data() + i));
      store(dmu_.data() + at + i, mul(weight, load(mu_.data() + at + i)));
      store(dlogvar_.data() + at + i, mul(mul(weight, half), sub(mul(sigma, sigma), set(1.f))));
    }
    for (int sample = row * samples_; sample < (row + 1) * samples_; ++sample) {
      float* delta = scratch_.data() + sample * stride_;
      dz.read_row(sample, 0, latent_dim_, delta);
      for (std::size_t i = 0; i < stride_; i += W) {
        const Packet d = load(delta + i), draw = mul(load(eps(sample) + i), load(sigma_.data() + at + i));
        store(dmu_.data() + at + i, add(d, load(dmu_.data() + at + i)));
        store(dlogvar_.data() + at + i, fma(mul(half, d), draw, load(dlogvar_.data() + at + i)));
      }
    }
    write_gradient(dhead, row);
  }
}

// Let g be the gradient of a sample's loss with respect to z, s its share, r the row_weight and w = r s. Then
// d loss / d mu = sum g and d loss / d logvar = sum g eps sigma / 2, where the sums run over the samples. dz already
// contains w dnll.
//     standard                g = w (dnll + beta z), and log q adds -r beta / 2 to d loss / d logvar
//     path                    g = w (dnll + beta (z - eps / sigma))
//     doubly reparameterized  the g of `path` times 1 + beta (s - 1), which is s for beta = 1
void Posterior::backward_samples(const float* row_weight, const float* share, double beta, Objective::Gradient gradient,
                                 Panels& dhead, int first, int last) {
  using namespace simd;
  const bool standard = gradient == Objective::Gradient::standard;
  const bool squared = gradient == Objective::Gradient::doubly_reparameterized;
  const Packet half = set(0.5f), b = set(static_cast<float>(beta));
  const Packet direct = set(standard ? static_cast<float>(-0.5 * beta) : 0.f);
  for (int row = first; row < last; ++row) {
    const std::size_t at = row * stride_;
    const Packet of_row = set(row_weight[row]);
    for (std::size_t i = 0; i < stride_; i += W) {
      store(dmu_.data() + at + i, zero());
      store(dlogvar_.data() + at + i, mul(of_row, direct));
    }
    for (int sample = row * samples_; sample < (row + 1) * samples_; ++sample) {
      const Packet s = set(share[sample]), w = mul(of_row, s);
      const Packet again = squared ? fma(b, sub(s, set(1.f)), set(1.f)) : set(1.f);
      float* delta = scratch_.data() + sample * stride_;
      dz.read_row(sample, 0, latent_dim_, delta);
      for (std::size_t i = 0; i < stride_; i += W) {
        const Packet sigma = load(sigma_.data() + at + i), noise = load(eps(sample) + i);
        const Packet value = fma(sigma, noise, load(mu_.data() + at + i));
        const Packet push = standard ? value : sub(value, div(noise, sigma));
        const Packet g = mul(again, fma(mul(w, b), push, load(delta + i)));
        store(dmu_.data() + at + i, add(g, load(dmu_.data() + at + i)));
        store(dlogvar_.data() + at + i, fma(mul(half, g), mul(noise, sigma), load(dlogvar_.data() + at + i)));
      }
    }
    write_gradient(dhead, row);
  }
}

void Posterior::write_gradient(Panels& dhead, int row) {
  const std::size_t at = row * stride_;
  for (std::size_t i = at; i < at + stride_; i += W)
    simd::store(dlogvar_.data() + i, simd::mul(simd::load(slope_.data() + i), simd::load(dlogvar_.data() + i)));
  dhead.write_row(row, 0, latent_dim_, dmu_.data() + at);
  dhead.write_row(row, latent_dim_, latent_dim_, dlogvar_.data() + at);
}

}  // namespace vaefast
