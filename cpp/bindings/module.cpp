// The Python module. It is compiled once and linked with every variant of the core. The bindings check only what memory
// safety needs. The Python package validates arguments and explains errors.
#include <exception>
#include <system_error>

#include "bindings.hpp"
#include "core.hpp"

// The module does not need the GIL: its static data are constant, and each Core has its own locks.
PYBIND11_MODULE(_variant, m, pybind11::mod_gil_not_used()) {
  using namespace vaefast;
  pybind11::register_local_exception_translator([](std::exception_ptr error) {
    try {
      if (error) std::rethrow_exception(error);
    } catch (const std::system_error& refused) {
      const std::string why = refused.code().message();
      PyErr_SetString(PyExc_OSError, ("the system starts no more threads (" + why + "): set n_threads lower").c_str());
    }
  });
  bindings::register_core(m);
  bindings::register_kernels(m);
  m.attr("ACTIVATIONS") = pybind11::tuple(pybind11::cast(activation_names()));
  std::vector<std::string> names, counts;
  pybind11::dict scales;  // likelihood -> name of its log-scale tensor, if it has one
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
