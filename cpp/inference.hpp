// A trained model at work on any number of rows: encode, decode, score.
#pragma once

#include <optional>

#include "data.hpp"
#include "elbo.hpp"
#include "threads.hpp"

namespace vaefast {

class Inference {
 public:
  Inference(const Model& model, Team& team) : model_(model), team_(team) {}

  // mu, logvar: (n, latent_dim)
  void encode(const Rows& rows, std::int64_t n, float* mu, float* logvar);
  // z: (n, latent_dim) -> mean: (n, features), E[x | z]
  void decode(const float* z, std::int64_t n, float* mean);
  // reconstruction, kl: (n), nats. One z a row, from noise that is named by noise.seed and the row's content,
  // or given.
  void score(const Rows& rows, std::int64_t n, const Noise& noise, double* reconstruction, double* kl);

 private:
  // Calls f(row, first, count) for pieces of [row, row + count) of n, in parallel; each has rows [first, first + count)
  // of batch_.
  template <class F>
  void for_pieces(std::int64_t n, double flops_per_row, F&& f);

  const Model& model_;
  Team& team_;
  std::optional<Batch> batch_;
};

}  // namespace vaefast
