// Optimizers. Each one updates a run of a parameter in place, so it can use a tile of the gradient that has just left
// the registers.
#pragma once

#include <cmath>

#include "parameter.hpp"
#include "types.hpp"

namespace vaefast {

// A contiguous run of n floats of a parameter. n is a multiple of W.
struct ParameterRun {
  float* value;
  float* m;
  float* v;
  const float* gradient;
  int n;
};

class Optimizer;

struct OptimizerKind {
  const char* name;
  int moments;  // number of moments per parameter
  void (*step)(const Optimizer& optimizer, const ParameterRun& run);
};

class Optimizer {
 public:
  Optimizer(const OptimizerKind& kind, OptimizerSettings settings) : kind(&kind), settings(settings) {}

  // Must be called before the first run of a step. Gradients arrive as sums over `batch` rows and are used as means.
  void begin_step(double learning_rate, int batch) {
    ++steps;
    scale = 1.f / static_cast<float>(batch);
    rate = static_cast<float>(learning_rate);
    const double c1 = 1 - std::pow(settings.beta1, static_cast<double>(steps));
    const double c2 = std::sqrt(1 - std::pow(settings.beta2, static_cast<double>(steps)));
    adam_rate = static_cast<float>(learning_rate * c2 / c1);
    adam_epsilon = static_cast<float>(settings.epsilon * c2);
    keep = static_cast<float>(1 - learning_rate * settings.weight_decay);
  }

  // Allocates the moments that this optimizer keeps for `parameter`. Discards those of an earlier optimizer.
  void prepare(Parameter& parameter) const {
    const int rows = parameter.value.rows(), cols = parameter.value.cols();
    parameter.m = kind->moments > 0 ? Panels(rows, cols) : Panels();
    parameter.v = kind->moments > 1 ? Panels(rows, cols) : Panels();
  }

  void step(Parameter& p, std::size_t offset, const float* gradient, int n) const {
    const auto at = [offset](Panels& moment) { return moment.empty() ? nullptr : moment.data() + offset; };
    kind->step(*this, {p.value.data() + offset, at(p.m), at(p.v), gradient, n});
  }

  const OptimizerKind* kind;
  OptimizerSettings settings;
  std::int64_t steps = 0;
  float scale = 1, rate = 0, adam_rate = 0, adam_epsilon = 0, keep = 1;
};

namespace optimizer {
using namespace simd;

// SGD with momentum: b = momentum b + g, w -= rate b. `m` stores b.
inline void sgd(const Optimizer& o, const ParameterRun& run) {
  const Packet momentum = set(static_cast<float>(o.settings.momentum)), scale = set(o.scale), rate = set(-o.rate);
  for (int i = 0; i < run.n; i += W) {
    const Packet b = fma(momentum, load(run.m + i), mul(scale, load(run.gradient + i)));
    store(run.m + i, b);
    store(run.value + i, fma(rate, b, load(run.value + i)));
  }
}

// Adam (Kingma & Ba 2015), with the bias corrections folded into the rate and epsilon:
// w -= rate c2 / c1 * m / (sqrt(v) + epsilon c2), c1 = 1 - beta1^t, c2 = sqrt(1 - beta2^t).
// DECAY adds AdamW's decoupled weight decay (Loshchilov & Hutter 2019).
template <bool DECAY>
inline void adam(const Optimizer& o, const ParameterRun& run) {
  const double beta1 = o.settings.beta1, beta2 = o.settings.beta2;
  const Packet b1 = set(static_cast<float>(beta1)), b2 = set(static_cast<float>(beta2));
  const Packet scale1 = set(static_cast<float>((1 - beta1) * o.scale));
  const Packet scale2 = set(static_cast<float>((1 - beta2) * o.scale * o.scale));
  const Packet rate = set(-o.adam_rate), epsilon = set(o.adam_epsilon), keep = set(o.keep);
  for (int i = 0; i < run.n; i += W) {
    const Packet g = load(run.gradient + i);
    const Packet m = fma(b1, load(run.m + i), mul(scale1, g));
    const Packet v = min(fma(b2, load(run.v + i), mul(mul(scale2, g), g)), set(largest));  // g^2 may overflow
    // Loads w before the stores: if the arrays are a multiple of 4096 bytes apart, the load would wait for the stores.
    Packet w = load(run.value + i);
    if constexpr (DECAY) w = mul(keep, w);
    store(run.m + i, m);
    store(run.v + i, v);
    store(run.value + i, fma(mul(rate, m), reciprocal(add(sqrt(v), epsilon)), w));
  }
}

}  // namespace optimizer

inline constexpr OptimizerKind optimizers[] = {
    {"adam", 2, optimizer::adam<false>},
    {"adamw", 2, optimizer::adam<true>},
    {"sgd", 1, optimizer::sgd},
};

}  // namespace vaefast
