// One optimizer step, in two phases.
//
//     rows phase      each thread takes some rows of the batch through encoder, posterior, decoder and ELBO, and back;
//                     in layers with at least as many columns as the batch has rows, it takes some columns of all rows
//     weights phase   each thread computes the gradient of some tiles of the weights and updates them in place
//
// One thread sums a tile's gradient over the whole batch in order, so the result is the same for any number of threads.
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
  Trainer(Model& model, ThreadPool& pool, const Optimizer& optimizer);

  Optimizer optimizer;
  PhaseSeconds seconds;  // total of all completed steps

  void set_objective(const Objective& objective, const Regularization& regularization);
  const Objective& objective() const { return objective_; }

  // Takes one step on rows index[0], ..., index[count - 1]. If the loss is not finite, the weights do not change.
  Loss step(const Rows& rows, const std::int64_t* index, int count, const StepSettings& settings, const Noise& noise);
  // Writes the gradient of the weighted mean loss to every parameter's `gradient`. The weights do not change.
  Loss gradients(const Rows& rows, const std::int64_t* index, int count, const StepSettings& settings,
                 const Noise& noise);

 private:
  Loss rows_phase(const Rows& rows, const std::int64_t* index, int count, const StepSettings& settings,
                  const Noise& noise, const ThreadLimit& limit);
  void weights_phase(int count, double learning_rate, const ThreadLimit& limit);
  void weigh_rows(const Rows& rows, const std::int64_t* index, int count);
  void weigh_kl(int count, const StepSettings& settings);
  void fit_sigma(int count);
  void make_room(int count, bool missing);
  void draw_noise(const Noise& noise, int first, int last);
  void corrupt(const Noise& noise, int first, int last);

  Model& model_;
  ThreadPool& pool_;
  Objective objective_;
  Regularization regularization_;
  std::optional<Batch> batch_;
  float next_log_sigma_ = 0;                   // Scale::optimal: log sigma after this step
  Buffer noise_;                               // (per sample, latent_dim rounded up to a multiple of 4)
  std::optional<WeightsPhase> weights_phase_;  // for batch_
  ThreadTrial trial_;                          // for small steps
};

}  // namespace vaefast
