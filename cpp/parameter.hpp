// Trained tensors: their values, their gradients where those are wanted, and what the optimiser remembers of each.
#pragma once

#include <string>

#include "panels.hpp"

namespace vaefast {

// Four matrices of one shape; a vector is a matrix of one row. The last three stay empty until they are needed.
struct Parameter {
  Panels value, gradient, first, second;  // first, second: the optimiser's moments

  Parameter() = default;
  Parameter(int rows, int cols) : value(rows, cols) {}
};

// A tensor as the outside knows it: a name, and columns [first, first + cols) of a parameter.
struct NamedTensor {
  std::string name;
  Parameter* parameter;
  int first, cols;
  bool is_vector;
  int rows() const { return parameter->value.rows(); }
};

}  // namespace vaefast
