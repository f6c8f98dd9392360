#include "model.hpp"

#include <cmath>
#include <numbers>

#include "random.hpp"

namespace vaefast {
namespace {

std::vector<int> chain(int first, const std::vector<int>& hidden, int last) {
  std::vector<int> widths{first};
  widths.insert(widths.end(), hidden.begin(), hidden.end());
  widths.push_back(last);
  return widths;
}

}  // namespace

Model::Model(Shape s, const Activation& activation, std::vector<Columns> of_features, Scale scale, double df)
    : shape(std::move(s)),
      encoder(chain(shape.features + shape.conditions, shape.encoder, 2 * shape.latent_dim), activation, false),
      decoder(chain(shape.latent_dim + shape.conditions, shape.decoder, shape.features), activation, true),
      columns(std::move(of_features)),
      scale(scale),
      df(static_cast<float>(df)),
      df_constant(
          static_cast<float>(std::lgamma(df / 2) - std::lgamma((df + 1) / 2) + 0.5 * std::log(df * std::numbers::pi))) {
  for (Columns& c : columns)
    if (c.likelihood->scale) c.log_scale = Parameter(1, c.count);
}

std::vector<NamedTensor> Model::tensors() {
  std::vector<NamedTensor> all;
  const auto add = [&](const std::string& name, Dense& layer, int first, int cols) {
    all.push_back({name + ".weight", &layer.weight, first, cols, false});
    all.push_back({name + ".bias", &layer.bias, first, cols, true});
  };
  const auto add_hidden = [&](const std::string& name, Network& network) {
    for (std::size_t i = 0; i + 1 < network.layers.size(); ++i)
      add(name + "." + std::to_string(i), network.layers[i], 0, network.layers[i].out());
  };
  add_hidden("encoder", encoder);
  add("mu", encoder.layers.back(), 0, shape.latent_dim);
  add("logvar", encoder.layers.back(), shape.latent_dim, shape.latent_dim);
  add_hidden("decoder", decoder);
  add("output", decoder.layers.back(), 0, shape.features);
  for (std::size_t i = 0; i < columns.size(); ++i) {
    Columns& c = columns[i];
    const std::string place = columns.size() > 1 ? "columns." + std::to_string(i) + "." : "";
    if (c.likelihood->scale) all.push_back({place + c.likelihood->scale, &c.log_scale, 0, c.count, true});
  }
  return all;
}

void Model::initialize(std::uint64_t seed) {
  std::uint64_t word = 0;  // counts the rows of all tensors, so that each has its own random numbers
  for (Network* network : {&encoder, &decoder})
    for (Dense& layer : network->layers) {
      std::vector<float> values(static_cast<std::size_t>(layer.out()));
      const float bound = 1.f / std::sqrt(static_cast<float>(layer.in()));
      for (Parameter* parameter : {&layer.weight, &layer.bias})
        for (int row = 0; row < parameter->value.rows(); ++row) {
          fill_uniform(seed, Stream::initial, word++, 0, layer.out(), values.data());
          for (float& value : values) value *= bound;
          parameter->value.write_row(row, 0, layer.out(), values.data());
        }
    }
  if (scale != Scale::fixed)
    for (Columns& c : columns) c.log_scale.value.zero();
  weights_changed();
}

void Model::clamp_log_scales() {
  for (Columns& c : columns) {
    float* values = c.log_scale.value.data();
    for (std::size_t i = 0; trains_scale(c) && i < c.log_scale.value.size(); ++i)
      values[i] = std::clamp(values[i], smallest_log_scale, c.likelihood->largest_scale);
  }
}

void Model::weights_changed() {
  for (Network* network : {&encoder, &decoder})
    for (Dense& layer : network->layers) layer.transpose_all();
}

}  // namespace vaefast
