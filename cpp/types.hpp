// Plain data that crosses the core's border. No packets: this header means the same for every instruction set.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace vaefast {

struct Shape {
  int features;
  std::vector<int> encoder;  // widths of the hidden layers, from the data on
  int latent_dim;
  std::vector<int> decoder;  // from the latent space on
  int conditions = 0;        // numbers beside x that encoder and decoder are told
};

// Consecutive features with the same likelihood. A likelihood that joins columns takes them for one variable.
struct ColumnsSpec {
  std::string likelihood;
  int count;
};

// How a likelihood's scale (its sigma, say) is had: set from outside; trained for each feature; trained, one for all;
// or the best for each batch (Rybkin et al. 2021).
enum class Scale { fixed, per_feature, global, optimal };

// The caller's rows, read where they lie: (n, cols) row-major float32, or bytes that stand for byte / divisor.
// Just one of the first two pointers is set.
struct Rows {
  const float* floats = nullptr;
  const std::uint8_t* bytes = nullptr;
  int cols = 0;
  float divisor = 255;
  bool missing = false;                 // whether NaN stands for a missing value
  const float* conditions = nullptr;    // (n, Shape::conditions)
  const float* log_exposure = nullptr;  // (n); null: 0
};

// Where the noise of a batch comes from: given, (rows, samples, latent_dim) row-major, or drawn by (seed, step).
struct Noise {
  const float* given = nullptr;
  std::uint64_t seed = 0, step = 0;
};

// What training maximises, and how its gradient is estimated. docs/maths.md has the formulas.
struct Objective {
  bool importance = false;  // IWAE's bound on log p(x) instead of the ELBO (Burda et al. 2016)
  bool variational = true;  // false: a plain autoencoder, without noise and without KL
  enum class Gradient {
    standard,
    path,                   // sticking the landing (Roeder et al. 2017)
    doubly_reparameterised  // with `importance` (Tucker et al. 2018)
  } gradient = Gradient::standard;
  int samples = 1;       // of z per row
  double free_bits = 0;  // nats per latent dimension
};

struct Regularization {
  double dropout = 0;  // of hidden units
  enum class Corruption { none, mask, gaussian, salt_and_pepper } corruption = Corruption::none;
  double corruption_amount = 0;  // of what the encoder sees: probability, or standard deviation
  double max_norm = 0;           // of the gradient; 0: any
};

// What may change with every step.
struct StepSettings {
  double learning_rate = 0, beta = 1;
  std::optional<double> capacity;  // nats: beta |KL - capacity| instead of beta KL (Burgess et al. 2018)
};

// Sums over the rows of a batch, nats. bound: of log p(x), IWAE's or the ELBO.
struct Loss {
  double reconstruction = 0, kl = 0, bound = 0;
};

// What the two phases of the steps took.
struct PhaseSeconds {
  double rows = 0, weights = 0;
};

struct OptimizerSettings {
  double momentum, beta1, beta2, epsilon, weight_decay;
};

}  // namespace vaefast
