#include "trainer.hpp"

#include <chrono>

#include "random.hpp"

namespace vaefast {
namespace {

// Dropout streams reserved for the encoder's layers. Those of the decoder follow.
constexpr std::uint32_t DECODER_STREAMS = 1 << 16;

}  // namespace

Trainer::Trainer(Model& model, ThreadPool& pool, const Optimizer& o)
    : optimizer(o), model_(model), pool_(pool), trial_(pool.size()) {
  for (const NamedTensor& tensor : model.tensors()) optimizer.prepare(*tensor.parameter);
}

void Trainer::set_objective(const Objective& objective, const Regularization& regularization) {
  objective_ = objective;
  regularization_ = regularization;
  weights_phase_.reset();  // so that make_room() allocates a batch for this objective
}

void Trainer::set_exchange(Exchange* exchange) {
  exchange_ = exchange;
  weights_phase_.reset();
}

void Trainer::gather_moments() {
  if (exchange_ && weights_phase_) weights_phase_->gather_moments();
}

Loss Trainer::step(const Rows& rows, const std::int64_t* index, int count, const StepSettings& settings,
                   const Noise& noise) {
  // With this many operations per phase, threads pay off wherever their cores are, so no trial is needed.
  constexpr double LARGE = 2e7;
  constexpr double FLOPS_PER_TRIED_THREAD = 2.5e5;
  make_room(count, rows.missing);
  // A smaller last batch of an epoch takes less time, so it cannot serve as a trial.
  const bool tried = count == batch_->rows && model_.phase_flops(objective_.samples) * count < LARGE;
  const ThreadLimit limit = tried ? ThreadLimit{trial_.threads(), FLOPS_PER_TRIED_THREAD} : pool_.limit();

  const auto start = std::chrono::steady_clock::now();
  const Loss loss = rows_phase(rows, index, count, settings, noise, limit);
  const auto middle = std::chrono::steady_clock::now();
  if (!std::isfinite(loss.reconstruction) || !std::isfinite(loss.kl) || !std::isfinite(loss.bound)) return loss;
  weights_phase(count, settings.learning_rate, limit);
  const auto end = std::chrono::steady_clock::now();
  const auto between = [](auto from, auto to) { return std::chrono::duration<double>(to - from).count(); };
  seconds.rows += between(start, middle);
  seconds.weights += between(middle, end);
  if (tried) trial_.record(between(start, end));
  return loss;
}

void Trainer::weights_phase(int count, double learning_rate, const ThreadLimit& limit) {
  optimizer.begin_step(learning_rate, count);
  if (regularization_.max_norm > 0)
    weights_phase_->clipped_step(optimizer, count, regularization_.max_norm, limit);
  else
    weights_phase_->step(optimizer, count, limit);
  model_.clamp_log_scales();
  if (model_.scale == Scale::optimal) {
    Panels& log_sigma = model_.columns[0].log_scale.value;
    std::fill_n(log_sigma.data(), log_sigma.size(), next_log_sigma_);
  }
}

Loss Trainer::gradients(const Rows& rows, const std::int64_t* index, int count, const StepSettings& settings,
                        const Noise& noise) {
  make_room(count, rows.missing);
  const Loss loss = rows_phase(rows, index, count, settings, noise, pool_.limit());
  weights_phase_->gradients(count);
  return loss;
}

Loss Trainer::rows_phase(const Rows& rows, const std::int64_t* index, int count, const StepSettings& settings,
                         const Noise& noise, const ThreadLimit& limit) {
  const double beta = objective_.variational ? settings.beta : 0;
  weigh_rows(rows, index, count);
  batch_->posterior.kl_weight.fill(static_cast<float>(beta));
  const auto dropout = [&](std::uint32_t first_layer) -> std::optional<Dropout> {
    if (regularization_.dropout == 0) return {};
    return Dropout{static_cast<float>(regularization_.dropout), noise.seed, noise.step,
                   static_cast<std::uint32_t>(Stream::dropout) + first_layer};
  };
  const std::optional<Dropout> in_encoder = dropout(0), in_decoder = dropout(DECODER_STREAMS);
  const auto load = [&](int first, int last) {
    for (int row = first; row < last; ++row) {
      if (row + 1 < last) prefetch_row(rows, index[row + 1]);
      batch_->load_row(model_, rows, index[row], row);
    }
    corrupt(noise, first, last);
  };
  const auto forward = [&](const Share& share) {
    const int first = share.first, last = share.last;
    if (!row_exchange_) load(first, last);
    if (objective_.variational) draw_noise(noise, first, last);
    encode(model_, *batch_, share, in_encoder ? &*in_encoder : nullptr);
    if (!objective_.variational)
      std::fill(batch_->posterior.kl.begin() + first, batch_->posterior.kl.begin() + last, 0.0);
    decode_and_score(model_, *batch_, share, in_decoder ? &*in_decoder : nullptr);
    weigh_samples(*batch_, objective_, beta, first, last);
  };
  const auto back = [&](const Share& share) { backward(model_, *batch_, objective_, beta, share); };

  // Rows of this process. All processes load all rows, which the weights phase reads.
  const int first = row_exchange_ ? row_exchange_->first(count) : 0;
  const int last = row_exchange_ ? row_exchange_->last(count) : count;
  const int threads = pool_.threads_for(model_.phase_flops(objective_.samples) * (last - first), last - first, limit);
  const auto for_shares = [&](auto&& body) {
    if (first < last) pool_.share_rows(threads, last - first, body, first);
  };
  if (row_exchange_)
    pool_.share_rows(threads, count, [&](const Share& share) {
      load(share.first, share.last);
      batch_->nonzeros.mark(batch_->x, share.first, share.last);
    });
  if (objective_.free_bits > 0 || settings.capacity || model_.scale == Scale::optimal) {
    for_shares(forward);
    if (row_exchange_) row_exchange_->gather_figures(count);  // the gradient depends on means over the whole batch
    weigh_kl(count, settings);
    if (model_.scale == Scale::optimal) fit_sigma(count, first, last);
    for_shares(back);
    if (row_exchange_) row_exchange_->gather_results(count);
  } else {
    for_shares([&](const Share& share) {
      forward(share);
      back(share);
    });
    if (row_exchange_) row_exchange_->gather_all(count);
  }

  Loss loss;
  for (int row = 0; row < count; ++row) {
    const double weight = rows.weights ? rows.weights[index[row]] : 1;
    for (int j = 0; j < objective_.samples; ++j)
      loss.reconstruction += weight * (batch_->reconstruction[static_cast<std::size_t>(row * objective_.samples + j)] /
                                       objective_.samples);
    loss.kl += weight * batch_->posterior.kl[static_cast<std::size_t>(row)];
    loss.bound += weight * batch_->bound[static_cast<std::size_t>(row)];
  }
  return loss;
}

// Divides the caller's weights by their mean over the batch. The weighted mean of the losses is then a sum over the
// rows divided by `count`, as it is without weights. The division also keeps the sums of gradients, which Adam squares,
// in the range of float32. Equal weights become exactly 1.
void Trainer::weigh_rows(const Rows& rows, const std::int64_t* index, int count) {
  batch_->weighted = rows.weights != nullptr;
  if (!rows.weights) {
    std::fill_n(batch_->row_weight.begin(), count, 1.f);
    return;
  }
  double sum = 0;
  for (int row = 0; row < count; ++row) sum += rows.weights[index[row]];
  const double scale = count / sum;
  for (int row = 0; row < count; ++row)
    batch_->row_weight[static_cast<std::size_t>(row)] = static_cast<float>(scale * rows.weights[index[row]]);
}

// Free bits: a dimension gets no KL gradient if its weighted mean KL is at most `free_bits` (Kingma et al. 2016).
// Capacity: the gradient pulls the weighted mean KL towards the capacity from both sides (Burgess et al. 2018).
void Trainer::weigh_kl(int count, const StepSettings& settings) {
  Posterior& q = batch_->posterior;
  const int latent_dim = model_.shape.latent_dim;
  double total = 0;
  for (int d = 0; d < latent_dim; ++d) {
    double kl = 0;
    for (int row = 0; row < count; ++row)
      kl += static_cast<double>(batch_->row_weight[static_cast<std::size_t>(row)]) * q.kl_terms(row)[d];
    total += kl;
    if (kl <= objective_.free_bits * count && objective_.free_bits > 0) q.kl_weight.data()[d] = 0;
  }
  if (!settings.capacity) return;
  const double away = total - *settings.capacity * count;
  for (int d = 0; d < latent_dim; ++d) q.kl_weight.data()[d] *= static_cast<float>((away > 0) - (away < 0));
}

// Computes the sigma that maximizes the weighted likelihood of this batch, sigma^2 = weighted mean of (x - m)^2 (Rybkin
// et al. 2021), and rescores the batch with it. The batch was scored with the old sigma, as |x - m|^2 / (2 sigma^2) +
// features (log sigma + log(2 pi) / 2). Rows [first, last) are those of this process, whose deltas it has.
void Trainer::fit_sigma(int count, int first, int last) {
  Columns& c = model_.columns[0];
  const int samples = count * objective_.samples;
  const double old = c.log_scale.value.data()[0];
  const double constant = c.count * (old + likelihood::half_log_2pi) + model_.standardization.log_volume();
  double sum = 0;
  for (int i = 0; i < samples; ++i) {
    const double weight = batch_->row_weight[static_cast<std::size_t>(i / objective_.samples)];
    sum += weight * (batch_->reconstruction[static_cast<std::size_t>(i)] - constant);
  }
  double ratio_of_squares = 2 * sum / samples / c.count;  // new over old
  if (ratio_of_squares < 0) ratio_of_squares = 0;         // rounding error if m equals x
  const double fitted =
      std::clamp<double>(old + 0.5 * std::log(ratio_of_squares), smallest_log_scale, c.likelihood->largest_scale);
  const double precision = std::exp(2 * (old - fitted));  // factor that is still missing in the deltas
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
  std::fill_n(batch_->factor.begin(), samples, static_cast<float>(precision));
  scale_rows(batch_->decoder.delta.back(), batch_->factor, first * objective_.samples, last * objective_.samples);
  // Later batches and scoring use a running mean of sigma^2.
  const double share_of_batch = std::max(1.0 / static_cast<double>(optimizer.steps + 1), 0.01);
  const double square = std::exp(2 * old) * (1 - share_of_batch) + std::exp(2 * fitted) * share_of_batch;
  next_log_sigma_ = static_cast<float>(0.5 * std::log(square));
}

void Trainer::draw_noise(const Noise& noise, int first, int last) {
  const int latent_dim = model_.shape.latent_dim, blocks = (latent_dim + 3) / 4;  // blocks of four numbers per sample
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

// Corrupts the encoder's input. The likelihood compares with `target`, which load_row() has filled.
void Trainer::corrupt(const Noise& noise, int first, int last) {
  using Corruption = Regularization::Corruption;
  if (regularization_.corruption == Corruption::none) return;
  const auto amount = static_cast<float>(regularization_.corruption_amount), kept = 1 / (1 - amount);
  const bool zeros_stay =
      regularization_.corruption == Corruption::mask || regularization_.corruption == Corruption::dropout;
  const auto blocks = static_cast<std::uint32_t>((model_.shape.features + 3) / 4);
  alignas(64) float random[NR];
  for (int row = first; row < last; ++row)
    for (int panel = 0; panel < panel_count(model_.shape.features); ++panel) {
      float* x = batch_->x.at(panel, row);
      if (zeros_stay && !simd::nonzero_bits(x) && !simd::nonzero_bits(x + W)) continue;
      const std::uint32_t block =
          static_cast<std::uint32_t>(row) * blocks + static_cast<std::uint32_t>(panel * (NR / 4));
      const int n = std::min(NR, model_.shape.features - panel * NR);
      const auto fill = regularization_.corruption == Corruption::gaussian ? fill_normals : fill_uniform;
      fill(noise.seed, Stream::corruption, noise.step, block, n, random);
      for (int i = 0; i < n; ++i) switch (regularization_.corruption) {
          case Corruption::gaussian:
            x[i] += amount * random[i];
            break;
          case Corruption::salt_and_pepper:
            if (random[i] < 2 * amount - 1) x[i] = random[i] < amount - 1 ? 0.f : 1.f;
            break;
          case Corruption::dropout:
            x[i] = random[i] < 2 * amount - 1 ? 0.f : x[i] * kept;
            break;
          default:
            if (random[i] < 2 * amount - 1) x[i] = 0;
        }
    }
}

void Trainer::make_room(int count, bool missing) {
  if (weights_phase_ && batch_->rows >= count && batch_->kind.missing == missing) return;
  // An allocation may throw. weights_phase_ is tested above and set last, so it never belongs to an incomplete batch.
  weights_phase_.reset();
  trial_ = ThreadTrial(pool_.size());
  const int samples = objective_.samples;
  const bool corrupted = regularization_.corruption != Regularization::Corruption::none;
  noise_ = Buffer(static_cast<std::size_t>(count) * samples * (model_.shape.latent_dim + 3));
  batch_.emplace(model_, count,
                 BatchKind{.samples = samples, .training = true, .missing = missing, .corrupted = corrupted});
  row_exchange_.reset();
  if (exchange_) row_exchange_.emplace(*exchange_, pool_, *batch_);
  weights_phase_.emplace(model_, pool_, *batch_, exchange_);
}

}  // namespace vaefast
