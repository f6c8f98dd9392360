// The parts of the core one by one, for the tests.
#include "activation.hpp"
#include "bindings.hpp"
#include "product.hpp"
#include "random.hpp"

namespace vaefast::bindings {
namespace {

Panels to_panels(const Floats& array) {
  Panels panels(static_cast<int>(array.shape(0)), static_cast<int>(array.shape(1)));
  for (int row = 0; row < panels.rows(); ++row) panels.write_row(row, 0, panels.cols(), array.data(row, 0));
  return panels;
}

Floats from_panels(const Panels& panels) {
  Floats array({panels.rows(), panels.cols()});
  for (int row = 0; row < panels.rows(); ++row) panels.read_row(row, 0, panels.cols(), array.mutable_data(row, 0));
  return array;
}

// a (n, k) times b (k, m), rows computed in two separate runs that meet at `split`
Floats product(const Floats& a, const Floats& b, int split) {
  expect_shape(a, "a", -1, b.shape(0));
  const Panels left = to_panels(a), right = to_panels(b);
  Panels out(left.rows(), right.cols());
  multiply(left, right, nullptr, out, 0, split, [](const Block&) {});
  multiply(left, right, nullptr, out, split, left.rows(), [](const Block&) {});
  return from_panels(out);
}

// a^T (k, n) times d (n, m)
Floats weights_product(const Floats& a, const Floats& d) {
  expect_shape(d, "d", a.shape(0), d.shape(1));
  const Panels left = to_panels(a), right = to_panels(d);
  Panels out(left.cols(), right.cols());
  for (int panel = 0; panel < out.count(); ++panel)
    for (int tile = 0; tile < left.count(); ++tile)
      multiply_weights(left, right, left.rows(), tile, panel, std::min(NR, out.rows() - tile * NR), out.at(panel, tile * NR));
  return from_panels(out);
}

std::pair<Floats, Floats> activation(const std::string& name, const Floats& x) {
  const int n = static_cast<int>(x.size()), padded = (n + W - 1) / W * W;
  Buffer values(static_cast<std::size_t>(padded)), slopes(static_cast<std::size_t>(padded));
  std::copy_n(x.data(), n, values.data());
  find(activations, "activation", name).apply(values.data(), slopes.data(), padded);
  return {Floats(n, values.data()), Floats(n, slopes.data())};
}

Floats normals(std::uint64_t seed, std::uint64_t word, std::uint32_t block, int count) {
  Floats out(count);
  fill_normals(seed, Stream::training, word, block, count, out.mutable_data());
  return out;
}

}  // namespace

void register_kernels(py::module_& m) {
  using namespace py::literals;
  py::module_ kernels = m.def_submodule("kernels", "The parts of the core one by one, for tests.");
  kernels.def("product", &product, "a"_a, "b"_a, "split"_a = 0);
  kernels.def("weights_product", &weights_product, "a"_a, "d"_a);
  kernels.def("activation", &activation, "name"_a, "x"_a);
  kernels.def("philox", &philox, "counter"_a, "key"_a);
  kernels.def("normals", &normals, "seed"_a, "word"_a, "block"_a, "count"_a);
  m.def(
      "permutation",
      [](std::int64_t n, std::uint64_t seed, std::uint32_t epoch) {
        const auto order = permutation(n, seed, epoch);
        return Indices(static_cast<py::ssize_t>(order.size()), order.data());
      },
      "n"_a, "seed"_a, "epoch"_a);
}

}  // namespace vaefast::bindings
