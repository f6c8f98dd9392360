#include "weights_phase.hpp"

#include <algorithm>
#include <numeric>

namespace vaefast {
namespace {

// Writes the sum of a panel's first `rows` rows to out (NR).
void sum_rows(const Panels& m, int panel, int rows, float* out) {
  Packet left = simd::zero(), right = simd::zero();
  const float* row = m.at(panel, 0);
  for (int i = 0; i < rows; ++i, row += NR) {
    left = simd::add(left, simd::load(row));
    right = simd::add(right, simd::load(row + W));
  }
  simd::store(out, left);
  simd::store(out + W, right);
}

// Writes the sum of all elements of the first `rows` rows to each element of out (NR).
void sum_all(const Panels& m, int rows, float* out) {
  double sum = 0;
  for (int panel = 0; panel < m.count(); ++panel) {
    sum_rows(m, panel, rows, out);
    sum += simd::sum(simd::load(out)) + simd::sum(simd::load(out + W));
  }
  std::fill_n(out, NR, static_cast<float>(sum));
}

}  // namespace

WeightsPhase::WeightsPhase(Model& model, ThreadPool& pool, const Batch& batch, Exchange* exchange)
    : model_(model),
      pool_(pool),
      samples_(batch.kind.samples),
      x_(batch.x),
      nonzeros_(batch.nonzeros),
      used_(static_cast<std::size_t>(pool.size()), UsedRows(batch.rows)),
      queue_(pool.size()),
      exchange_(exchange) {
  add_tiles(model.encoder, batch.x, batch.encoder, 1);
  add_tiles(model.decoder, batch.posterior.z, batch.decoder, samples_);
  for (std::size_t i = 0; i < model.columns.size(); ++i) {
    Columns& c = model.columns[i];
    const int panels = model.scale == Scale::global ? 1 : panel_count(c.count);
    for (int panel = 0; panel < panels && model.trains_scale(c); ++panel)
      tiles_.push_back({.columns = &c,
                        .delta = &batch.log_scale_delta[i],
                        .panel = panel,
                        .rows = 1,
                        .samples = samples_,
                        .number = static_cast<int>(tiles_.size()),
                        .slot = static_cast<int>(tiles_.size())});
  }
  square_norms_.resize(tiles_.size());
  for (const NamedTensor& tensor : model.tensors()) parameters_.push_back(tensor.parameter);
  // If the rows phase splits a layer by columns, each thread takes the tiles of its own columns, whose deltas are in
  // its cache.
  for (Tile& t : tiles_) {
    const int cols = t.delta->cols(), tiles = t.layer ? panel_count(t.layer->in()) : 1;
    t.place = t.layer && by_columns(batch.rows * t.samples, t.layer->in(), cols)
                  ? (t.panel * tiles + t.tile) / static_cast<double>(panel_count(cols) * tiles)
                  : t.number / static_cast<double>(tiles_.size());
  }
  if (exchange_) divide_tiles();
}

void WeightsPhase::step(const Optimizer& optimizer, int count, const ThreadLimit& limit) {
  sum_gradients(count, limit, [&](const Tile&, Parameter& parameter, std::size_t offset, const float* gradient, int n) {
    optimizer.step(parameter, offset, gradient, n);
  });
  if (exchange_) gather(&Parameter::value);
}

void WeightsPhase::gradients(int count) {
  make_gradients();
  const Packet scale = simd::set(1.f / static_cast<float>(count));
  sum_gradients(count, pool_.limit(),
                [scale](const Tile&, Parameter& parameter, std::size_t offset, const float* gradient, int n) {
                  float* out = parameter.gradient.data() + offset;
                  for (int i = 0; i < n; i += W) simd::store(out + i, simd::mul(scale, simd::load(gradient + i)));
                });
}

// Computes all gradients first, because the factor that scales them depends on their norm.
void WeightsPhase::clipped_step(Optimizer& optimizer, int count, double max_norm, const ThreadLimit& limit) {
  make_gradients();
  std::fill(square_norms_.begin(), square_norms_.end(), 0.0);
  sum_gradients(count, limit,
                [this](const Tile& tile, Parameter& parameter, std::size_t offset, const float* gradient, int n) {
                  std::copy_n(gradient, n, parameter.gradient.data() + offset);
                  double& squares = square_norms_[static_cast<std::size_t>(tile.slot)];
                  if (tile.columns && model_.scale == Scale::global) {  // a single parameter, stored once per column
                    squares = static_cast<double>(gradient[0]) * gradient[0];
                    return;
                  }
                  Packet sum = simd::zero();
                  for (int i = 0; i < n; i += W)
                    sum = simd::fma(simd::load(gradient + i), simd::load(gradient + i), sum);
                  squares += simd::sum(sum);
                });
  const double norm = std::sqrt(square_norm()) / count;
  optimizer.scale *= static_cast<float>(std::min(1.0, max_norm / norm));
  queue_.assign(shares_);
  pool_.run(static_cast<int>(shares_.size()) - 1, [&](int thread) {
    for (int i; (i = queue_.take_task(thread)) >= 0;) {
      const Tile& t = tiles_[static_cast<std::size_t>(i)];
      for_runs(t, [&](Parameter& parameter, std::size_t offset, int n) {
        optimizer.step(parameter, offset, parameter.gradient.data() + offset, n);
      });
      finish(t);
    }
  });
  if (exchange_) gather(&Parameter::value);
}

// Adds the tiles up in the order of the network.
double WeightsPhase::square_norm() {
  if (!exchange_) return std::accumulate(square_norms_.begin(), square_norms_.end(), 0.0);
  exchange_->all_gather(reinterpret_cast<std::byte*>(square_norms_.data()), norm_starts_);
  double sum = 0;
  for (const Tile& t : all_tiles_) sum += square_norms_[static_cast<std::size_t>(t.slot)];
  return sum;
}

void WeightsPhase::gather_moments() {
  for (Panels Parameter::* moment : {&Parameter::m, &Parameter::v})
    if (!(parameters_[0]->*moment).empty()) gather(moment);
}

void WeightsPhase::gather(Panels Parameter::* slot) {
  constexpr double BYTES_PER_THREAD = 1 << 18;
  const auto n = static_cast<std::int64_t>(all_tiles_.size());
  const int threads = pool_.threads_for(static_cast<double>(tile_starts_.back()), n, {pool_.size(), BYTES_PER_THREAD});
  // Calls f(tile, floats of a run, their place in the buffer, number of floats) for own or other tiles.
  const auto for_tiles = [&](bool own, auto&& f) {
    pool_.run(threads, [&](int thread) {
      for (auto i = part_begin(n, thread, threads); i < part_begin(n, thread + 1, threads); ++i) {
        const Tile& t = all_tiles_[static_cast<std::size_t>(i)];
        if ((t.process == exchange_->rank) != own) continue;
        float* at = exchanged_.data() + t.exchanged;
        for_runs(t, [&](Parameter& parameter, std::size_t offset, int floats) {
          f((parameter.*slot).data() + offset, at, floats);
          at += floats;
        });
        if (!own && slot == &Parameter::value) finish(t);
      }
    });
  };
  for_tiles(true, [](const float* values, float* at, int floats) { std::copy_n(values, floats, at); });
  exchange_->all_gather(reinterpret_cast<std::byte*>(exchanged_.data()), tile_starts_);
  for_tiles(false, [](float* values, const float* at, int floats) { std::copy_n(at, floats, values); });
}

void WeightsPhase::make_gradients() {
  for (Parameter* parameter : parameters_)
    if (parameter->gradient.empty()) parameter->gradient = Panels(parameter->value.rows(), parameter->value.cols());
}

template <class Sink>
void WeightsPhase::sum_gradients(int count, const ThreadLimit& limit, Sink&& sink) {
  constexpr int OPTIMIZER_ROWS = 8;  // products over this many rows cost as much as the optimizer's update
  const double flops = model_.phase_flops(samples_) / (exchange_ ? exchange_->size : 1);
  int threads = pool_.threads_for(flops * (count + OPTIMIZER_ROWS), static_cast<int>(tiles_.size()), limit);
  // If one thread computed the deltas of many rows, they are in its core's cache, and other threads would have to fetch
  // them from there.
  if (count > OPTIMIZER_ROWS && pool_.threads_for(flops * count, count, limit) == 1) threads = 1;
  share_tiles(threads);
  queue_.assign(shares_);
  pool_.run(threads, [&](int thread) {
    alignas(64) float gradient[NR * NR];
    UsedRows& used = used_[static_cast<std::size_t>(thread)];
    int used_panel = -1;  // panel of x_ for which `used` was found
    for (int i; (i = queue_.take_task(thread)) >= 0;) {
      const Tile& t = tiles_[static_cast<std::size_t>(i)];
      const int rows = count * t.samples;
      if (const int next = queue_.next_task(thread); next >= 0) prefetch(tiles_[static_cast<std::size_t>(next)]);
      if (t.columns && model_.scale == Scale::global) {
        sum_all(*t.delta, rows, gradient);
      } else if (t.columns) {
        sum_rows(*t.delta, t.panel, rows, gradient);
      } else if (t.input == &x_) {
        if (t.tile != used_panel) used.find(nonzeros_, used_panel = t.tile, t.rows, rows);
        multiply_weights(*t.input, *t.delta, rows, t.tile, t.panel, t.rows, gradient, &used);
      } else {
        multiply_weights(*t.input, *t.delta, rows, t.tile, t.panel, t.rows, gradient);
      }
      for_runs(t, [&](Parameter& parameter, std::size_t offset, int n) {
        if (t.layer && &parameter == &t.layer->bias) sum_rows(*t.delta, t.panel, rows, gradient);
        sink(t, parameter, offset, gradient, n);
      });
      finish(t);
    }
  });
}

template <class F>
void WeightsPhase::for_runs(const Tile& t, F&& f) {
  const std::size_t column = static_cast<std::size_t>(t.panel) * NR;
  if (t.columns) {
    const bool all = model_.scale == Scale::global;
    for (int panel = t.panel; panel < (all ? t.delta->count() : t.panel + 1); ++panel)
      f(t.columns->log_scale, static_cast<std::size_t>(panel) * NR, NR);
    return;
  }
  f(t.layer->weight, t.layer->weight.value.offset(t.panel, t.tile * NR), t.rows * NR);
  if (t.tile == 0) f(t.layer->bias, column, NR);
}

// Must be called after every change of a tile's weights.
void WeightsPhase::finish(const Tile& t) {
  if (t.layer && !t.layer->transposed.empty()) t.layer->transpose_tile(t.panel, t.tile);
}

// Prefetches the weights and moments of the next tile while the gradient of this tile is summed.
void WeightsPhase::prefetch(const Tile& t) {
  if (!t.layer) return;
  const std::size_t offset = t.layer->weight.value.offset(t.panel, t.tile * NR);
  for (const Panels* m : {&t.layer->weight.value, &t.layer->weight.m, &t.layer->weight.v})
    if (!m->empty()) simd::prefetch(m->data() + offset, t.rows * NR);
}

// The outer loop runs over the wider side of a layer, so that the narrower side stays in the cache. In the layer that
// reads the data, it runs over the data's columns, so that their used rows are found only once.
void WeightsPhase::add_tiles(Network& network, const Panels& x, const Activations& a, int samples) {
  for (std::size_t i = 0; i < network.layers.size(); ++i) {
    Dense& layer = network.layers[i];
    const Panels* input = i ? &a.hidden[i - 1] : &x;
    const int panels = panel_count(layer.out()), tiles = panel_count(layer.in());
    const bool by_input = tiles > panels || input == &x_;
    for (int k = 0; k < panels * tiles; ++k) {
      const int panel = by_input ? k % panels : k / tiles, tile = by_input ? k / panels : k % tiles;
      const int rows = std::min(NR, layer.in() - tile * NR);
      tiles_.push_back({.layer = &layer,
                        .input = input,
                        .delta = &a.delta[i],
                        .panel = panel,
                        .tile = tile,
                        .rows = rows,
                        .samples = samples,
                        .number = static_cast<int>(tiles_.size()),
                        .slot = static_cast<int>(tiles_.size())});
    }
  }
}

// Gives each process a part of the tiles of every layer, because a tile takes longer in some layers than in others: the
// first layer skips zeros, and the decoder has several samples per row.
void WeightsPhase::divide_tiles() {
  const auto same_layer = [this](std::size_t i, std::size_t j) {
    return tiles_[i].layer == tiles_[j].layer && tiles_[i].columns == tiles_[j].columns;
  };
  for (std::size_t first = 0, last; first < tiles_.size(); first = last) {
    for (last = first; last < tiles_.size() && same_layer(first, last);) ++last;
    const auto n = static_cast<std::int64_t>(last - first);
    for (int process = 0; process < exchange_->size; ++process)
      for (auto i = part_begin(n, process, exchange_->size); i < part_begin(n, process + 1, exchange_->size); ++i)
        tiles_[first + static_cast<std::size_t>(i)].process = process;
  }
  std::size_t floats = 0;
  int slot = 0;
  for (int process = 0; process < exchange_->size; ++process) {
    tile_starts_.push_back(static_cast<std::int64_t>(floats * sizeof(float)));
    norm_starts_.push_back(slot * static_cast<std::int64_t>(sizeof(double)));
    for (Tile& t : tiles_) {
      if (t.process != process) continue;
      t.slot = slot++;
      t.exchanged = floats;
      for_runs(t, [&](Parameter&, std::size_t, int n) { floats += static_cast<std::size_t>(n); });
    }
  }
  tile_starts_.push_back(static_cast<std::int64_t>(floats * sizeof(float)));
  norm_starts_.push_back(slot * static_cast<std::int64_t>(sizeof(double)));
  exchanged_ = Buffer(floats);
  all_tiles_ = tiles_;
  std::erase_if(tiles_, [this](const Tile& t) { return t.process != exchange_->rank; });
}

// Splits the tiles into one run per thread, with about the same number of weights each.
void WeightsPhase::share_tiles(int threads) {
  if (static_cast<int>(shares_.size()) == threads + 1) return;
  std::sort(tiles_.begin(), tiles_.end(),
            [](const Tile& a, const Tile& b) { return a.place != b.place ? a.place < b.place : a.number < b.number; });
  std::int64_t total = 0, done = 0;
  for (const Tile& tile : tiles_) total += tile.rows;
  shares_.assign(1, 0);
  for (std::size_t i = 0; i < tiles_.size(); ++i) {
    while (done * threads >= total * static_cast<std::int64_t>(shares_.size())) shares_.push_back(static_cast<int>(i));
    done += tiles_[i].rows;
  }
  shares_.resize(static_cast<std::size_t>(threads), static_cast<int>(tiles_.size()));
  shares_.push_back(static_cast<int>(tiles_.size()));
  for (int i = 0; i < threads; ++i)
    std::sort(tiles_.begin() + shares_[i], tiles_.begin() + shares_[i + 1],
              [](const Tile& a, const Tile& b) { return a.number < b.number; });
}

}  // namespace vaefast
