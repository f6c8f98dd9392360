#include "inference.hpp"

#include <climits>
#include <limits>

#include "random.hpp"

namespace vaefast {
namespace {

// The logarithm of a mean of exponentials, which are added one by one, and the standard error of that estimate.
class LogMeanExp {
 public:
  void add(double log_weight, int) {
    if (log_weight > greatest_) {
      const double shrink = std::exp(greatest_ - log_weight);
      sum_ *= shrink;
      squares_ *= shrink * shrink;
      greatest_ = log_weight;
    }
    const double weight = std::exp(log_weight - greatest_);
    sum_ += weight;
    squares_ += weight * weight;
    ++n_;
  }
  double value() const { return greatest_ + std::log(sum_ / n_); }
  double standard_error() const {  // relative standard error of the mean; NaN for one sample
    const double mean = sum_ / n_;
    return std::sqrt(std::max(squares_ / n_ - mean * mean, 0.0) / (n_ - 1)) / mean;
  }

 private:
  double greatest_ = -std::numeric_limits<double>::infinity(), sum_ = 0, squares_ = 0;
  int n_ = 0;
};

// The weighted mean of E[x | z] over the samples of a row. The weights are exponentials.
class WeightedMean {
 public:
  WeightedMean(const Model& model, Batch& batch) : model_(model), batch_(batch), sums_(batch.output.cols()) {}

  void add(double log_weight, int sample) {
    if (log_weight > greatest_) {
      const double shrink = std::exp(greatest_ - log_weight);
      weights_ *= shrink;
      for (double& sum : sums_) sum *= shrink;
      greatest_ = log_weight;
    }
    const double weight = std::exp(log_weight - greatest_);
    weights_ += weight;
    output_to_mean(model_, batch_, {sample, sample + 1});
    for (int col = 0; col < batch_.output.cols(); ++col)
      sums_[static_cast<std::size_t>(col)] += weight * batch_.output.at(col / NR, sample)[col % NR];
  }
  void write(float* mean) const {
    for (double sum : sums_) *mean++ = static_cast<float>(sum / weights_);
  }

