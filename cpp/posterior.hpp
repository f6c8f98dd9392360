// q(z | x) = N(mu, diag(exp(logvar))): samples z, the divergence from N(0, I), and the gradients of both.
#pragma once

#include <vector>

#include "panels.hpp"
#include "types.hpp"

namespace vaefast {

// Everything about the posteriors of a batch of `rows` rows, of which each has `samples` z: sample j of row i is row
// i * samples + j of whatever is per sample. Rows of the plain buffers are `stride` floats apart, zero beyond
// latent_dim.
class Posterior {
 public:
  // conditions: columns of z after the first latent_dim, which are the caller's
  Posterior(int rows, int samples, int latent_dim, int conditions);

  // The encoder's head holds mu in columns [0, latent_dim) and the raw log-variance in the next latent_dim.
  Panels head;                    // (rows, 2 latent_dim)
  Panels z;                       // (rows samples, latent_dim + conditions)
  Panels dz;                      // d loss / d z
  std::vector<double> kl;         // nats, per row
  std::vector<double> log_ratio;  // log p(z) - log q(z | x), per sample
  Buffer kl_weight;               // (latent_dim): what the gradient of each dimension's KL is multiplied by

  float* eps(int sample) { return eps_.data() + sample * stride_; }  // to be filled by the caller
  const float* mu(int row) const { return mu_.data() + row * stride_; }
  const float* logvar(int row) const { return logvar_.data() + row * stride_; }
  const float* kl_terms(int row) const { return kl_terms_.data() + row * stride_; }  // of each dimension

  // head -> mu, logvar (bounded), kl
  void read_head(int first, int last);
  // mu, logvar, eps -> z, log_ratio
  void sample(int first, int last);
  // dz -> d loss / d head, where loss = reconstruction + KL, the KL in closed form and weighed by kl_weight
  void backward(Panels& dhead, int first, int last);
  // The same where the KL is that of the samples, -log_ratio: `weight` has a factor for each sample, that dz, being the
  // gradient of the sample's reconstruction, does not have yet.
  void backward_samples(const float* weight, double beta, Objective::Gradient gradient, Panels& dhead, int first,
                        int last);

 private:
  void write_gradient(Panels& dhead, int row);

  int samples_, latent_dim_;
  std::size_t stride_;
  Buffer mu_, logvar_, sigma_, slope_, kl_terms_, dmu_, dlogvar_;  // slope: d logvar / d raw
  Buffer eps_, scratch_;                                           // per sample
};

}  // namespace vaefast
