// The parameters of a VAE and the networks that they form. A Model holds no data and does no training.
#pragma once

#include "likelihood.hpp"
#include "network.hpp"
#include "standardization.hpp"
#include "types.hpp"

namespace vaefast {

// Features [first, first + count) of the data, which share one likelihood.
struct Columns {
  const Likelihood* likelihood;
  int first, count;
  Parameter log_scale;  // (1, count); empty if the likelihood has no scale
};

class Model {
 public:
  Model(Shape shape, const Activation& activation, std::vector<Columns> columns, Scale scale, double df);

  Shape shape;
  Network encoder;  // features + conditions -> ... -> 2 latent_dim: mu, raw logvar
  Network decoder;  // latent_dim + conditions -> ... -> features
  std::vector<Columns> columns;
  Scale scale;
  float df, df_constant;  // Student t: see LikelihoodBlock
  Standardization standardization;

  // Returns every tensor with its name, from the encoder's first layer to the scales.
  std::vector<NamedTensor> tensors();
  // Returns whether the optimizer trains the scale of these columns.
  bool trains_scale(const Columns& c) const {
    return c.likelihood->scale && (scale == Scale::per_feature || scale == Scale::global);
  }
  // Draws weights and biases uniformly from +-1 / sqrt(fan in), PyTorch's default. Sets log scales to 0 unless they are
  // fixed.
  void initialize(std::uint64_t seed);
  // Clamps trained log scales between -7 and the likelihood's largest one. Otherwise a column that never varies would
  // pull sigma to 0 and the density to infinity.
  void clamp_log_scales();
  // Must be called after tensors were written from outside.
  void weights_changed();

  // Returns the operations (additions and multiplications) of a forward pass per row.
  double flops() const { return encoder.flops() + decoder.flops(); }
  // Returns the operations per row of one of the two phases of a training step. A step computes three products of the
  // forward pass's size, and each phase counts for half of them.
  double phase_flops(int samples) const { return 1.5 * (encoder.flops() + samples * decoder.flops()); }
};

inline constexpr float smallest_log_scale = -7;

}  // namespace vaefast
