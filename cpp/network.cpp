#include "network.hpp"

#include "random.hpp"

namespace vaefast {

void Dense::transpose_tile(int panel, int tile) {
  const int rows = std::min(NR, in() - tile * NR), cols = std::min(NR, out() - panel * NR);
  const float* in = weight.value.at(panel, tile * NR);
  float* out = transposed.at(tile, panel * NR);
  alignas(64) float square[NR * NR];
  if (rows < NR) {  // pads the last tile of a panel with zeros
    std::fill(std::copy_n(in, rows * NR, square), square + NR * NR, 0.f);
    in = square;
  }
  for (int i = 0; i < NR; i += W)
    for (int j = 0; j < NR; j += W) {
      Packet packets[W];
#pragma GCC unroll 16
      for (int r = 0; r < W; ++r) packets[r] = simd::load(in + (i + r) * NR + j);
      simd::transpose(packets);
#pragma GCC unroll 16
      for (int r = 0; r < W; ++r)
        if (j + r < cols) simd::store(out + (j + r) * NR + i, packets[r]);
    }
}

void Dense::transpose_all() {
  if (transposed.empty()) return;
  for (int panel = 0; panel < panel_count(out()); ++panel)
    for (int tile = 0; tile < panel_count(in()); ++tile) transpose_tile(panel, tile);
}

void Dropout::apply(int layer, int cols, const Block& block, float* slopes) const {
  using namespace simd;
  constexpr int UNIT = 32;  // a row's random numbers start at a multiple of this for every NR
  const int stride = (cols + UNIT - 1) / UNIT * UNIT;
  const Packet threshold = set(2 * rate - 1), scale = set(1 / (1 - rate));
  alignas(64) float uniform[NR];
  for (int r = 0; r < block.rows; ++r) {
    const auto number = static_cast<std::uint32_t>((block.row + r) * stride + block.panel * NR);
    fill_uniform(seed, static_cast<Stream>(first_stream + static_cast<std::uint32_t>(layer)), step, number / 4, NR,
                 uniform);
    for (int c = 0; c < NR; c += W) {
      const Packet factor = select(less(load(uniform + c), threshold), zero(), scale);
      float* value = block.data + r * NR + c;
      store(value, mul(factor, load(value)));
      if (slopes) store(slopes + r * NR + c, mul(factor, load(slopes + r * NR + c)));
    }
  }
}

Network::Network(const std::vector<int>& widths, const Activation& activation, bool passes_back)
    : activation_(&activation) {
  for (std::size_t i = 0; i + 1 < widths.size(); ++i)
    layers.emplace_back(widths[i], widths[i + 1], passes_back || i > 0);
}

double Network::flops() const {
  double sum = 0;
  for (const Dense& layer : layers) sum += 2.0 * layer.in() * layer.out();
  return sum;
}

Activations Network::make_activations(int rows, bool training) const {
  Activations a;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const int width = layers[i].out();
    if (i + 1 < layers.size()) {
      a.hidden.emplace_back(rows, width);
      if (training) a.slope.emplace_back(rows, width);
    }
    if (training) a.delta.emplace_back(rows, width);
  }
  return a;
}

void Network::backward(Activations& a, Panels* dx, const Share& share) const {
  for (std::size_t i = layers.size() - 1; i > 0; --i) {
    const float* slopes = a.slope[i - 1].data();
    multiply(a.delta[i], layers[i].transposed, nullptr, a.delta[i - 1], share, [&](const Block& block) {
      const float* slope = slopes + block.offset;
      for (int k = 0; k < block.size(); k += W)
        simd::store(block.data + k, simd::mul(simd::load(block.data + k), simd::load(slope + k)));
    });
  }
  if (dx) multiply(a.delta[0], layers[0].transposed, nullptr, *dx, share, [](const Block&) {});
}

}  // namespace vaefast
