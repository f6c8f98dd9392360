#include "inference.hpp"

#include "random.hpp"

namespace vaefast {
namespace {

constexpr int PIECE = 96;                 // rows that a thread takes at a time: its share of the batch stays in the cache
constexpr double FLOPS_PER_THREAD = 1e6;  // below this much work a thread costs more than it brings

}  // namespace

template <class F>
void Inference::for_pieces(std::int64_t n, double flops_per_row, F&& f) {
  const double worthwhile = 1 + flops_per_row * static_cast<double>(n) / FLOPS_PER_THREAD;
  const int threads = static_cast<int>(std::min<double>({worthwhile, static_cast<double>(team_.size()), static_cast<double>(n)}));
  const int piece = static_cast<int>(std::min<std::int64_t>(PIECE, (n + threads - 1) / threads));
  if (!batch_ || batch_->rows < piece * threads) batch_.emplace(model_, piece * threads, false);
  team_.run(threads, [&](int thread) {
    const std::int64_t last = n * (thread + 1) / threads;
    for (std::int64_t row = n * thread / threads; row < last; row += piece)
      f(row, thread * piece, static_cast<int>(std::min<std::int64_t>(piece, last - row)));
  });
}

void Inference::encode(const Rows& rows, std::int64_t n, float* mu, float* logvar) {
  const std::int64_t latent_dim = model_.shape.latent_dim;
  for_pieces(n, model_.flops() / 2, [&](std::int64_t row, int first, int count) {
    for (int i = 0; i < count; ++i) rows.copy(row + i, batch_->x, first + i);
    vaefast::encode(model_, *batch_, first, first + count);
    for (int i = 0; i < count; ++i) {
      std::copy_n(batch_->posterior.mu(first + i), latent_dim, mu + (row + i) * latent_dim);
      std::copy_n(batch_->posterior.logvar(first + i), latent_dim, logvar + (row + i) * latent_dim);
    }
  });
}

void Inference::decode(const float* z, std::int64_t n, float* mean) {
  const int latent_dim = model_.shape.latent_dim, features = model_.shape.features;
  for_pieces(n, model_.flops() / 2, [&](std::int64_t row, int first, int count) {
    for (int i = 0; i < count; ++i) batch_->posterior.z.write_row(first + i, 0, latent_dim, z + (row + i) * latent_dim);
    decode_mean(model_, *batch_, first, first + count);
    for (int i = 0; i < count; ++i) batch_->output.read_row(first + i, 0, features, mean + (row + i) * features);
  });
}

void Inference::score(const Rows& rows, std::int64_t n, std::uint64_t seed, const float* eps, double* reconstruction, double* kl) {
  const int latent_dim = model_.shape.latent_dim;
  for_pieces(n, model_.flops(), [&](std::int64_t row, int first, int count) {
    for (int i = 0; i < count; ++i) {
      rows.copy(row + i, batch_->x, first + i);
      float* noise = batch_->posterior.eps(first + i);
      if (eps)
        std::copy_n(eps + (row + i) * latent_dim, latent_dim, noise);
      else
        fill_normals(seed, Stream::scoring, hash_row(batch_->x, first + i), 0, latent_dim, noise);
    }
    vaefast::encode(model_, *batch_, first, first + count);
    decode_and_score(model_, *batch_, first, first + count);
    for (int i = 0; i < count; ++i) {
      reconstruction[row + i] = batch_->reconstruction[static_cast<std::size_t>(first + i)];
      kl[row + i] = batch_->posterior.kl[static_cast<std::size_t>(first + i)];
    }
  });
}

}  // namespace vaefast
