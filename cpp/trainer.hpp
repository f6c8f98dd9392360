// One optimizer step, in two phases.
//
//     rows phase      each thread takes some rows of the batch through encoder, posterior, decoder and ELBO, and back;
//                     in layers with at least as many columns as the batch has rows, it takes some columns of all rows
//     weights phase   each thread computes the gradient of some tiles of the weights and updates them in place
//
// One thread sums a tile's gradient over the whole batch in order, so the result is the same for any number of threads.
//
// Several processes take the same step together. Each computes its own rows of the batch, gathers those of the others,
// computes its own tiles of the weights, and gathers those of the others. No sum is split between processes, so the
// result is the same for any number of them.
#pragma once

#include <optional>

#include "data.hpp"
#include "elbo.hpp"
#include "row_exchange.hpp"
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
  // From now on, steps are those of several processes. Null stands for one process. `exchange` must outlive its use.
  void set_exchange(Exchange* exchange);
  // Gives every process all moments. Between steps, a process has only those of its own tiles.
  void gather_moments();

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
  void fit_sigma(int count, int first, int last);
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
  Exchange* exchange_ = nullptr;               // null if there is one process
  std::optional<RowExchange> row_exchange_;    // for batch_, if there are several processes
  std::optional<WeightsPhase> weights_phase_;  // for batch_
  ThreadTrial trial_;                          // for small steps
};

}  // namespace vaefast
