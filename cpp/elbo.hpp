// The rows phase: a batch through encoder, posterior, decoder and likelihood to its ELBO, and back to the deltas of
// every layer. Each function works on rows [first, last) alone and touches nothing of other rows.
#pragma once

#include "model.hpp"
#include "posterior.hpp"

namespace vaefast {

// All that is computed of a batch of up to `rows` rows. Made once, used for every batch.
struct Batch {
  Batch(const Model& model, int rows, bool training);

  int rows;
  Panels x;  // (rows, features)
  Activations encoder, decoder;
  Posterior posterior;
  Panels output;           // (rows, features), of the decoder, when not training: then it becomes decoder.delta.back()
  Panels log_sigma_delta;  // (rows, features), where sigma is learned
  Buffer nll;              // (rows, W) partial sums
  std::vector<double> reconstruction;  // -log p(x | z) in nats, per row
};

// x -> mu, logvar
void encode(const Model& model, Batch& batch, int first, int last);
// mu, logvar, eps -> z, KL, reconstruction
void decode_and_score(const Model& model, Batch& batch, int first, int last);
// the deltas of mean(reconstruction + beta kl) times the number of rows
void backward(const Model& model, Batch& batch, float beta, int first, int last);
// z -> E[x | z] in batch.output
void decode_mean(const Model& model, Batch& batch, int first, int last);

}  // namespace vaefast
