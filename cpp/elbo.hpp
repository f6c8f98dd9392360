// The rows phase of a step. It takes a batch through encoder, posterior, decoder and likelihood to the ELBO, and back
// to the deltas of every layer. Each function computes one thread's share: some rows or, in wide layers, some columns.
#pragma once

#include "model.hpp"
#include "posterior.hpp"

namespace vaefast {

// The purpose of a batch, which decides what the batch allocates.
struct BatchKind {
  int samples = 1;  // samples of z per row
  bool training = false;
  bool missing = false;  // x may contain NaN
  bool corrupted = false;
  bool terms = false;  // -log p(x | z) is kept for each feature

  bool operator==(const BatchKind&) const = default;
};

// All arrays that are computed for a batch of up to `rows` rows. They are allocated once and reused for every batch.
// "Per sample" below stands for rows * samples rows.
struct Batch {
  Batch(const Model& model, int rows, const BatchKind& kind);

  int rows;
  BatchKind kind;
  Panels x;                         // (rows, features + conditions): the encoder's input
  Nonzeros nonzeros;                // nonzero elements of x, marked by encode()
  Panels target;                    // (rows, features): the likelihood's input if it is not x; otherwise empty
  Panels mask;                      // (rows, features): 0 where x is missing; empty unless kind.missing
  std::vector<float> log_exposure;  // per row
  std::vector<int> data_row;        // per sample: its row of the data
  Activations encoder, decoder;
  Posterior posterior;
  Panels terms;   // (per sample, features): -log p(x | z); empty unless kind.terms
  Panels output;  // (per sample, features); empty in training, where decoder.delta.back() replaces it
  std::vector<Panels> log_scale_delta;  // per Columns: (per sample, count); empty if its scale is not trained
  // (panels or Columns, per sample): -log p(x | z), summed over the features of one panel or of one Columns
  std::vector<double> nll;
  int sums_per_sample;
  double* nll_of(int part, int sample) {
    return nll.data() + static_cast<std::size_t>(part) * rows * kind.samples + sample;
  }
  std::vector<double> log_volume;      // per row: what standardization adds to -log p(x | z) in the caller's units
  std::vector<double> reconstruction;  // -log p(x | z) in nats and in the caller's units, per sample
  bool weighted = false;               // row_weight may differ from 1
  std::vector<float> row_weight;       // per row: its weight in the loss of the batch; the mean is 1
  std::vector<float> share;            // per sample: its share in the gradient of its row's loss
  std::vector<float> factor;           // per sample: factor of the deltas of the output
  std::vector<double> bound;           // lower bound of log p(x), per row

  // The features of one Columns, copied to separate matrices. Not needed if a model is processed block by block.
  struct Part {
    Panels output, x;
    Panels mask;     // empty unless kind.missing
    Panels columns;  // (1, count): a mask without missing values, which all rows share
    Panels terms;
  };
  std::vector<Part> parts;

  // Copies x, standardized, with conditions and exposure of the caller's row `index` to row `row`.
  void load_row(const Model& model, const Rows& rows, std::int64_t index, int row);
  const Panels& seen_by_likelihood() const { return target.empty() ? x : target; }
};

// x -> mu, logvar, kl. `dropout` is null except in training.
void encode(const Model& model, Batch& batch, const Share& share, const Dropout* dropout = nullptr);
// x -> mu only, in the first columns of batch.posterior.head. The bits are those of encode().
void encode_mean(const Model& model, Batch& batch, const Share& share);
// mu, logvar, eps -> z, reconstruction. `dropout` is null except in training.
void decode_and_score(const Model& model, Batch& batch, const Share& share, const Dropout* dropout = nullptr);
// reconstruction, kl -> bound, share. Multiplies the deltas of the output by share and row_weight.
void weigh_samples(Batch& batch, const Objective& objective, double beta, int first, int last);
// Multiplies rows [first, last) by their factors.
void scale_rows(Panels& m, const std::vector<float>& factor, int first, int last);
// Computes the deltas for the weighted sum of the rows' losses. batch.posterior.kl_weight must be set.
void backward(const Model& model, Batch& batch, const Objective& objective, double beta, const Share& share);
// z -> E[x | z] in the caller's units, in batch.output.
void decode_mean(const Model& model, Batch& batch, const Share& share);
// The decoder's output -> E[x | z] in the caller's units, in batch.output. `samples` are those of the batch, not rows.
void output_to_mean(const Model& model, Batch& batch, const Share& samples);

}  // namespace vaefast
