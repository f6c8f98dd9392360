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

  // One step on rows[index[0 .. count)]. When the loss is not finite, the weights stay as they were.
  Loss step(const Rows& rows, const std::int64_t* index, int count, double learning_rate, double beta,
            const Noise& noise);
  // The same, but the gradient of the mean loss goes to every parameter's `gradient`, and the weights stay.
  Loss gradients(const Rows& rows, const std::int64_t* index, int count, double beta, const Noise& noise);

 private:
  // A tile of a layer's weights: rows tile * NR ..., columns of `panel`.
  struct Tile {
    Dense* layer;
    const Panels* input;  // (batch, in)
    const Panels* delta;  // (batch, out)
    int panel, tile, rows;
  };

  Loss rows_phase(const Rows& rows, const std::int64_t* index, int count, double beta, const Noise& noise);
  template <class Sink>
  void weights_phase(int count, Sink&& sink);
  void make_room(int count);
  void share_tiles(int threads);
  void add_tiles(Network& network, const Panels& x, const Activations& a);
  int threads_for(int count, int parts) const;
  void draw_noise(const Noise& noise, int first, int last);
  static void prefetch(const Tile& tile);

  Model& model_;
  Team& team_;
  std::optional<Batch> batch_;
  Buffer noise_;  // (rows, latent_dim rounded up to a multiple of 4)
  std::vector<Tile> tiles_;
  std::vector<int> shares_;  // thread t works on tiles_[shares_[t]] ... tiles_[shares_[t + 1] - 1]
};

}  // namespace vaefast
