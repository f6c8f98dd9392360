#include "elbo.hpp"

#include <algorithm>

#include "data.hpp"

namespace vaefast {
namespace {

// A mask that all rows share: 1 for the first `n` features of a panel, 0 for the padding.
struct RowMask {
  alignas(64) float values[NR] = {};
  explicit RowMask(int n) { std::fill_n(values, std::min(NR, n), 1.f); }
};

// These copy columns first, first + 1, ... of rows [row, last) to and from a matrix that holds only these columns.
void take_columns(const Panels& from, int first, Panels& to, int row, int last) {
  for (; row < last; ++row)
    for (int panel = 0; panel < to.count(); ++panel)
      from.read_row(row, first + panel * NR, std::min(NR, to.cols() - panel * NR), to.at(panel, row));
}
void put_columns(const Panels& from, Panels& to, int first, int row, int last) {
  for (; row < last; ++row)
    for (int panel = 0; panel < from.count(); ++panel)
      to.write_row(row, first + panel * NR, std::min(NR, from.cols() - panel * NR), from.at(panel, row));
}

// Returns whether the likelihood can process each packet of the output independently. It then processes each block of
// the output right after the product, while the block is still in the first-level cache.
bool block_by_block(const Model& model) {
  return model.columns.size() == 1 && !model.columns[0].likelihood->joins_columns;
}

// For models that cannot be processed block by block: calls f(block, columns) for every Columns. Each block holds the
// whole output of rows [first, last) for these columns.
template <class F>
void for_parts(const Model& model, Batch& batch, Panels& output, int first, int last, bool with_data, F&& f) {
  for (std::size_t i = 0; i < model.columns.size(); ++i) {
    const Columns& c = model.columns[i];
    Batch::Part& part = batch.parts[i];
    const int first_row = first / batch.kind.samples, last_row = last / batch.kind.samples;
    const bool some_missing = with_data && !batch.mask.empty();
    // In training, a single group needs no copies: its columns are all those of the output, of which only the gradient
    // is needed afterwards.
    const bool in_place = with_data && batch.kind.training && model.columns.size() == 1;
    Panels& out = in_place ? output : part.output;
    const Panels &x = in_place ? batch.seen_by_likelihood() : part.x, &mask = in_place ? batch.mask : part.mask;
    if (!in_place) take_columns(output, c.first, out, first, last);
    if (!in_place && with_data) take_columns(batch.seen_by_likelihood(), c.first, part.x, first_row, last_row);
    if (!in_place && some_missing) take_columns(batch.mask, c.first, part.mask, first_row, last_row);
    Panels* delta = batch.log_scale_delta.empty() ? nullptr : &batch.log_scale_delta[i];
    f(LikelihoodBlock{.out = out.at(0, first),
                      .gradients = batch.kind.training,
                      .data_row = batch.data_row.data() + first,
                      .x = x.data(),
                      .mask = some_missing ? mask.data() : part.columns.data(),
                      .shared_mask = !some_missing,
                      .log_scale = c.log_scale.value.data(),
                      .log_scale_delta = delta && !delta->empty() ? delta->at(0, first) : nullptr,
                      .log_exposure = batch.log_exposure.data(),
                      .nll = batch.nll_of(static_cast<int>(i), first),
                      .terms = part.terms.empty() ? nullptr : part.terms.at(0, first),
                      .rows = last - first,
                      .panels = out.count(),
                      .panel_stride = out.panel_stride(),
                      .data_stride = x.panel_stride(),
                      .df = model.df,
                      .df_constant = model.df_constant},
      c);
    if (!in_place && (!with_data || batch.kind.training)) put_columns(out, output, c.first, first, last);
    if (with_data && !part.terms.empty()) put_columns(part.terms, batch.terms, c.first, first, last);
  }
}

Panels column_mask(int cols) {
  Panels mask(1, cols);
  std::fill_n(mask.data(), cols, 1.f);  // a matrix of one row holds its columns in order
  return mask;
}

}  // namespace

void scale_rows(Panels& m, const std::vector<float>& factor, int first, int last) {
  for (int panel = 0; panel < m.count(); ++panel)
    for (int row = first; row < last; ++row) {
      const Packet f = simd::set(factor[static_cast<std::size_t>(row)]);
      float* values = m.at(panel, row);
      for (int i = 0; i < NR; i += W) simd::store(values + i, simd::mul(f, simd::load(values + i)));
    }
}

Batch::Batch(const Model& model, int rows, const BatchKind& kind)
    : rows(rows),
      kind(kind),
      x(rows, model.shape.features + model.shape.conditions),
      nonzeros(rows, model.shape.features + model.shape.conditions),
      log_exposure(static_cast<std::size_t>(rows)),
      data_row(static_cast<std::size_t>(rows * kind.samples)),
      encoder(model.encoder.make_activations(rows, kind.training)),
      decoder(model.decoder.make_activations(rows * kind.samples, kind.training)),
      posterior(rows, kind.samples, model.shape.latent_dim, model.shape.conditions),
      log_volume(static_cast<std::size_t>(rows)),
      reconstruction(static_cast<std::size_t>(rows * kind.samples)),
      row_weight(static_cast<std::size_t>(rows), 1.f),
      share(static_cast<std::size_t>(rows * kind.samples)),
      factor(static_cast<std::size_t>(rows * kind.samples)),
      bound(static_cast<std::size_t>(rows)) {
  const int samples = rows * kind.samples, features = model.shape.features;
  for (int sample = 0; sample < samples; ++sample) data_row[static_cast<std::size_t>(sample)] = sample / kind.samples;
  sums_per_sample = block_by_block(model) ? panel_count(features) : static_cast<int>(model.columns.size());
  nll.resize(static_cast<std::size_t>(sums_per_sample) * samples);
  const bool counts =
      std::any_of(model.columns.begin(), model.columns.end(), [](const Columns& c) { return c.likelihood->counts; });
  if (kind.corrupted || counts || model.shape.normalized) target = Panels(rows, features);
  if (kind.missing) mask = Panels(rows, features);
  if (kind.terms) terms = Panels(samples, features);
  if (!kind.training) output = Panels(samples, features);
  for (const Columns& c : model.columns) {
    if (kind.training) log_scale_delta.push_back(model.trains_scale(c) ? Panels(samples, c.count) : Panels());
    if (!block_by_block(model))
      parts.push_back({Panels(samples, c.count), Panels(rows, c.count), kind.missing ? Panels(rows, c.count) : Panels(),
                       column_mask(c.count), kind.terms ? Panels(samples, c.count) : Panels()});
  }
}

void Batch::load_row(const Model& model, const Rows& rows, std::int64_t index, int row) {
  const int features = model.shape.features, conditions = model.shape.conditions;
  copy_row(rows, index, x, row);
  const Standardization& standardization = model.standardization;
  if (!standardization.is_identity()) standardization.apply(x, row);  // before the conditions, in the same panels
  copy_conditions(rows, index, conditions, x, row, features);
  for (int sample = row * kind.samples; sample < (row + 1) * kind.samples; ++sample)
    copy_conditions(rows, index, conditions, posterior.z, sample, model.shape.latent_dim);
  log_exposure[static_cast<std::size_t>(row)] = rows.log_exposure ? rows.log_exposure[index] : 0;
  if (!mask.empty()) {
    split_missing(x, mask, row);
    for (const Columns& c : model.columns)
      if (c.likelihood->joins_columns) join_missing(x, mask, row, c.first, c.count);
  }
  if (!standardization.is_identity())
    log_volume[static_cast<std::size_t>(row)] =
        mask.empty() ? standardization.log_volume() : standardization.log_volume(mask, row);
  for (int panel = 0; panel < target.count(); ++panel) std::copy_n(x.at(panel, row), NR, target.at(panel, row));
  if (model.shape.normalized) return normalize(x, row, features);
  for (const Columns& c : model.columns)
    if (c.likelihood->counts) log_counts(x, row, c.first, c.count);
}

void encode(const Model& model, Batch& batch, const Share& share, const Dropout* dropout) {
  Posterior& q = batch.posterior;
  batch.nonzeros.mark(batch.x, share.first, share.last);
  model.encoder.forward(batch.x, batch.encoder, q.head, share, dropout, [](const Block&) {}, &batch.nonzeros);
  q.read_head(share.first, share.last);
}

void encode_mean(const Model& model, Batch& batch, const Share& share) {
  batch.nonzeros.mark(batch.x, share.first, share.last);
  model.encoder.forward(
      batch.x, batch.encoder, batch.posterior.head, share, nullptr, [](const Block&) {}, &batch.nonzeros,
      model.shape.latent_dim);
}

void decode_and_score(const Model& model, Batch& batch, const Share& rows, const Dropout* dropout) {
  batch.posterior.sample(rows.first, rows.last);
  const Share share = rows.times(batch.kind.samples);
  Panels& out = batch.output.empty() ? batch.decoder.delta.back() : batch.output;
  const auto forward = [&](auto&& epilogue) {
    model.decoder.forward(batch.posterior.z, batch.decoder, out, share, dropout, epilogue);
  };
  if (block_by_block(model)) {
    const Columns& c = model.columns[0];
    const float* log_scale = c.log_scale.value.data();
    float* delta = batch.log_scale_delta.empty() ? nullptr : batch.log_scale_delta[0].data();
    const Panels& x = batch.seen_by_likelihood();
    float* terms = batch.terms.data();
    forward([&](const Block& block) {
      const RowMask shared(c.count - block.panel * NR);
      double* nll = batch.nll_of(block.panel, block.row);
      std::fill_n(nll, block.rows, 0.0);
      c.likelihood->evaluate({.out = block.data,
                              .gradients = batch.kind.training,
                              .data_row = batch.data_row.data() + block.row,
                              .x = x.at(block.panel, 0),
                              .mask = batch.mask.empty() ? shared.values : batch.mask.at(block.panel, 0),
                              .shared_mask = batch.mask.empty(),
                              .log_scale = log_scale ? log_scale + block.panel * NR : nullptr,
                              .log_scale_delta = delta ? delta + block.offset : nullptr,
                              .log_exposure = batch.log_exposure.data(),
                              .nll = nll,
                              .terms = terms ? terms + block.offset : nullptr,
                              .rows = block.rows,
                              .df = model.df,
                              .df_constant = model.df_constant});
    });
  } else {
    forward([](const Block&) {});
    for_parts(model, batch, out, share.first, share.last, true, [](const LikelihoodBlock& block, const Columns& c) {
      std::fill_n(block.nll, block.rows, 0.0);
      c.likelihood->evaluate(block);
    });
  }
  for (int sample = share.first; sample < share.last; ++sample)
    batch.reconstruction[static_cast<std::size_t>(sample)] =
        batch.log_volume[static_cast<std::size_t>(sample / batch.kind.samples)];
  for (int part = 0; part < batch.sums_per_sample; ++part)
    for (int sample = share.first; sample < share.last; ++sample)
      batch.reconstruction[static_cast<std::size_t>(sample)] += *batch.nll_of(part, sample);
}

void weigh_samples(Batch& batch, const Objective& objective, double beta, int first, int last) {
  const int k = batch.kind.samples;
  for (int row = first; row < last; ++row) {
    const std::size_t at = static_cast<std::size_t>(row) * k;
    const double *nll = batch.reconstruction.data() + at, *ratio = batch.posterior.log_ratio.data() + at;
    float* share = batch.share.data() + at;
    double& bound = batch.bound[static_cast<std::size_t>(row)];
    if (objective.importance) {
      const auto log_weight = [&](int j) { return beta * ratio[j] - nll[j]; };
      double greatest = log_weight(0), sum = 0;
      for (int j = 1; j < k; ++j) greatest = std::max(greatest, log_weight(j));
      for (int j = 0; j < k; ++j) sum += std::exp(log_weight(j) - greatest);
      for (int j = 0; j < k; ++j) share[j] = static_cast<float>(std::exp(log_weight(j) - greatest) / sum);
      bound = greatest + std::log(sum / k);
    } else {
      bound = -batch.posterior.kl[static_cast<std::size_t>(row)];
      for (int j = 0; j < k; ++j) bound -= nll[j] / k;
      std::fill_n(share, k, 1.f / static_cast<float>(k));
    }
  }
  if (!batch.kind.training || (k == 1 && !batch.weighted)) return;
  for (int row = first; row < last; ++row)
    for (int sample = row * k; sample < (row + 1) * k; ++sample) {
      const auto at = static_cast<std::size_t>(sample);
      batch.factor[at] = batch.row_weight[static_cast<std::size_t>(row)] * batch.share[at];
    }
  scale_rows(batch.decoder.delta.back(), batch.factor, first * k, last * k);
  for (Panels& delta : batch.log_scale_delta) scale_rows(delta, batch.factor, first * k, last * k);
}

void backward(const Model& model, Batch& batch, const Objective& objective, double beta, const Share& share) {
  Posterior& q = batch.posterior;
  model.decoder.backward(batch.decoder, &q.dz, share.times(batch.kind.samples));
  if (objective.importance || objective.gradient != Objective::Gradient::standard)
    q.backward_samples(batch.row_weight.data(), batch.share.data(), beta, objective.gradient,
                       batch.encoder.delta.back(), share.first, share.last);
  else
    q.backward(batch.row_weight.data(), batch.encoder.delta.back(), share.first, share.last);
  model.encoder.backward(batch.encoder, nullptr, share);
}

void decode_mean(const Model& model, Batch& batch, const Share& share) {
  model.decoder.forward(batch.posterior.z, batch.decoder, batch.output, share, nullptr, [](const Block&) {});
  output_to_mean(model, batch, share);
}

void output_to_mean(const Model& model, Batch& batch, const Share& samples) {
  Panels& out = batch.output;
  if (block_by_block(model))
    model.columns[0].likelihood->mean({.out = out.at(0, samples.first),
                                       .rows = samples.last - samples.first,
                                       .panels = out.count(),
                                       .panel_stride = out.panel_stride()});
  else
    for_parts(model, batch, out, samples.first, samples.last, false,
              [](const LikelihoodBlock& block, const Columns& c) { c.likelihood->mean(block); });
  if (model.standardization.is_identity()) return;
  for (int sample = samples.first; sample < samples.last; ++sample) model.standardization.undo(out, sample);
}

}  // namespace vaefast
