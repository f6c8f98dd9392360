#include "trainer.hpp"

#include "random.hpp"

namespace vaefast {
namespace {

// Sum of a panel's first `rows` rows.
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

int share(int n, int part, int parts) { return static_cast<int>(static_cast<std::int64_t>(n) * part / parts); }

}  // namespace

Trainer::Trainer(Model& model, Team& team, const Optimizer& o) : optimizer(o), model_(model), team_(team) {
  for (const NamedTensor& tensor : model.tensors()) optimizer.prepare(*tensor.parameter);
}

Loss Trainer::step(const Rows& rows, const std::int64_t* index, int count, double learning_rate, double beta,
                   const Noise& noise) {
  const Loss loss = rows_phase(rows, index, count, beta, noise);
  if (!std::isfinite(loss.reconstruction) || !std::isfinite(loss.kl)) return loss;
  optimizer.begin_step(learning_rate, count);
  weights_phase(count, [this](Parameter& parameter, std::size_t offset, const float* gradient, int n) {
    optimizer.step(parameter, offset, gradient, n);
  });
  if (model_.learn_sigma) model_.clamp_log_sigma();
  return loss;
}

Loss Trainer::gradients(const Rows& rows, const std::int64_t* index, int count, double beta, const Noise& noise) {
  for (const NamedTensor& tensor : model_.tensors()) {
    const Panels& value = tensor.parameter->value;
    tensor.parameter->gradient = Panels(value.rows(), value.cols());
  }
  const Loss loss = rows_phase(rows, index, count, beta, noise);
  const Packet scale = simd::set(1.f / static_cast<float>(count));
  weights_phase(count, [scale](Parameter& parameter, std::size_t offset, const float* gradient, int n) {
    float* out = parameter.gradient.data() + offset;
    for (int i = 0; i < n; i += W) simd::store(out + i, simd::mul(scale, simd::load(gradient + i)));
  });
  return loss;
}

Loss Trainer::rows_phase(const Rows& rows, const std::int64_t* index, int count, double beta, const Noise& noise) {
  make_room(count);
  const int threads = threads_for(count, count);
  team_.run(threads, [&](int thread) {
    const int first = share(count, thread, threads), last = share(count, thread + 1, threads);
    for (int row = first; row < last; ++row) {
      if (row + 1 < last) prefetch_row(rows, index[row + 1]);
      copy_row(rows, index[row], batch_->x, row);
    }
    draw_noise(noise, first, last);
    encode(model_, *batch_, first, last);
    decode_and_score(model_, *batch_, first, last);
    backward(model_, *batch_, static_cast<float>(beta), first, last);
  });
  Loss loss;
  for (std::size_t row = 0; row < static_cast<std::size_t>(count); ++row) {
    loss.reconstruction += batch_->reconstruction[row];
    loss.kl += batch_->posterior.kl[row];
  }
  return loss;
}

template <class Sink>
void Trainer::weights_phase(int count, Sink&& sink) {
  const int threads = threads_for(count, static_cast<int>(tiles_.size()));
  share_tiles(threads);
  team_.run(threads, [&](int thread) {
    alignas(64) float gradient[NR * NR];
    for (int i = shares_[thread]; i < shares_[thread + 1]; ++i) {
      const Tile& t = tiles_[i];
      if (i + 1 < shares_[thread + 1]) prefetch(tiles_[i + 1]);
      multiply_weights(*t.input, *t.delta, count, t.tile, t.panel, t.rows, gradient);
      sink(t.layer->weight, t.layer->weight.value.offset(t.panel, t.tile * NR), gradient, t.rows * NR);
      if (!t.layer->transposed.empty()) t.layer->transpose_tile(t.panel, t.tile);
      if (t.tile > 0) continue;  // the first tile of a panel brings the bias along
      sum_rows(*t.delta, t.panel, count, gradient);
      sink(t.layer->bias, static_cast<std::size_t>(t.panel) * NR, gradient, NR);
      if (t.layer != &model_.decoder.layers.back() || !model_.learn_sigma) continue;
      sum_rows(batch_->log_sigma_delta, t.panel, count, gradient);
      sink(model_.log_sigma, static_cast<std::size_t>(t.panel) * NR, gradient, NR);
    }
  });
}

// What the next tile's optimiser step will read, while this tile's gradient is summed.
void Trainer::prefetch(const Tile& t) {
  const std::size_t offset = t.layer->weight.value.offset(t.panel, t.tile * NR);
  for (const Panels* m : {&t.layer->weight.value, &t.layer->weight.first, &t.layer->weight.second})
    if (!m->empty()) simd::prefetch(m->data() + offset, t.rows * NR);
}

void Trainer::draw_noise(const Noise& noise, int first, int last) {
  const int latent_dim = model_.shape.latent_dim, blocks = (latent_dim + 3) / 4;  // of four numbers, per row
  const float* eps = noise.given;
  int stride = latent_dim;
  if (!eps) {
    stride = 4 * blocks;
    fill_normals(noise.seed, Stream::training, noise.step, static_cast<std::uint32_t>(first * blocks),
                 (last - first) * stride, noise_.data() + static_cast<std::size_t>(first) * stride);
    eps = noise_.data();
  }
  for (int row = first; row < last; ++row)
    std::copy_n(eps + static_cast<std::size_t>(row) * stride, latent_dim, batch_->posterior.eps(row));
}

void Trainer::make_room(int count) {
  if (batch_ && batch_->rows >= count) return;
  // Memory may run out: the batch comes last, and what follows it cannot fail, so that there is all or nothing.
  batch_.reset();
  shares_.clear();
  tiles_.clear();
  noise_ = Buffer(static_cast<std::size_t>(count) * (model_.shape.latent_dim + 3));
  std::size_t tiles = 0;
  for (const Network* network : {&model_.encoder, &model_.decoder})
    for (const Dense& layer : network->layers)
      tiles += static_cast<std::size_t>(panel_count(layer.out())) * panel_count(layer.in());
  tiles_.reserve(tiles);
  batch_.emplace(model_, count, true);
  add_tiles(model_.encoder, batch_->x, batch_->encoder);
  add_tiles(model_.decoder, batch_->posterior.z, batch_->decoder);
}

// The wider side of a layer comes in the outer loop, so that the narrower stays in the cache.
void Trainer::add_tiles(Network& network, const Panels& x, const Activations& a) {
  for (std::size_t i = 0; i < network.layers.size(); ++i) {
    Dense& layer = network.layers[i];
    const int panels = panel_count(layer.out()), tiles = panel_count(layer.in());
    for (int k = 0; k < panels * tiles; ++k) {
      const int panel = tiles > panels ? k % panels : k / tiles, tile = tiles > panels ? k / panels : k % tiles;
      const int rows = std::min(NR, layer.in() - tile * NR);
      tiles_.push_back({&layer, i ? &a.hidden[i - 1] : &x, &a.delta[i], panel, tile, rows});
    }
  }
}

// Cuts the tiles into runs of about the same number of weights.
void Trainer::share_tiles(int threads) {
  if (static_cast<int>(shares_.size()) == threads + 1) return;
  std::int64_t total = 0, done = 0;
  for (const Tile& tile : tiles_) total += tile.rows;
  shares_.assign(1, 0);
  for (std::size_t i = 0; i < tiles_.size(); ++i) {
    while (done * threads >= total * static_cast<std::int64_t>(shares_.size())) shares_.push_back(static_cast<int>(i));
    done += tiles_[i].rows;
  }
  shares_.resize(static_cast<std::size_t>(threads), static_cast<int>(tiles_.size()));
  shares_.push_back(static_cast<int>(tiles_.size()));
}

// For one of the two phases, that has so many parts. Of the three products, each phase has half.
int Trainer::threads_for(int count, int parts) const { return team_.threads_for(1.5 * model_.flops() * count, parts); }

}  // namespace vaefast
