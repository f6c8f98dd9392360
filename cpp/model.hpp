// The parameters of a VAE and the maths that they stand for; no memory for data, no training.
#pragma once

#include "likelihood.hpp"
#include "network.hpp"
#include "types.hpp"

namespace vaefast {

// Features [first, first + count) of the data, which have the same likelihood.
struct Columns {
  const Likelihood* likelihood;
  int first, count;
  Parameter log_scale;  // (1, count), of a likelihood with a scale
};

class Model {
 public:
  Model(Shape shape, const Activation& activation, std::vector<Columns> columns, Scale scale, double df);

  Shape shape;
  Network encoder;  // features + conditions -> ... -> 2 latent_dim: mu, raw logvar
  Network decoder;  // latent_dim + conditions -> ... -> features
  std::vector<Columns> columns;
  Scale scale;
  float df, df_constant;  // of a Student t: degrees of freedom, and what LikelihoodBlock says

  // Every tensor by name, in the order of the data.
  std::vector<NamedTensor> tensors();
  // Whether the optimiser trains the scale of these columns.
  bool trains_scale(const Columns& c) const {
    return c.likelihood->scale && (scale == Scale::per_feature || scale == Scale::global);
  }
  // Weights and biases uniform within 1 / sqrt(fan in), PyTorch's default; log scales 0, unless they are fixed.
  void initialize(std::uint64_t seed);
  // Keeps trained log scales above -7 and below the likelihood's largest: a column that never varies would pull sigma
  // to 0 and the density to infinity.
  void clamp_log_scales();
  // After tensors were written from outside.
  void weights_changed();

  // Multiplications and additions of one row, forward.
  double flops() const { return encoder.flops() + decoder.flops(); }
  // The same of a training step's rows phase or weights phase: of the three products, each has half.
  double phase_flops(int samples) const { return 1.5 * (encoder.flops() + samples * decoder.flops()); }
};

inline constexpr float smallest_log_scale = -7;

}  // namespace vaefast
