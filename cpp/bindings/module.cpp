// One extension module per instruction set, all from the same sources: VAEFAST_VARIANT is its name.
#include "activation.hpp"
#include "bindings.hpp"
#include "likelihood.hpp"
#include "optimizer.hpp"
#include "product.hpp"

PYBIND11_MODULE(VAEFAST_VARIANT, m) {
  using namespace vaefast;
  bindings::register_core(m);
  bindings::register_kernels(m);
  m.attr("ACTIVATIONS") = bindings::names(activations);
  m.attr("LIKELIHOODS") = bindings::names(likelihoods);
  m.attr("OPTIMIZERS") = bindings::names(optimizers);
  m.attr("PACKET_WIDTH") = W;
  m.attr("EIGEN_VERSION") = std::to_string(EIGEN_WORLD_VERSION) + "." + std::to_string(EIGEN_MAJOR_VERSION) + "." +
                            std::to_string(EIGEN_MINOR_VERSION);
}
