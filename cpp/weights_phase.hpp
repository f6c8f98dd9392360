// The second phase of a step: from the deltas of a batch to new weights. The weights are cut into tiles, of which each
// thread has a run; a tile's gradient is summed over the whole batch in order, whoever does it, and the optimiser steps
// on it while it is still in the nearest cache.
#pragma once

#include <vector>

#include "elbo.hpp"
#include "optimizer.hpp"
#include "threads.hpp"

namespace vaefast {

class WeightsPhase {
 public:
  // For the activations and deltas of this batch, which must outlive it.
  WeightsPhase(Model& model, Team& team, const Batch& batch);

  // Each over the batch's first `count` rows.
  // Steps on the mean gradient; the optimiser's own step has begun.
  void step(const Optimizer& optimizer, int count, const ThreadLimit& limit);
  // The same, with the gradient scaled down to the norm `max_norm` if it is longer.
  void clipped_step(Optimizer& optimizer, int count, double max_norm, const ThreadLimit& limit);
  // The mean gradient to every parameter's `gradient`.
  void gradients(int count);

 private:
  // Rows tile * NR ..., columns of `panel`, of a layer's weights, with the bias for the first tile of a panel; or,
  // where layer is null, the log scale of columns.
  struct Tile {
    Dense* layer = nullptr;
    Columns* columns = nullptr;
    const Panels* input = nullptr;  // (batch, in)
    const Panels* delta = nullptr;  // (batch, out)
    int panel = 0, tile = 0, rows = 0;
    int samples = 1;   // rows of delta for one of the batch
    int number = 0;    // in the order of the network
    double place = 0;  // in [0, 1): threads' runs of tiles lie from left to right
  };

  void add_tiles(Network& network, const Panels& x, const Activations& a, int samples);
  void share_tiles(int threads);
  void make_gradients();
  // Calls f(parameter, offset, n) for what the tile is made of.
  template <class F>
  void for_runs(const Tile& tile, F&& f);
  // Calls sink(tile, parameter, offset, gradient, n) for all gradients, sums over the rows, in parallel.
  template <class Sink>
  void sum_gradients(int count, const ThreadLimit& limit, Sink&& sink);
  static void finish(const Tile& tile);
  static void prefetch(const Tile& tile);

  Model& model_;
  Team& team_;
  int samples_;
  const Panels& x_;
  const Nonzeros& nonzeros_;            // of x
  std::vector<UsedRows> used_;          // of x, for the panel that each thread is at
  std::vector<Tile> tiles_;             // thread after thread
  std::vector<int> shares_;             // thread t begins with tiles_[shares_[t]] ... tiles_[shares_[t + 1] - 1]
  Pieces pieces_;                       // tiles that nobody has taken
  std::vector<double> square_norms_;    // of each tile's gradient, by number
  std::vector<Parameter*> parameters_;  // of the whole model
};

}  // namespace vaefast
