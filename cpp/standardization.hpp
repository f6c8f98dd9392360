// The map between the caller's units and those of the network: x = (value - mean) / scale for each feature.
#pragma once

#include <cmath>
#include <vector>

#include "panels.hpp"

namespace vaefast {

class Standardization {
 public:
  Standardization() = default;  // the identity
  // mean, scale: (features); a feature with mean 0 and scale 1 keeps its values
  Standardization(const float* mean, const float* scale, int features)
      : mean_(1, features), scale_(1, features), precision_(1, features) {
    mean_.write_row(0, 0, features, mean);
    scale_.write_row(0, 0, features, scale);
    for (int i = 0; i < features; ++i) {
      precision_.data()[i] = 1 / scale[i];
      log_scale_.push_back(std::log(static_cast<double>(scale[i])));
      log_volume_ += log_scale_.back();
    }
  }

  bool is_identity() const { return mean_.empty(); }

  // value -> x, in one row. The padding becomes 0. NaN stays NaN.
  void apply(Panels& x, int row) const {
    for_packets(x, row, [this](Packet value, std::size_t at) {
      return simd::mul(simd::sub(value, simd::load(mean_.data() + at)), simd::load(precision_.data() + at));
    });
  }
  // x -> value, in one row
  void undo(Panels& x, int row) const {
    for_packets(x, row, [this](Packet value, std::size_t at) {
      return simd::fma(value, simd::load(scale_.data() + at), simd::load(mean_.data() + at));
    });
  }

  // Returns the sum of the features' log scales: -log p(value) is -log p(x) plus this.
  double log_volume() const { return log_volume_; }
  // Returns the sum over the features that `mask` marks as known in this row.
  double log_volume(const Panels& mask, int row) const {
    double sum = 0;
    for (int col = 0; col < mean_.cols(); ++col)
      if (is_known(mask, col, row)) sum += log_scale_[static_cast<std::size_t>(col)];
    return sum;
  }
  // Turns -log p(x) of each feature into -log p(value), in one row. An empty mask stands for a row without missing
  // values.
  void add_log_scales(Panels& terms, const Panels& mask, int row) const {
    for (int col = 0; col < mean_.cols(); ++col)
      if (mask.empty() || is_known(mask, col, row))
        terms.at(col / NR, row)[col % NR] += static_cast<float>(log_scale_[static_cast<std::size_t>(col)]);
  }

 private:
  static bool is_known(const Panels& mask, int col, int row) { return mask.at(col / NR, row)[col % NR] > 0; }

  template <class F>
  void for_packets(Panels& x, int row, F&& f) const {
    for (int panel = 0; panel < mean_.count(); ++panel) {
      float* values = x.at(panel, row);
      for (int i = 0; i < NR; i += W)
        simd::store(values + i, f(simd::load(values + i), static_cast<std::size_t>(panel * NR + i)));
    }
  }

  // (1, features): a matrix of one row holds its columns in order, whatever the width of a panel
  Panels mean_, scale_, precision_;
  std::vector<double> log_scale_;
  double log_volume_ = 0;  // sum of log_scale_
};

}  // namespace vaefast
