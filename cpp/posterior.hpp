// The posterior q(z | x) = N(mu, diag(exp(logvar))): samples of z, the KL divergence from N(0, I), and their gradients.
#pragma once

#include <vector>

#include "panels.hpp"
#include "types.hpp"

namespace vaefast {

// The posteriors of a batch of `rows` rows, with `samples` samples of z per row. In arrays that are per sample, row
// i * samples + j belongs to sample j of row i. The rows of the plain buffers are `stride` floats apart and zero beyond
// latent_dim.
class Posterior {
 public:
  // conditions: number of columns of z after the first latent_dim, which the caller fills
  Posterior(int rows, int samples, int latent_dim, int conditions);

  // The encoder's output holds mu in columns [0, latent_dim) and the raw log-variance in the next latent_dim columns.
  Panels head;                    // (rows, 2 latent_dim)
  Panels z;                       // (rows samples, latent_dim + conditions)
  Panels dz;                      // d loss / d z
  std::vector<double> kl;         // nats, per row
  std::vector<double> log_ratio;  // log p(z) - log q(z | x), per sample
  Buffer kl_weight;               // (latent_dim): factor of each dimension's KL in the gradient

  float* eps(int sample) { return eps_.data() + sample * stride_; }  // filled by the caller
  const float* mu(int row) const { return mu_.data() + row * stride_; }
  const float* logvar(int row) const { return logvar_.data() + row * stride_; }
  const float* kl_terms(int row) const { return kl_terms_.data() + row * stride_; }  // KL of each dimension
  float* kl_terms(int row) { return kl_terms_.data() + row * stride_; }
  std::size_t stride() const { return stride_; }

  // head -> mu, logvar (bounded), kl
  void read_head(int first, int last);
  // mu, logvar, eps -> z, log_ratio
  void sample(int first, int last);
  // dz -> d loss / d head, where loss = reconstruction + KL, with the KL in closed form, weighted by kl_weight.
  // `row_weight` holds a factor for each row. dz is the gradient of the reconstruction and already contains it.
  void backward(const float* row_weight, Panels& dhead, int first, int last);
  // The same with the KL estimated from the samples as -log_ratio. `share` holds a factor for each sample. dz contains
  // both factors.
  void backward_samples(const float* row_weight, const float* share, double beta, Objective::Gradient gradient,
                        Panels& dhead, int first, int last);

 private:
  void write_gradient(Panels& dhead, int row);

  int samples_, latent_dim_;
  std::size_t stride_;
  Buffer mu_, logvar_, sigma_, slope_, kl_terms_, dmu_, dlogvar_;  // slope_: d logvar / d raw logvar
  Buffer eps_, scratch_;                                           // per sample
};

}  // namespace vaefast
