// Inference with a trained model on any number of rows: encoding, decoding and scoring. An Inference is a work space
// for one caller at a time. Several of them share a model and its thread pool.
#pragma once

#include <atomic>
#include <optional>

#include "data.hpp"
#include "elbo.hpp"
#include "threads.hpp"

namespace vaefast {

class Inference {
 public:
  Inference(const Model& model, ThreadPool& pool) : model_(model), pool_(pool), queue_(pool.size()) {}

  // The following functions that read rows return false if a value lies outside rows.limits. Their results are then
  // incomplete.

  // mu, logvar: (n, latent_dim). logvar may be null.
  bool encode(const Rows& rows, std::int64_t n, float* mu, float* logvar);
  // z: (n, latent_dim + conditions) -> mean: (n, features), E[x | z]
  void decode(const float* z, std::int64_t n, float* mean);
  // reconstruction, kl: (n), nats. Draws one z per row. The noise is given, or a function of noise.seed and the row's
  // content. If `deterministic`, z = mu and kl = 0.
  bool score(const Rows& rows, std::int64_t n, const Noise& noise, bool deterministic, double* reconstruction,
             double* kl);
  // terms: (n, features), nats. Each feature's contribution to -log p(x | z) at z = mu.
  void contributions(const Rows& rows, std::int64_t n, float* terms);
  // estimate, standard_error: (n), nats. Estimates log p(x) of each row from `samples` samples of q(z | x) (Burda et
  // al. 2016, eq. 8). The noise is a function of `seed` and the row's content.
  void log_likelihood(const Rows& rows, std::int64_t n, int samples, std::uint64_t seed, double* estimate,
                      double* standard_error);
  // mean: (n, features). Estimates E[x | what is known of x] of each row by the means of `samples` samples of q(z | x),
  // weighted by their importance (Mattei & Frellsen 2019, eq. 12). The noise is that of log_likelihood().
  void impute(const Rows& rows, std::int64_t n, int samples, std::uint64_t seed, float* mean);
  // z: (n, samples, latent_dim), log_weights: (n, samples), nats. The samples of log_likelihood().
  void importance_samples(const Rows& rows, std::int64_t n, int samples, std::uint64_t seed, float* z,
                          double* log_weights);

 private:
  // Splits rows [0, n) into tasks of at most `most` rows and calls f(row, share) for each, in parallel. The task is to
  // process rows [row, row + share.last - share.first). It may use rows [share.first, share.last) of batch_, which is
  // of kind `kind`. If there are only a few rows, all threads together process them as one task, in which each of them
  // computes some columns of wide layers.
  template <class F>
  void for_tasks(std::int64_t n, double flops_per_row, int most, const BatchKind& kind, F&& f);
  // Makes room in batch_ for this many rows.
  void make_room(int rows, const BatchKind& kind);
  // Loads the rows of a share, the first of which is `row` of the caller. Returns false, and loads nothing more, if a
  // value lies outside of the limits.
  bool load(const Rows& rows, std::int64_t row, const Share& share);
  int rows_at_a_time() const;
  // Scores n rows with one z each. draw(row, slot) writes the noise of a row to row `slot` of batch_, and
  // store(row, slot) reads the results from there.
  template <class Draw, class Store>
  bool score_rows(const Rows& rows, std::int64_t n, const BatchKind& kind, Draw&& draw, Store&& store);

  // Draws `samples` samples of z for each row. make() returns an accumulator, which gets the log importance weight and
  // the slot in batch_ of each sample by add(log_weight, slot), and store(row, accumulator) reads the result.
  template <class Make, class Store>
  void weigh_rows(const Rows& rows, std::int64_t n, int samples, std::uint64_t seed, Make&& make, Store&& store);

  const Model& model_;
  ThreadPool& pool_;
  std::optional<Batch> batch_;
  WorkQueue queue_;                   // tasks of the current call
  std::atomic<bool> refused_{false};  // whether a value lay outside of the limits of the current call
};

}  // namespace vaefast
