// The second phase of a step, from the deltas of a batch to new weights. The weights are cut into tiles, and each
// thread has a run of tiles. The thread that takes a tile sums the tile's gradient over the whole batch, in order. The
// optimizer then updates the tile while the gradient is still in the first-level cache.
//
// Several processes share the tiles in the same way. Each process updates its own tiles, holds their moments alone, and
// gathers the new weights of the others.
#pragma once

#include <vector>

#include "elbo.hpp"
#include "exchange.hpp"
#include "optimizer.hpp"
#include "threads.hpp"

namespace vaefast {

class WeightsPhase {
 public:
  // Uses the activations and deltas of `batch`. All arguments must outlive this object. `exchange` is null if there is
  // one process.
  WeightsPhase(Model& model, ThreadPool& pool, const Batch& batch, Exchange* exchange);

  // All of these use the batch's first `count` rows.
  // Updates the weights from the mean gradient, after Optimizer::begin_step().
  void step(const Optimizer& optimizer, int count, const ThreadLimit& limit);
  // The same, but scales the gradient down to the norm `max_norm` if its norm is larger.
  void clipped_step(Optimizer& optimizer, int count, double max_norm, const ThreadLimit& limit);
  // Writes the mean gradient to every parameter's `gradient`.
  void gradients(int count);
  // Gives every process the moments of all tiles.
  void gather_moments();

 private:
  // Part of panel `panel` of a layer's weights: the rows from tile * NR on. The first tile of a panel includes the
  // bias. If `layer` is null, the tile is a panel of the log scale of `columns`.
  struct Tile {
    Dense* layer = nullptr;
    Columns* columns = nullptr;
    const Panels* input = nullptr;  // (batch, in)
    const Panels* delta = nullptr;  // (batch, out)
    int panel = 0, tile = 0, rows = 0;
    int samples = 1;            // rows of delta per row of the batch
    int number = 0;             // index in the order of the network
    double place = 0;           // in [0, 1): the threads get runs of tiles in this order
    int process = 0;            // the process that updates the tile
    int slot = 0;               // index in the order of the processes
    std::size_t exchanged = 0;  // where its weights are in exchanged_
  };

  void add_tiles(Network& network, const Panels& x, const Activations& a, int samples);
  void share_tiles(int threads);
  void divide_tiles();
  void make_gradients();
  // Calls f(parameter, offset, n) for each contiguous run of parameters in the tile.
  template <class F>
  void for_runs(const Tile& tile, F&& f);
  // Sums all gradients over the rows and calls sink(tile, parameter, offset, gradient, n) for each run, in parallel.
  template <class Sink>
  void sum_gradients(int count, const ThreadLimit& limit, Sink&& sink);
  static void finish(const Tile& tile);
  // Gives every process the values or moments of all tiles.
  void gather(Panels Parameter::* slot);
  double square_norm();
  static void prefetch(const Tile& tile);

  Model& model_;
  ThreadPool& pool_;
  int samples_;
  const Panels& x_;
  const Nonzeros& nonzeros_;            // nonzero elements of x_
  std::vector<UsedRows> used_;          // per thread: used rows of its current panel of x_
  std::vector<Tile> tiles_;             // of this process, grouped by thread
  std::vector<int> shares_;             // thread t begins with tiles_[shares_[t]] ... tiles_[shares_[t + 1] - 1]
  WorkQueue queue_;                     // tiles of the current pass
  std::vector<double> square_norms_;    // per tile, by its slot: squared norm of its gradient
  std::vector<Parameter*> parameters_;  // all parameters of the model

  // Only if there are several processes:
  Exchange* exchange_;
  std::vector<Tile> all_tiles_;            // of all processes, in the order of the network
  Buffer exchanged_;                       // weights of all tiles, by slot
  std::vector<std::int64_t> tile_starts_;  // per process: its first byte in exchanged_
  std::vector<std::int64_t> norm_starts_;  // the same in square_norms_
};

}  // namespace vaefast
