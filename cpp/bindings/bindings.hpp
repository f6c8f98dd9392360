// What the binding files share. Python validates and explains; what is checked here keeps memory safe, no more.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <stdexcept>
#include <string>

namespace vaefast::bindings {

namespace py = pybind11;
using Floats = py::array_t<float, py::array::c_style>;
using Indices = py::array_t<std::int64_t, py::array::c_style>;

void register_core(py::module_& m);
void register_kernels(py::module_& m);

// The entry of that name in a table such as `activations`.
template <class Entry, std::size_t N>
const Entry& find(const Entry (&table)[N], const std::string& what, const std::string& name) {
  std::string names;
  for (const Entry& entry : table) {
    if (entry.name == name) return entry;
    names += (names.empty() ? "" : ", ") + std::string(entry.name);
  }
  throw std::invalid_argument("unknown " + what + " '" + name + "'; there are " + names);
}

template <class Entry, std::size_t N>
py::tuple names(const Entry (&table)[N]) {
  py::tuple all(N);
  for (std::size_t i = 0; i < N; ++i) all[i] = table[i].name;
  return all;
}

// Throws unless `array` is (rows, cols); rows < 0: any number.
inline void expect_shape(const py::array& array, const char* what, py::ssize_t rows, py::ssize_t cols) {
  if (array.ndim() == 2 && (rows < 0 || array.shape(0) == rows) && array.shape(1) == cols) return;
  throw std::invalid_argument(std::string(what) + " must have shape (" + (rows < 0 ? "n" : std::to_string(rows)) + ", " +
                              std::to_string(cols) + ")");
}

}  // namespace vaefast::bindings
