// q(z | x) = N(mu, diag(exp(logvar))): the sample z, the divergence from N(0, I), and the gradients of both.
#pragma once

#include <vector>

#include "panels.hpp"

namespace vaefast {

// Everything about the posteriors of a batch of `rows` rows. Rows of the plain buffers are `stride` floats apart,
// zero beyond latent_dim.
class Posterior {
 public:
  Posterior(int rows, int latent_dim);

  // The encoder's head holds mu in columns [0, latent_dim) and the raw log-variance in the next latent_dim.
  Panels head;             // (rows, 2 latent_dim)
  Panels z;                // (rows, latent_dim)
  Panels dz;               // d loss / d z
  std::vector<double> kl;  // nats, per row

  float* eps(int row) { return eps_.data() + row * stride_; }  // to be filled by the caller
  const float* mu(int row) const { return mu_.data() + row * stride_; }
  const float* logvar(int row) const { return logvar_.data() + row * stride_; }

  // head -> mu, logvar (bounded)
  void read_head(int first, int last);
  // mu, logvar, eps -> z, kl
  void sample(int first, int last);
  // dz -> d loss / d head, where loss = reconstruction + beta kl
  void backward(float beta, Panels& dhead, int first, int last);

 private:
  int latent_dim_;
  std::size_t stride_;
  Buffer mu_, logvar_, eps_, sigma_, slope_, scratch_;  // slope: d logvar / d raw
};

}  // namespace vaefast
