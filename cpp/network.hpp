// A chain of dense layers. The encoder is one, the decoder another.
#pragma once

#include <cstdint>
#include <vector>

#include "activation.hpp"
#include "parameter.hpp"
#include "product.hpp"

namespace vaefast {

struct Dense {
  Parameter weight;  // (in, out)
  Parameter bias;    // (1, out)
  // (out, in): the weights as the backward product reads them; empty where no delta goes further back
  Panels transposed;

  Dense(int in, int out, bool passes_back)
      : weight(in, out), bias(1, out), transposed(passes_back ? Panels(out, in) : Panels()) {}

  int in() const { return weight.value.rows(); }
  int out() const { return weight.value.cols(); }

  // Tile (panel, tile) of the weights into `transposed`, which must follow every change of the weights.
  void transpose_tile(int panel, int tile);
  void transpose_all();
};

// What the layers of a network make of one batch.
struct Activations {
  std::vector<Panels> hidden;  // outputs of the hidden layers
  std::vector<Panels> slope;   // the activation's derivative there; empty for inference
  std::vector<Panels> delta;   // d loss / d pre-activation, of every layer; empty for inference
};

// Sets hidden units to 0 with probability `rate` and scales the others by 1 / (1 - rate) (Srivastava et al. 2014).
struct Dropout {
  float rate;
  std::uint64_t seed, step;
  std::uint32_t first_stream;  // that of the network's first layer

  // The same of values and slopes, a block of hidden layer `layer` that is `cols` wide.
  void apply(int layer, int cols, const Block& block, float* slopes) const;
};

class Network {
 public:
  // widths: input, hidden..., output. The last layer has no activation: what becomes of its output is the caller's.
  Network(const std::vector<int>& widths, const Activation& activation, bool passes_back);

  std::vector<Dense> layers;

  // Multiplications and additions of one row, forward.
  double flops() const;
  Activations make_activations(int rows, bool training) const;

  // A share of x through all layers. The last layer's output goes to `out`, block by block, each handed to
  // last_epilogue. dropout: null but in training. nonzeros: those of x, or null.
  template <class Epilogue>
  void forward(const Panels& x, Activations& a, Panels& out, const Share& share, const Dropout* dropout,
               Epilogue&& last_epilogue, const Nonzeros* nonzeros = nullptr) const {
    const Panels* in = &x;
    for (std::size_t i = 0; i + 1 < layers.size(); ++i) {
      float* slopes = a.slope.empty() ? nullptr : a.slope[i].data();
      const auto activate = [&](const Block& block) {
        float* slope = slopes ? slopes + block.offset : nullptr;
        activation_->apply(block.data, slope, block.size());
        if (dropout) dropout->apply(static_cast<int>(i), layers[i].out(), block, slope);
      };
      multiply(*in, layers[i].weight.value, layers[i].bias.value.data(), a.hidden[i], share, activate, nonzeros);
      in = &a.hidden[i];
      nonzeros = nullptr;
    }
    multiply(*in, layers.back().weight.value, layers.back().bias.value.data(), out, share, last_epilogue, nonzeros);
  }

  // From delta of the last layer to those of all layers and, unless it is null, of the network's input.
  void backward(Activations& a, Panels* dx, const Share& share) const;

 private:
  const Activation* activation_;
};

}  // namespace vaefast
