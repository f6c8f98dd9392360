#include "inference.hpp"

#include "random.hpp"

namespace vaefast {
namespace {

// Rows that a thread takes at a time: few enough for its share of the batch to stay in the cache, and small.
int rows_at_a_time(const Shape& shape) {
  int widest = shape.features;
  for (const std::vector<int>& widths : {shape.encoder, shape.decoder})
    for (int width : widths) widest = std::max(widest, width);
  return std::clamp((1 << 18) / widest, MR, 8 * MR);
}

}  // namespace

template <class F>
void Inference::for_pieces(std::int64_t n, double flops_per_row, F&& f) {
  const int threads = team_.threads_for(flops_per_row * static_cast<double>(n), n);
  const int piece = static_cast<int>(std::min<std::int64_t>(rows_at_a_time(model_.shape), (n + threads - 1) / threads));
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
    for (int i = 0; i < count; ++i) copy_row(rows, row + i, batch_->x, first + i);
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

void Inference::score(const Rows& rows, std::int64_t n, const Noise& noise, double* reconstruction, double* kl) {
  const int latent_dim = model_.shape.latent_dim;
  for_pieces(n, model_.flops(), [&](std::int64_t row, int first, int count) {
    for (int i = 0; i < count; ++i) {
      copy_row(rows, row + i, batch_->x, first + i);
      float* eps = batch_->posterior.eps(first + i);
      if (noise.given)
        std::copy_n(noise.given + (row + i) * latent_dim, latent_dim, eps);
      else
        fill_normals(noise.seed, Stream::scoring, hash_row(batch_->x, first + i), 0, latent_dim, eps);
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
