// Compiled once and linked with every variant of the core. What is checked here keeps memory safe, no more: Python
// validates and explains.
#include "bindings.hpp"
#include "core.hpp"

PYBIND11_MODULE(_variant, m) {
  using namespace vaefast;
  bindings::register_core(m);
  bindings::register_kernels(m);
  m.attr("ACTIVATIONS") = pybind11::tuple(pybind11::cast(activation_names()));
  std::vector<std::string> names, counts;
  pybind11::dict scales;  // what the log scale of a likelihood is called, of those that have one
  for (const LikelihoodInfo& likelihood : likelihood_infos()) {
    names.push_back(likelihood.name);
    if (likelihood.counts) counts.push_back(likelihood.name);
    if (!likelihood.scale.empty()) scales[pybind11::str(likelihood.name)] = likelihood.scale;
  }
  m.attr("LIKELIHOODS") = pybind11::tuple(pybind11::cast(names));
  m.attr("COUNTS") = pybind11::tuple(pybind11::cast(counts));
  m.attr("SCALES") = scales;
  m.attr("OPTIMIZERS") = pybind11::tuple(pybind11::cast(optimizer_names()));
  m.attr("EIGEN_VERSION") = eigen_version();
}
