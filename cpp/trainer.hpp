// One optimiser step in two phases: rows, then weights.
//
//     rows phase      each thread takes some rows of the batch all the way: encoder, posterior, decoder, ELBO, and back
//     weights phase   each thread takes some tiles of the weights: gradient, and the optimiser in place
//
// A tile's gradient is summed by one thread over the whole batch in order, so that the result is the same for any
// number of threads.
#pragma once

#include <optional>

#include "data.hpp"
#include "elbo.hpp"
#include "optimizer.hpp"
#include "threads.hpp"

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
  // A piece of the weights phase: rows tile * NR ..., columns of `panel`, of a layer's weights, with the bias for the
  // first tile of a panel; or, where layer is null, the log scale of columns.
  struct Tile {
    Dense* layer;
    Columns* columns;
    const Panels* input;  // (batch, in)
    const Panels* delta;  // (batch, out)
    int panel, tile, rows;
    int samples;  // rows of delta for one of the batch
  };

  Loss rows_phase(const Rows& rows, const std::int64_t* index, int count, const StepSettings& settings,
                  const Noise& noise);
  void weigh_kl(int count, const StepSettings& settings);
  void fit_sigma(int count);
  template <class Sink>
  void weights_phase(int count, Sink&& sink);
  // Calls f(parameter, offset, n) for what the tile is made of.
  template <class F>
  void for_runs(const Tile& tile, F&& f);
  void clip_and_apply(int count);
  void make_gradients();
  void make_room(int count, bool missing);
  void share_tiles(int threads);
  void add_tiles(Network& network, const Panels& x, const Activations& a, int samples);
  int threads_for(int count, int parts) const;
  void draw_noise(const Noise& noise, int first, int last);
  void corrupt(const Noise& noise, int first, int last);
  static void finish(const Tile& tile);
  static void prefetch(const Tile& tile);

  Model& model_;
  Team& team_;
  Objective objective_;
  Regularization regularization_;
  std::optional<Batch> batch_;
  Buffer noise_;  // (per sample, latent_dim rounded up to a multiple of 4)
  std::vector<Tile> tiles_;
  std::vector<int> shares_;           // thread t works on tiles_[shares_[t]] ... tiles_[shares_[t + 1] - 1]
  std::vector<double> square_norms_;  // of each tile's gradient, where it is to be clipped
};

}  // namespace vaefast
