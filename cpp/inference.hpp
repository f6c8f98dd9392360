// A trained model at work on any number of rows: encode, decode, score.
#pragma once

#include <optional>

#include "data.hpp"
#include "elbo.hpp"
#include "threads.hpp"

namespace vaefast {

class Inference {
 public:
  Inference(const Model& model, Team& team) : model_(model), team_(team), pieces_(team.size()) {}

  // mu, logvar: (n, latent_dim)
  void encode(const Rows& rows, std::int64_t n, float* mu, float* logvar);
  // z: (n, latent_dim + conditions) -> mean: (n, features), E[x | z]
  void decode(const float* z, std::int64_t n, float* mean);
  // reconstruction, kl: (n), nats. One z a row, from noise that is named by noise.seed and the row's content,
  // or given. mean_code: z = mu, no noise.
  void score(const Rows& rows, std::int64_t n, const Noise& noise, bool mean_code, double* reconstruction, double* kl);
  // What each feature adds to -log p(x | z) at z = mu: (n, features), nats.
  void contributions(const Rows& rows, std::int64_t n, float* terms);
  // log p(x) of each row by `samples` z from q(z | x), and that estimate's standard error: (n), nats
  // (Burda et al. 2016, eq. 8). Noise as for score.
  void log_likelihood(const Rows& rows, std::int64_t n, int samples, std::uint64_t seed, double* estimate,
                      double* standard_error);

 private:
  // Calls f(row, first, count) for pieces of [row, row + count) of n, in parallel; f has rows [first, first + count) of
  // batch_, the thread's, which has so many samples a row. most: rows of a piece.
  template <class F>
  void for_pieces(std::int64_t n, double flops_per_row, int most, const BatchKind& kind, F&& f);
  int rows_at_a_time() const;
  // Scores n rows with one z each, of the noise that draw(row, slot) writes to the row's slot in batch_; then take(row,
  // slot).
  template <class Draw, class Take>
  void score_rows(const Rows& rows, std::int64_t n, const BatchKind& kind, Draw&& draw, Take&& take);

  const Model& model_;
  Team& team_;
  std::optional<Batch> batch_;
  Pieces pieces_;  // that nobody has taken
};

}  // namespace vaefast
