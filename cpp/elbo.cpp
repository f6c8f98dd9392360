#include "elbo.hpp"

namespace vaefast {
namespace {

std::size_t nll_at(int row) { return static_cast<std::size_t>(row) * W; }

}  // namespace

Batch::Batch(const Model& model, int rows, bool training)
    : rows(rows),
      x(rows, model.shape.features),
      encoder(model.encoder.make_activations(rows, training)),
      decoder(model.decoder.make_activations(rows, training)),
      posterior(rows, model.shape.latent_dim),
      nll(static_cast<std::size_t>(rows) * W),
      reconstruction(static_cast<std::size_t>(rows)) {
  if (!training) output = Panels(rows, model.shape.features);
  if (training && model.learn_sigma) log_sigma_delta = Panels(rows, model.shape.features);
}

void encode(const Model& model, Batch& batch, int first, int last) {
  Posterior& q = batch.posterior;
  model.encoder.forward(batch.x, batch.encoder, q.head, first, last, [](const Block&) {});
  q.read_head(first, last);
}

void decode_and_score(const Model& model, Batch& batch, int first, int last) {
  batch.posterior.sample(first, last);
  Panels& out = batch.output.empty() ? batch.decoder.delta.back() : batch.output;
  const float* log_sigma = model.log_sigma.value.data();
  std::fill(batch.nll.data() + nll_at(first), batch.nll.data() + nll_at(last), 0.f);
  model.decoder.forward(batch.posterior.z, batch.decoder, out, first, last, [&](const Block& block) {
    alignas(64) float mask[NR] = {};
    std::fill_n(mask, std::min(NR, model.shape.features - block.panel * NR), 1.f);
    model.likelihood->evaluate(
        {.out = block.data,
         .x = batch.x.data() + block.offset,
         .mask = mask,
         .log_sigma = log_sigma ? log_sigma + block.panel * NR : nullptr,
         .log_sigma_delta = batch.log_sigma_delta.empty() ? nullptr : batch.log_sigma_delta.data() + block.offset,
         .nll = batch.nll.data() + nll_at(block.row),
         .rows = block.rows});
  });
  for (int row = first; row < last; ++row)
    batch.reconstruction[static_cast<std::size_t>(row)] = simd::sum(simd::load(batch.nll.data() + nll_at(row)));
}

void backward(const Model& model, Batch& batch, float beta, int first, int last) {
  model.decoder.backward(batch.decoder, &batch.posterior.dz, first, last);
  batch.posterior.backward(beta, batch.encoder.delta.back(), first, last);
  model.encoder.backward(batch.encoder, nullptr, first, last);
}

void decode_mean(const Model& model, Batch& batch, int first, int last) {
  model.decoder.forward(batch.posterior.z, batch.decoder, batch.output, first, last,
                        [&](const Block& block) { model.likelihood->mean(block.data, block.size()); });
}

}  // namespace vaefast
