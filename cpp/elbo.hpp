// The rows phase: a batch through encoder, posterior, decoder and likelihood to its ELBO, and back to the deltas of
// every layer. Each function does a thread's share, of rows or, in wide layers, of columns.
#pragma once

#include "model.hpp"
#include "posterior.hpp"

namespace vaefast {

// What a batch is made for.
struct BatchKind {
  int samples = 1;  // of z per row
  bool training = false;
  bool missing = false;  // x may have NaN
  bool corrupted = false;
  bool terms = false;  // -log p(x | z) of each feature is kept

  bool operator==(const BatchKind&) const = default;
};

// All that is computed of a batch of up to `rows` rows. Made once, used for every batch. Per sample: rows * samples.
struct Batch {
  Batch(const Model& model, int rows, const BatchKind& kind);

  int rows;
  BatchKind kind;
  Panels x;                         // (rows, features + conditions): what the encoder sees
  Nonzeros nonzeros;                // of x; encode finds them
  Panels target;                    // (rows, features): what the likelihood sees, where it is not x
  Panels mask;                      // (rows, features): 0 where x is missing; only if x may be
  std::vector<float> log_exposure;  // per row
  std::vector<int> data_row;        // of each sample
  Activations encoder, decoder;
  Posterior posterior;
  Panels terms;   // (per sample, features): -log p(x | z) of each, if they are kept
  Panels output;  // (per sample, features), when not training: then it becomes decoder.delta.back()
  std::vector<Panels> log_scale_delta;  // (per sample, count) of each Columns, where they are trained
  // -log p(x | z), summed over the columns of a panel, or over those of a Columns: (panels or Columns, per sample)
  std::vector<double> nll;
  int sums_per_sample;
  double* nll_of(int part, int sample) {
    return nll.data() + static_cast<std::size_t>(part) * rows * kind.samples + sample;
  }
  std::vector<double> reconstruction;  // -log p(x | z) in nats, per sample
  std::vector<float> weight;           // of each sample in the objective's gradient
  std::vector<double> bound;           // of log p(x), per row

  // A model of several Columns: their parts of the output, of x and of the mask, as matrices of their own.
  struct Part {
    Panels output, x, mask, terms;
  };
  std::vector<Part> parts;

  // x, conditions and exposure of the caller's row `index`, as row `row`.
  void load_row(const Model& model, const Rows& rows, std::int64_t index, int row);
  const Panels& seen_by_likelihood() const { return target.empty() ? x : target; }
};

// x -> mu, logvar, kl. dropout: null but in training, here and below
void encode(const Model& model, Batch& batch, const Share& share, const Dropout* dropout = nullptr);
// mu, logvar, eps -> z, reconstruction
void decode_and_score(const Model& model, Batch& batch, const Share& share, const Dropout* dropout = nullptr);
// reconstruction, kl -> bound, weight; the deltas of the output get their weights
void weigh_samples(Batch& batch, const Objective& objective, double beta, int first, int last);
// multiplies rows [first, last) by their factors
void scale_rows(Panels& m, const std::vector<float>& factor, int first, int last);
// the deltas of the sum of the rows' losses; batch.posterior.kl_weight must be set
void backward(const Model& model, Batch& batch, const Objective& objective, double beta, const Share& share);
// z -> E[x | z] in batch.output
void decode_mean(const Model& model, Batch& batch, const Share& share);

}  // namespace vaefast
