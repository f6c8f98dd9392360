#include "model.hpp"

#include <cmath>

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

Model::Model(Shape s, const Activation& activation, const Likelihood& likelihood, bool learn_sigma)
    : shape(std::move(s)),
      encoder(chain(shape.features, shape.encoder, 2 * shape.latent_dim), activation, false),
      decoder(chain(shape.latent_dim, shape.decoder, shape.features), activation, true),
      likelihood(&likelihood),
      learn_sigma(learn_sigma && likelihood.has_scale) {
  if (likelihood.has_scale) log_sigma = Parameter(1, shape.features);
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
  if (likelihood->has_scale) all.push_back({"log_sigma", &log_sigma, 0, shape.features, true});
  return all;
}

void Model::initialize(std::uint64_t seed) {
  std::uint64_t word = 0;  // counts the rows of all tensors: each has numbers of its own
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
  if (learn_sigma) log_sigma.value.zero();
  weights_changed();
}

void Model::clamp_log_sigma() {
  float* values = log_sigma.value.data();
  for (std::size_t i = 0; i < log_sigma.value.size(); ++i) values[i] = std::clamp(values[i], -7.f, 14.f);
}

void Model::weights_changed() {
  for (Network* network : {&encoder, &decoder})
    for (Dense& layer : network->layers) layer.transpose_all();
}

double Model::flops() const {
  double sum = 0;
  for (const Network* network : {&encoder, &decoder})
    for (const Dense& layer : network->layers) sum += 2.0 * layer.in() * layer.out();
  return sum;
}

}  // namespace vaefast
