// Plain data types of the core's interface. They use no packets, so they are the same for every instruction set.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace vaefast {

struct Shape {
  int features;
  std::vector<int> encoder;  // widths of the hidden layers, from the data to the latent space
  int latent_dim;
  std::vector<int> decoder;  // from the latent space to the data
  int conditions = 0;        // numbers per row that encoder and decoder are conditioned on
  bool normalized = false;   // the encoder reads the row divided by its L2 norm, in place of log(1 + x) of counts
};

// Consecutive features with the same likelihood. A likelihood that joins columns treats them as one variable.
struct ColumnsSpec {
  std::string likelihood;
  int count;
};

// The source of a likelihood's scale, such as sigma. It is fixed by the caller, trained per feature, trained as one
// number for all features, or set to the optimum for each batch (Rybkin et al. 2021).
enum class Scale { fixed, per_feature, global, optimal };

// The values that a reading call accepts: low <= value <= high.
struct Limits {
  float low, high;
};

// The caller's rows, which are read in place: (n, cols) row-major float32, float64, or bytes that stand for
// byte / divisor. Exactly one of `floats`, `doubles` and `bytes` is set. Sparse rows (CSR) have `starts`: row i holds
// the values starts[i], ..., starts[i + 1] - 1, in the columns of the same numbers, and 0 in all others.
struct Rows {
  const float* floats = nullptr;
  const double* doubles = nullptr;  // rounded to float32
  const std::uint8_t* bytes = nullptr;
  const std::int64_t* starts = nullptr;   // (n + 1)
  const std::int32_t* columns = nullptr;  // one per value
  int cols = 0;
  float divisor = 255;
  bool missing = false;                 // NaN stands for a missing value
  const float* conditions = nullptr;    // (n, Shape::conditions)
  const float* log_exposure = nullptr;  // (n); null means 0
  const float* weights = nullptr;       // (n): positive weights in the loss of training; null means 1
  std::optional<Limits> limits;         // reading calls refuse other values
};

// The source of a batch's noise: given as (rows, samples, latent_dim) row-major, or drawn from (seed, step).
struct Noise {
  const float* given = nullptr;
  std::uint64_t seed = 0, step = 0;
  int samples = 1;  // of `given`
};

// The objective that training maximizes, and the estimator of its gradient. docs/internals/objectives.md has the
// formulas.
struct Objective {
  bool importance = false;  // IWAE's bound on log p(x) instead of the ELBO (Burda et al. 2016)
  bool variational = true;  // false: a plain autoencoder, without noise and without KL
  enum class Gradient {
    standard,
    path,                   // sticking the landing (Roeder et al. 2017)
    doubly_reparameterized  // only with `importance` (Tucker et al. 2018)
  } gradient = Gradient::standard;
  int samples = 1;       // samples of z per row
  double free_bits = 0;  // nats per latent dimension
};

struct Regularization {
  double dropout = 0;  // probability per hidden unit
  enum class Corruption { none, mask, dropout, gaussian, salt_and_pepper } corruption = Corruption::none;
  double corruption_amount = 0;  // probability or standard deviation of the corruption
  double max_norm = 0;           // limit for the norm of the gradient; 0 means no limit
};

// Settings that may change with every step.
struct StepSettings {
  double learning_rate = 0, beta = 1;
  std::optional<double> capacity;  // nats: beta |KL - capacity| instead of beta KL (Burgess et al. 2018)
};

// Sums over the rows of a batch, in nats, weighted if the rows have weights. `bound` is the lower bound of log p(x):
// the ELBO or IWAE's bound.
struct Loss {
  double reconstruction = 0, kl = 0, bound = 0;
};

// Seconds spent in the two phases of training steps.
struct PhaseSeconds {
  double rows = 0, weights = 0;
};

struct OptimizerSettings {
  double momentum, beta1, beta2, epsilon, weight_decay;
};

}  // namespace vaefast
