// One optimiser step in two phases: rows, then weights.
//
//     rows phase      each thread takes some rows of the batch all the way: encoder, posterior, decoder, ELBO,
//                     and back; in layers as wide as the batch is high, some columns of all rows
//     weights phase   each thread takes some tiles of the weights: gradient, and the optimiser in place
//
// A tile's gradient is summed by one thread over the whole batch in order, so that the result is the same for any
// number of threads.
#pragma once

#include <optional>

#include "data.hpp"
#include "elbo.hpp"
#include "threads.hpp"
#include "trial.hpp"
#include "weights_phase.hpp"

namespace vaefast {

class Trainer {
 public:
  Trainer(Model& model, Team& team, const Optimizer& optimizer);

  Optimizer optimizer;
  PhaseSeconds seconds;  // of all steps so far

  void set_objective(const Objective& objective, const Regularization& regularization);
  const Objective& objective() const { return objective_; }

  // One step on rows[index[0 .. count)]. When the loss is not finite, the weights stay as they were.
  Loss step(const Rows& rows, const std::int64_t* index, int count, const StepSettings& settings, const Noise& noise);
  // The same, but the gradient of the mean loss goes to every parameter's `gradient`, and the weights stay.
  Loss gradients(const Rows& rows, const std::int64_t* index, int count, const StepSettings& settings,
                 const Noise& noise);

 private:
  Loss rows_phase(const Rows& rows, const std::int64_t* index, int count, const StepSettings& settings,
                  const Noise& noise, const ThreadLimit& limit);
  void weights_phase(int count, double learning_rate, const ThreadLimit& limit);
  void weigh_kl(int count, const StepSettings& settings);
  void fit_sigma(int count);
  void make_room(int count, bool missing);
  void draw_noise(const Noise& noise, int first, int last);
  void corrupt(const Noise& noise, int first, int last);

  Model& model_;
  Team& team_;
  Objective objective_;
  Regularization regularization_;
  std::optional<Batch> batch_;
  float next_log_sigma_ = 0;                   // of an optimal sigma, after this step
  Buffer noise_;                               // (per sample, latent_dim rounded up to a multiple of 4)
  std::optional<WeightsPhase> weights_phase_;  // of batch_
  ThreadTrial trial_;                          // of small steps
};

}  // namespace vaefast
