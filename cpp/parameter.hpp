// Trained tensors: their values, their gradients and the optimizer's moments.
#pragma once

#include <string>

#include "panels.hpp"

namespace vaefast {

// Four matrices of the same shape. A vector is a matrix with one row. All but `value` stay empty until they are needed.
struct Parameter {
  Panels value, gradient, m, v;  // m, v: the optimizer's moments

  Parameter() = default;
  Parameter(int rows, int cols) : value(rows, cols) {}
};

// A tensor of the public interface: columns [first, first + cols) of a parameter, under a name.
struct NamedTensor {
  std::string name;
  Parameter* parameter;
  int first, cols;
  bool is_vector;
  int rows() const { return parameter->value.rows(); }
};

}  // namespace vaefast
