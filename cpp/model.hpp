// The parameters of a VAE and the maths that they stand for; no memory for data, no training.
#pragma once

#include "likelihood.hpp"
#include "network.hpp"
#include "types.hpp"

namespace vaefast {

class Model {
 public:
  Model(Shape shape, const Activation& activation, const Likelihood& likelihood, bool learn_sigma);

  Shape shape;
  Network encoder;  // features -> ... -> 2 latent_dim: mu, raw logvar
  Network decoder;  // latent_dim -> ... -> features
  const Likelihood* likelihood;
  Parameter log_sigma;  // (1, features), of a likelihood with a scale
  bool learn_sigma;

  // Every tensor by name, in the order of the data.
  std::vector<NamedTensor> tensors();
  // Weights and biases uniform within 1 / sqrt(fan in), PyTorch's default; a learned log_sigma 0.
  void initialize(std::uint64_t seed);
  // Keeps log_sigma within [-7, 14] after a step: a column that never varies would pull sigma to 0 and the density to
  // infinity.
  void clamp_log_sigma();
  // After tensors were written from outside.
  void weights_changed();

  // Multiplications and additions of one row, forward.
  double flops() const;
};

}  // namespace vaefast
