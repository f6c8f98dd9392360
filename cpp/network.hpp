// A chain of dense layers. The encoder is one network and the decoder is another.
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
  // (out, in): the transposed weights, for the backward product; empty if the layer's input needs no delta
  Panels transposed;

  Dense(int in, int out, bool passes_back)
      : weight(in, out), bias(1, out), transposed(passes_back ? Panels(out, in) : Panels()) {}

  int in() const { return weight.value.rows(); }
  int out() const { return weight.value.cols(); }

  // Copies tile (panel, tile) of the weights to `transposed`. Must be called after every change of the weights.
  void transpose_tile(int panel, int tile);
  void transpose_all();
};

// The results of a network's layers for one batch.
struct Activations {
  std::vector<Panels> hidden;  // outputs of the hidden layers
  std::vector<Panels> slope;   // derivatives of the activation at the hidden units; empty at inference
  std::vector<Panels> delta;   // d loss / d pre-activation of every layer; empty at inference
};

// Dropout sets hidden units to 0 with probability `rate` and multiplies the others by 1 / (1 - rate) (Srivastava et al.
// 2014).
struct Dropout {
  float rate;
  std::uint64_t seed, step;
  std::uint32_t first_stream;  // random stream of the network's first layer

  // Applies dropout to the values of a block of hidden layer `layer`, which is `cols` wide, and to its slopes unless
  // they are null.
  void apply(int layer, int cols, const Block& block, float* slopes) const;
};

class Network {
 public:
  // widths: input, hidden..., output. The last layer has no activation. `passes_back` tells whether the network's input
  // needs a delta.
  Network(const std::vector<int>& widths, const Activation& activation, bool passes_back);

  std::vector<Dense> layers;

  // Returns the operations (additions and multiplications) of a forward pass per row.
  double flops() const;
  Activations make_activations(int rows, bool training) const;

  // Takes a share of x through all layers. The last layer writes to `out`, block by block, and last_epilogue processes
  // each block. `dropout` is null except in training. `nonzeros` marks the nonzero elements of x, or is null. `cols`
  // limits the last layer to its first columns; 0 means all.
  template <class Epilogue>
  void forward(const Panels& x, Activations& a, Panels& out, const Share& share, const Dropout* dropout,
               Epilogue&& last_epilogue, const Nonzeros* nonzeros = nullptr, int cols = 0) const {
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
    const Dense& last = layers.back();
    multiply(*in, last.weight.value, last.bias.value.data(), out, share, last_epilogue, nonzeros, cols);
  }

  // Computes the deltas of all layers from that of the last layer. Writes the delta of the network's input to `dx`
  // unless it is null.
  void backward(Activations& a, Panels* dx, const Share& share) const;

 private:
  const Activation* activation_;
};

}  // namespace vaefast
