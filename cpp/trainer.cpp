#include "trainer.hpp"

#include <chrono>
#include <numeric>

#include "random.hpp"

namespace vaefast {
namespace {

// Streams of dropout that the encoder's layers may use; the decoder's follow.
constexpr std::uint32_t DECODER_STREAMS = 1 << 16;

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

// Sum of all elements of the first `rows` rows, NR times.
void sum_all(const Panels& m, int rows, float* out) {
  double sum = 0;
  for (int panel = 0; panel < m.count(); ++panel) {
    sum_rows(m, panel, rows, out);
    sum += simd::sum(simd::load(out)) + simd::sum(simd::load(out + W));
  }
  std::fill_n(out, NR, static_cast<float>(sum));
}

int share(int n, int part, int parts) { return static_cast<int>(static_cast<std::int64_t>(n) * part / parts); }

}  // namespace

Trainer::Trainer(Model& model, Team& team, const Optimizer& o) : optimizer(o), model_(model), team_(team) {
  for (const NamedTensor& tensor : model.tensors()) optimizer.prepare(*tensor.parameter);
}

void Trainer::set_objective(const Objective& objective, const Regularization& regularization) {
  objective_ = objective;
  regularization_ = regularization;
  batch_.reset();  // it may not fit the objective
}

Loss Trainer::step(const Rows& rows, const std::int64_t* index, int count, const StepSettings& settings,
                   const Noise& noise) {
  const auto start = std::chrono::steady_clock::now();
  const Loss loss = rows_phase(rows, index, count, settings, noise);
  const auto middle = std::chrono::steady_clock::now();
  if (!std::isfinite(loss.reconstruction) || !std::isfinite(loss.kl) || !std::isfinite(loss.bound)) return loss;
  optimizer.begin_step(settings.learning_rate, count);
  if (regularization_.max_norm > 0) {
    clip_and_apply(count);
  } else {
    weights_phase(count, [this](int, Parameter& parameter, std::size_t offset, const float* gradient, int n) {
      optimizer.step(parameter, offset, gradient, n);
    });
  }
  model_.clamp_log_scales();
  seconds.rows += std::chrono::duration<double>(middle - start).count();
  seconds.weights += std::chrono::duration<double>(std::chrono::steady_clock::now() - middle).count();
  return loss;
}

Loss Trainer::gradients(const Rows& rows, const std::int64_t* index, int count, const StepSettings& settings,
                        const Noise& noise) {
  make_gradients();
  const Loss loss = rows_phase(rows, index, count, settings, noise);
  const Packet scale = simd::set(1.f / static_cast<float>(count));
  weights_phase(count, [scale](int, Parameter& parameter, std::size_t offset, const float* gradient, int n) {
    float* out = parameter.gradient.data() + offset;
    for (int i = 0; i < n; i += W) simd::store(out + i, simd::mul(scale, simd::load(gradient + i)));
  });
  return loss;
}

// All gradients of the step, then one factor for them, then the optimiser.
void Trainer::clip_and_apply(int count) {
  make_gradients();
  std::fill(square_norms_.begin(), square_norms_.end(), 0.0);
  weights_phase(count, [this](int tile, Parameter& parameter, std::size_t offset, const float* gradient, int n) {
    std::copy_n(gradient, n, parameter.gradient.data() + offset);
    double& squares = square_norms_[static_cast<std::size_t>(tile)];
    if (tiles_[static_cast<std::size_t>(tile)].columns &&
        model_.scale == Scale::global) {  // one number, kept many times
      squares = static_cast<double>(gradient[0]) * gradient[0];
      return;
    }
    Packet sum = simd::zero();
    for (int i = 0; i < n; i += W) sum = simd::fma(simd::load(gradient + i), simd::load(gradient + i), sum);
    squares += simd::sum(sum);
  });
  const double norm = std::sqrt(std::accumulate(square_norms_.begin(), square_norms_.end(), 0.0)) / count;
  optimizer.scale *= static_cast<float>(std::min(1.0, regularization_.max_norm / norm));
  team_.run(static_cast<int>(shares_.size()) - 1, [&](int thread) {
    for (int i = shares_[thread]; i < shares_[thread + 1]; ++i) {
      const Tile& t = tiles_[static_cast<std::size_t>(i)];
      for_runs(t, [&](Parameter& parameter, std::size_t offset, int n) {
        optimizer.step(parameter, offset, parameter.gradient.data() + offset, n);
      });
      finish(t);
    }
  });
}

void Trainer::make_gradients() {
  for (const NamedTensor& tensor : model_.tensors()) {
    Parameter& parameter = *tensor.parameter;
    if (parameter.gradient.empty()) parameter.gradient = Panels(parameter.value.rows(), parameter.value.cols());
  }
}

Loss Trainer::rows_phase(const Rows& rows, const std::int64_t* index, int count, const StepSettings& settings,
                         const Noise& noise) {
  make_room(count, rows.missing);
  const double beta = objective_.variational ? settings.beta : 0;
  batch_->posterior.kl_weight.fill(static_cast<float>(beta));
  const auto dropout = [&](std::uint32_t first_layer) -> std::optional<Dropout> {
    if (regularization_.dropout == 0) return {};
    return Dropout{static_cast<float>(regularization_.dropout), noise.seed, noise.step,
                   static_cast<std::uint32_t>(Stream::dropout) + first_layer};
  };
  const std::optional<Dropout> in_encoder = dropout(0), in_decoder = dropout(DECODER_STREAMS);
  const auto forward = [&](int first, int last) {
    for (int row = first; row < last; ++row) {
      if (row + 1 < last) prefetch_row(rows, index[row + 1]);
      batch_->load_row(model_, rows, index[row], row);
    }
    corrupt(noise, first, last);
    if (objective_.variational) draw_noise(noise, first, last);
    encode(model_, *batch_, first, last, in_encoder ? &*in_encoder : nullptr);
    if (!objective_.variational)
      std::fill(batch_->posterior.kl.begin() + first, batch_->posterior.kl.begin() + last, 0.0);
    decode_and_score(model_, *batch_, first, last, in_decoder ? &*in_decoder : nullptr);
    weigh_samples(*batch_, objective_, beta, first, last);
  };
  const auto back = [&](int first, int last) { backward(model_, *batch_, objective_, beta, first, last); };

  const int threads = threads_for(count, count);
  const auto share_rows = [&](auto&& work) {
    team_.run(threads, [&](int thread) { work(share(count, thread, threads), share(count, thread + 1, threads)); });
  };
  if (objective_.free_bits > 0 || settings.capacity || model_.scale == Scale::optimal) {
    share_rows(forward);  // the gradient depends on means over the batch
    weigh_kl(count, settings);
    if (model_.scale == Scale::optimal) fit_sigma(count);
    share_rows(back);
  } else {
    share_rows([&](int first, int last) {
      forward(first, last);
      back(first, last);
    });
  }

  Loss loss;
  for (int row = 0; row < count; ++row) {
    for (int j = 0; j < objective_.samples; ++j)
      loss.reconstruction +=
          batch_->reconstruction[static_cast<std::size_t>(row * objective_.samples + j)] / objective_.samples;
    loss.kl += batch_->posterior.kl[static_cast<std::size_t>(row)];
    loss.bound += batch_->bound[static_cast<std::size_t>(row)];
  }
  return loss;
}

// Free bits: a dimension whose mean KL is below them gets no gradient (Kingma et al. 2016). Capacity: the KL is drawn
// towards it from both sides (Burgess et al. 2018).
void Trainer::weigh_kl(int count, const StepSettings& settings) {
  Posterior& q = batch_->posterior;
  const int latent_dim = model_.shape.latent_dim;
  double total = 0;
  for (int d = 0; d < latent_dim; ++d) {
    double kl = 0;
    for (int row = 0; row < count; ++row) kl += q.kl_terms(row)[d];
    total += kl;
    if (kl <= objective_.free_bits * count && objective_.free_bits > 0) q.kl_weight.data()[d] = 0;
  }
  if (!settings.capacity) return;
  const double away = total - *settings.capacity * count;
  for (int d = 0; d < latent_dim; ++d) q.kl_weight.data()[d] *= static_cast<float>((away > 0) - (away < 0));
}

// The sigma that makes this batch most likely, sigma^2 = mean of (x - m)^2 (Rybkin et al. 2021), in place of the one
// that the batch was scored with, whose every nll is |x - m|^2 / (2 sigma^2) + features (log sigma + log(2 pi) / 2).
void Trainer::fit_sigma(int count) {
  Columns& c = model_.columns[0];
  const int samples = count * objective_.samples;
  const double old = c.log_scale.value.data()[0], constant = c.count * (old + likelihood::half_log_2pi);
  double sum = 0;
  for (int i = 0; i < samples; ++i) sum += batch_->reconstruction[static_cast<std::size_t>(i)] - constant;
  const double ratio_of_squares = 2 * sum / samples / c.count;  // new over old
  const double fitted =
      std::clamp<double>(old + 0.5 * std::log(ratio_of_squares), smallest_log_scale, c.likelihood->largest_scale);
  const double precision = std::exp(2 * (old - fitted));  // that the deltas lack
  for (int i = 0; i < samples; ++i) {
    double& nll = batch_->reconstruction[static_cast<std::size_t>(i)];
    nll = (nll - constant) * precision + constant + c.count * (fitted - old);
    batch_->bound[static_cast<std::size_t>(i / objective_.samples)] = 0;
  }
  for (int i = 0; i < samples; ++i) {
    const auto row = static_cast<std::size_t>(i / objective_.samples);
    if (i % objective_.samples == 0) batch_->bound[row] = -batch_->posterior.kl[row];
    batch_->bound[row] -= batch_->reconstruction[static_cast<std::size_t>(i)] / objective_.samples;
  }
  std::fill_n(batch_->weight.begin(), samples, static_cast<float>(precision));
  scale_rows(batch_->decoder.delta.back(), batch_->weight, 0, samples);
  // Later batches, and whoever scores rows, take a running mean.
  const double share_of_batch = std::max(1.0 / static_cast<double>(optimizer.steps + 1), 0.01);
  const double square = std::exp(2 * old) * (1 - share_of_batch) + std::exp(2 * fitted) * share_of_batch;
  std::fill_n(c.log_scale.value.data(), c.log_scale.value.size(), static_cast<float>(0.5 * std::log(square)));
}

template <class Sink>
void Trainer::weights_phase(int count, Sink&& sink) {
  const int threads = threads_for(count, static_cast<int>(tiles_.size()));
  share_tiles(threads);
  team_.run(threads, [&](int thread) {
    alignas(64) float gradient[NR * NR];
    for (int i = shares_[thread]; i < shares_[thread + 1]; ++i) {
      const Tile& t = tiles_[i];
      const int rows = count * t.samples;
      if (i + 1 < shares_[thread + 1]) prefetch(tiles_[i + 1]);
      if (t.columns && model_.scale == Scale::global) {
        sum_all(*t.delta, rows, gradient);
      } else if (t.columns) {
        sum_rows(*t.delta, t.panel, rows, gradient);
      } else {
        multiply_weights(*t.input, *t.delta, rows, t.tile, t.panel, t.rows, gradient);
      }
      for_runs(t, [&](Parameter& parameter, std::size_t offset, int n) {
        if (t.layer && &parameter == &t.layer->bias) sum_rows(*t.delta, t.panel, rows, gradient);
        sink(i, parameter, offset, gradient, n);
      });
      finish(t);
    }
  });
}

template <class F>
void Trainer::for_runs(const Tile& t, F&& f) {
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

// What must follow every change of a tile's weights.
void Trainer::finish(const Tile& t) {
  if (t.layer && !t.layer->transposed.empty()) t.layer->transpose_tile(t.panel, t.tile);
}

// What the next tile's optimiser step will read, while this tile's gradient is summed.
void Trainer::prefetch(const Tile& t) {
  if (!t.layer) return;
  const std::size_t offset = t.layer->weight.value.offset(t.panel, t.tile * NR);
  for (const Panels* m : {&t.layer->weight.value, &t.layer->weight.first, &t.layer->weight.second})
    if (!m->empty()) simd::prefetch(m->data() + offset, t.rows * NR);
}

void Trainer::draw_noise(const Noise& noise, int first, int last) {
  const int latent_dim = model_.shape.latent_dim, blocks = (latent_dim + 3) / 4;  // of four numbers, per sample
  first *= objective_.samples;
  last *= objective_.samples;
  const float* eps = noise.given;
  int stride = latent_dim;
  if (!eps) {
    stride = 4 * blocks;
    fill_normals(noise.seed, Stream::training, noise.step, static_cast<std::uint32_t>(first * blocks),
                 (last - first) * stride, noise_.data() + static_cast<std::size_t>(first) * stride);
    eps = noise_.data();
  }
  for (int sample = first; sample < last; ++sample)
    std::copy_n(eps + static_cast<std::size_t>(sample) * stride, latent_dim, batch_->posterior.eps(sample));
}

// Changes what the encoder sees; the likelihood goes by `target`, which load_row has filled.
void Trainer::corrupt(const Noise& noise, int first, int last) {
  using Corruption = Regularization::Corruption;
  if (regularization_.corruption == Corruption::none) return;
  const auto amount = static_cast<float>(regularization_.corruption_amount);
  const auto blocks = static_cast<std::uint32_t>((model_.shape.features + 3) / 4);
  alignas(64) float random[NR];
  for (int row = first; row < last; ++row)
    for (int panel = 0; panel < panel_count(model_.shape.features); ++panel) {
      const std::uint32_t block =
          static_cast<std::uint32_t>(row) * blocks + static_cast<std::uint32_t>(panel * (NR / 4));
      const int n = std::min(NR, model_.shape.features - panel * NR);
      const auto fill = regularization_.corruption == Corruption::gaussian ? fill_normals : fill_uniform;
      fill(noise.seed, Stream::corruption, noise.step, block, n, random);
      float* x = batch_->x.at(panel, row);
      for (int i = 0; i < n; ++i) switch (regularization_.corruption) {
          case Corruption::gaussian:
            x[i] += amount * random[i];
            break;
          case Corruption::salt_and_pepper:
            if (random[i] < 2 * amount - 1) x[i] = random[i] < amount - 1 ? 0.f : 1.f;
            break;
          default:
            if (random[i] < 2 * amount - 1) x[i] = 0;
        }
    }
}

void Trainer::make_room(int count, bool missing) {
  if (batch_ && batch_->rows >= count && batch_->kind.missing == missing) return;
  // Memory may run out: the batch comes last, and what follows it cannot fail, so that there is all or nothing.
  batch_.reset();
  shares_.clear();
  tiles_.clear();
  const int samples = objective_.samples;
  noise_ = Buffer(static_cast<std::size_t>(count) * samples * (model_.shape.latent_dim + 3));
  std::size_t tiles = 0;
  for (const Network* network : {&model_.encoder, &model_.decoder})
    for (const Dense& layer : network->layers)
      tiles += static_cast<std::size_t>(panel_count(layer.out())) * panel_count(layer.in());
  for (const Columns& c : model_.columns) tiles += static_cast<std::size_t>(panel_count(c.count));
  tiles_.reserve(tiles);
  square_norms_.resize(tiles);
  const bool corrupted = regularization_.corruption != Regularization::Corruption::none;
  batch_.emplace(model_, count,
                 BatchKind{.samples = samples, .training = true, .missing = missing, .corrupted = corrupted});
  add_tiles(model_.encoder, batch_->x, batch_->encoder, 1);
  add_tiles(model_.decoder, batch_->posterior.z, batch_->decoder, samples);
  for (std::size_t i = 0; i < model_.columns.size(); ++i) {
    Columns& c = model_.columns[i];
    const int panels = model_.scale == Scale::global ? 1 : panel_count(c.count);
    for (int panel = 0; panel < panels && model_.trains_scale(c); ++panel)
      tiles_.push_back({nullptr, &c, nullptr, &batch_->log_scale_delta[i], panel, 0, 1, samples});
  }
}

// The wider side of a layer comes in the outer loop, so that the narrower stays in the cache.
void Trainer::add_tiles(Network& network, const Panels& x, const Activations& a, int samples) {
  for (std::size_t i = 0; i < network.layers.size(); ++i) {
    Dense& layer = network.layers[i];
    const int panels = panel_count(layer.out()), tiles = panel_count(layer.in());
    for (int k = 0; k < panels * tiles; ++k) {
      const int panel = tiles > panels ? k % panels : k / tiles, tile = tiles > panels ? k / panels : k % tiles;
      const int rows = std::min(NR, layer.in() - tile * NR);
      tiles_.push_back({&layer, nullptr, i ? &a.hidden[i - 1] : &x, &a.delta[i], panel, tile, rows, samples});
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
int Trainer::threads_for(int count, int parts) const {
  const double flops = model_.encoder.flops() + objective_.samples * model_.decoder.flops();
  return team_.threads_for(1.5 * flops * count, parts);
}

}  // namespace vaefast
