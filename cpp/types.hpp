// Plain data that crosses the core's border. No packets: this header means the same for every instruction set.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace vaefast {

struct Shape {
  int features;
  std::vector<int> encoder;  // widths of the hidden layers, from the data on
  int latent_dim;
  std::vector<int> decoder;  // from the latent space on
};

// The caller's rows, read where they lie: (n, cols) row-major float32, or bytes that stand for byte / 255.
// Just one of the two pointers is set.
struct Rows {
  const float* floats = nullptr;
  const std::uint8_t* bytes = nullptr;
  int cols = 0;
};

// Where the noise of a batch comes from: given, (rows, latent_dim) row-major, or drawn by (seed, step).
struct Noise {
  const float* given = nullptr;
  std::uint64_t seed = 0, step = 0;
};

// Sums over the rows of a batch, nats.
struct Loss {
  double reconstruction = 0, kl = 0;
};

struct OptimizerSettings {
  double momentum, beta1, beta2, epsilon, weight_decay;
};

}  // namespace vaefast