 private:
  const Model& model_;
  Batch& batch_;
  double greatest_ = -std::numeric_limits<double>::infinity(), weights_ = 0;
  std::vector<double> sums_;  // (features)
};

}  // namespace

// Returns the largest number of rows per task. More rows make better use of a pass over the weights, which come from
// memory if the network is wide. Fewer rows keep the activations in the cache: the widest layer takes at most 2 MB, or
// an eighth of the largest weight matrix.
int Inference::rows_at_a_time() const {
  constexpr int MOST = 192;
  constexpr std::int64_t FLOATS = 1 << 19;
  std::int64_t widest = model_.shape.features, largest = 0;
  for (const Network* network : {&model_.encoder, &model_.decoder})
    for (const Dense& layer : network->layers) {
      widest = std::max({widest, static_cast<std::int64_t>(layer.in()), static_cast<std::int64_t>(layer.out())});
      largest = std::max(largest, static_cast<std::int64_t>(layer.in()) * layer.out());
    }
  return static_cast<int>(std::clamp<std::int64_t>(std::max(FLOATS, largest / 8) / widest, MR, MOST));
}

void Inference::make_room(int rows, const BatchKind& kind) {
  // With an odd number of rows, the panels of one row lie in different sets of the cache.
  if (!batch_ || batch_->rows < rows || batch_->kind != kind) batch_.emplace(model_, rows | 1, kind);
}

template <class F>
void Inference::for_tasks(std::int64_t n, double flops_per_row, int most, const BatchKind& kind, F&& f) {
  // A thread computes this many operations in about 50 microseconds. A smaller gain would be lost whenever another
  // program delays the thread for which the others wait.
  constexpr double FLOPS_PER_THREAD = 4e6;
  constexpr int FEW = 2 * MR;  // rows per thread, below which a pass over the weights costs more than the products
  if (n == 0) return;
  const ThreadLimit limit{.most = pool_.size(), .flops_per_thread = FLOPS_PER_THREAD};
  const ThreadPool::Claim claim(pool_, pool_.threads_for(flops_per_row * static_cast<double>(n), INT_MAX, limit));
  const int threads = claim.threads();
  if (threads > 1 && most > 1 && n <= std::min<std::int64_t>(most, static_cast<std::int64_t>(FEW) * threads)) {
    make_room(static_cast<int>(n), kind);
    pool_.share_rows(threads, static_cast<int>(n), [&](const Share& share) { f(share.first, share); });
    return;
  }
  const std::int64_t round = static_cast<std::int64_t>(most) * threads;  // rows of one task per thread
  const int tasks = static_cast<int>(std::min<std::int64_t>({(n + round - 1) / round * threads, n, INT_MAX}));
  const int rows = static_cast<int>((n + tasks - 1) / tasks), busy = std::min(threads, tasks);
  make_room(rows * busy, kind);
  queue_.assign(tasks, busy);
  pool_.run(busy, [&](int thread) {
    for (int i; (i = queue_.take_task(thread)) >= 0;) {
      const std::int64_t first = part_begin(n, i, tasks), last = part_begin(n, i + 1, tasks);
      const int slot = thread * rows;
      f(first, Share{slot, slot + static_cast<int>(last - first)});
    }
  });
}

bool Inference::load(const Rows& rows, std::int64_t row, const Share& share) {
  constexpr int CHECKED = 1 << 13;  // values that are checked and then loaded, while they are in the first-level cache
  const int step = std::max(1, CHECKED / rows.cols);
  for (int first = share.first; first < share.last; first += step) {
    const int last = std::min(first + step, share.last);
    const std::int64_t at = row + first - share.first;
    if (refused_.load(std::memory_order_relaxed)) return false;
    if (rows.limits && !within(rows, at, at + last - first, *rows.limits)) {
      refused_.store(true, std::memory_order_relaxed);
      return false;
    }
    for (int i = first; i < last; ++i) batch_->load_row(model_, rows, at + i - first, i);
  }
  return true;
}

bool Inference::encode(const Rows& rows, std::int64_t n, float* mu, float* logvar) {
  const std::int64_t latent_dim = model_.shape.latent_dim;
  const BatchKind kind{.missing = rows.missing};
  const Dense& reads_x = model_.encoder.layers[0];  // skips zeros, so only half of its operations count
  const double flops = model_.encoder.flops() - static_cast<double>(reads_x.in()) * reads_x.out();
  refused_ = false;
  for_tasks(n, flops, rows_at_a_time(), kind, [&](std::int64_t row, const Share& share) {
    load(rows, row, share);
    const Posterior& q = batch_->posterior;
    logvar ? vaefast::encode(model_, *batch_, share) : encode_mean(model_, *batch_, share);
    for (int i = share.first; i < share.last; ++i, ++row) {
      q.head.read_row(i, 0, model_.shape.latent_dim, mu + row * latent_dim);
      if (logvar) std::copy_n(q.logvar(i), latent_dim, logvar + row * latent_dim);
    }
  });
  return !refused_;
}

void Inference::decode(const float* z, std::int64_t n, float* mean) {
  const int cols = model_.shape.latent_dim + model_.shape.conditions, features = model_.shape.features;
  for_tasks(n, model_.decoder.flops(), rows_at_a_time(), {}, [&](std::int64_t row, const Share& share) {
    for (int i = share.first; i < share.last; ++i)
      batch_->posterior.z.write_row(i, 0, cols, z + (row + i - share.first) * cols);
    decode_mean(model_, *batch_, share);
    for (int i = share.first; i < share.last; ++i)
      batch_->output.read_row(i, 0, features, mean + (row + i - share.first) * features);
  });
}

template <class Draw, class Store>
bool Inference::score_rows(const Rows& rows, std::int64_t n, const BatchKind& kind, Draw&& draw, Store&& store) {
  refused_ = false;
  for_tasks(n, model_.flops(), rows_at_a_time(), kind, [&](std::int64_t row, const Share& share) {
    if (load(rows, row, share))
      for (int i = share.first; i < share.last; ++i) draw(row + i - share.first, i);
    vaefast::encode(model_, *batch_, share);
    decode_and_score(model_, *batch_, share);
    for (int i = share.first; i < share.last; ++i) store(row + i - share.first, i);
  });
  return !refused_;
}

bool Inference::score(const Rows& rows, std::int64_t n, const Noise& noise, bool deterministic, double* reconstruction,
                      double* kl) {
  const int latent_dim = model_.shape.latent_dim;
  return score_rows(
      rows, n, {.missing = rows.missing},
      [&](std::int64_t row, int slot) {
        float* eps = batch_->posterior.eps(slot);
        if (deterministic)
          std::fill_n(eps, latent_dim, 0.f);
        else if (noise.given)
          std::copy_n(noise.given + row * latent_dim, latent_dim, eps);
        else
          fill_normals(noise.seed, Stream::scoring, hash_row(batch_->x, slot), 0, latent_dim, eps);
      },
      [&](std::int64_t row, int slot) {
        reconstruction[row] = batch_->reconstruction[static_cast<std::size_t>(slot)];
        kl[row] = deterministic ? 0 : batch_->posterior.kl[static_cast<std::size_t>(slot)];
      });
}

void Inference::contributions(const Rows& rows, std::int64_t n, float* terms) {
  const std::int64_t features = model_.shape.features;
  score_rows(
      rows, n, {.missing = rows.missing, .terms = true},
      [&](std::int64_t, int slot) { std::fill_n(batch_->posterior.eps(slot), model_.shape.latent_dim, 0.f); },
      [&](std::int64_t row, int slot) {
        if (!model_.standardization.is_identity())
          model_.standardization.add_log_scales(batch_->terms, batch_->mask, slot);
        batch_->terms.read_row(slot, 0, model_.shape.features, terms + row * features);
      });
}

template <class Make, class Store>
void Inference::weigh_rows(const Rows& rows, std::int64_t n, int samples, std::uint64_t seed, Make&& make,
                           Store&& store) {
  const int latent_dim = model_.shape.latent_dim, stride = (latent_dim + 3) / 4 * 4;
  const int rounds = (samples + rows_at_a_time() - 1) / rows_at_a_time(), at_a_time = (samples + rounds - 1) / rounds;
  const BatchKind kind{.samples = at_a_time, .missing = rows.missing};
  Buffer noise(static_cast<std::size_t>(pool_.size()) * at_a_time * stride);
  for_tasks(n, samples * model_.decoder.flops(), 1, kind, [&](std::int64_t row, const Share& share) {
    Batch& batch = *batch_;
    const int slot = share.first;
    float* numbers = noise.data() + static_cast<std::size_t>(slot) * at_a_time * stride;
    batch.load_row(model_, rows, row, slot);
    vaefast::encode(model_, batch, {slot, slot + 1});
    const std::uint64_t name = hash_row(batch.x, slot);
    auto accumulator = make();
    for (int done = 0; done < samples; done += at_a_time) {
      fill_normals(seed, Stream::scoring, name, static_cast<std::uint32_t>(done * (stride / 4)), at_a_time * stride,
                   numbers);
      for (int j = 0; j < at_a_time; ++j)
        std::copy_n(numbers + j * stride, latent_dim, batch.posterior.eps(slot * at_a_time + j));
      decode_and_score(model_, batch, {slot, slot + 1});
      for (int j = 0; j < std::min(at_a_time, samples - done); ++j) {
        const int sample = slot * at_a_time + j;
        const auto at = static_cast<std::size_t>(sample);
        accumulator.add(batch.posterior.log_ratio[at] - batch.reconstruction[at], sample);
      }
    }
    store(row, accumulator);
  });
}

void Inference::log_likelihood(const Rows& rows, std::int64_t n, int samples, std::uint64_t seed, double* estimate,
                               double* standard_error) {
  weigh_rows(
      rows, n, samples, seed, [] { return LogMeanExp(); },
      [&](std::int64_t row, const LogMeanExp& likelihood) {
        estimate[row] = likelihood.value();
        standard_error[row] = likelihood.standard_error();
      });
}

void Inference::importance_samples(const Rows& rows, std::int64_t n, int samples, std::uint64_t seed, float* z,
                                   double* log_weights) {
  const int latent_dim = model_.shape.latent_dim;
  struct Samples {
    std::vector<float> z;
    std::vector<double> log_weights;
    const Panels& source;
    int latent_dim;
    void add(double log_weight, int sample) {
      log_weights.push_back(log_weight);
      z.resize(z.size() + static_cast<std::size_t>(latent_dim));
      source.read_row(sample, 0, latent_dim, z.data() + z.size() - latent_dim);
    }
  };
  weigh_rows(
      rows, n, samples, seed, [&] { return Samples{{}, {}, batch_->posterior.z, latent_dim}; },
      [&](std::int64_t row, const Samples& drawn) {
        std::copy(drawn.z.begin(), drawn.z.end(), z + row * samples * latent_dim);
        std::copy(drawn.log_weights.begin(), drawn.log_weights.end(), log_weights + row * samples);
      });
}

void Inference::impute(const Rows& rows, std::int64_t n, int samples, std::uint64_t seed, float* mean) {
  weigh_rows(
      rows, n, samples, seed, [&] { return WeightedMean(model_, *batch_); },
      [&](std::int64_t row, const WeightedMean& x) { x.write(mean + row * model_.shape.features); });
}

}  // namespace vaefast
