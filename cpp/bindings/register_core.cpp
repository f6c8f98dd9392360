#include <optional>

#include "bindings.hpp"
#include "core.hpp"

namespace vaefast::bindings {
namespace {

Slot slot_of(const std::string& name) {
  if (name == "value") return Slot::value;
  if (name == "gradient") return Slot::gradient;
  if (name == "first") return Slot::first;
  if (name == "second") return Slot::second;
  throw std::invalid_argument("unknown slot '" + name + "'; there are value, gradient, first, second");
}

Rows view(const Core& core, const py::array& x) {
  const int features = core.shape().features;
  expect_shape(x, "x", -1, features);
  if ((x.flags() & py::array::c_style) != 0) {
    if (py::isinstance<py::array_t<float>>(x)) return {static_cast<const float*>(x.data()), nullptr, features};
    if (py::isinstance<py::array_t<std::uint8_t>>(x))
      return {nullptr, static_cast<const std::uint8_t*>(x.data()), features};
  }
  throw std::invalid_argument("x must be float32 or uint8, C-contiguous");
}

Noise noise_of(const Core& core, const std::optional<Floats>& eps, py::ssize_t rows, std::uint64_t seed,
               std::uint64_t step) {
  if (eps) expect_shape(*eps, "eps", rows, core.shape().latent_dim);
  return {eps ? eps->data() : nullptr, seed, step};
}

py::dict tensors(const Core& core, const std::string& name) {
  const Slot slot = slot_of(name);
  const std::vector<TensorInfo> infos = core.tensors();
  py::dict all;
  std::vector<float*> out(infos.size());
  for (std::size_t i = 0; i < infos.size(); ++i) {
    if (!core.has(i, slot)) continue;
    const auto& [tensor, rows, cols, is_vector] = infos[i];
    Floats array(is_vector ? std::vector<py::ssize_t>{cols} : std::vector<py::ssize_t>{rows, cols});
    out[i] = array.mutable_data();
    all[py::str(tensor)] = std::move(array);
  }
  const py::gil_scoped_release release;
  core.read(slot, out);
  return all;
}

// Writes all tensors at once, or none: names and shapes must be those of tensors(slot).
void set_tensors(Core& core, const py::dict& values, const std::string& name) {
  const Slot slot = slot_of(name);
  const std::vector<TensorInfo> infos = core.tensors();
  std::vector<Floats> arrays(infos.size());
  std::vector<const float*> in(infos.size());
  std::size_t expected = 0;
  for (std::size_t i = 0; i < infos.size(); ++i) {
    if (!core.has(i, slot)) continue;
    const auto& [tensor, rows, cols, is_vector] = infos[i];
    ++expected;
    if (!values.contains(tensor)) throw std::invalid_argument("the tensor '" + tensor + "' is missing");
    arrays[i] = py::cast<Floats>(values[py::str(tensor)]);
    if (is_vector && arrays[i].ndim() == 1) arrays[i] = arrays[i].reshape({py::ssize_t{1}, arrays[i].size()});
    expect_shape(arrays[i], "the tensor '" + tensor + "'", rows, cols);
    in[i] = arrays[i].data();
  }
  if (values.size() != expected)
    throw std::invalid_argument("there are tensors that this model does not have in '" + name + "'");
  const py::gil_scoped_release release;
  core.write(slot, in);
}

std::pair<double, double> step(Core& core, const py::array& x, const Indices& index, double learning_rate, double beta,
                               std::uint64_t seed, std::uint64_t step, const std::optional<Floats>& eps) {
  const Rows rows = view(core, x);
  if (index.ndim() != 1 || index.size() == 0)
    throw std::invalid_argument("index must have one dimension and not be empty");
  const std::int64_t* first = index.data();
  for (const std::int64_t* i = first; i < first + index.size(); ++i)
    if (*i < 0 || *i >= x.shape(0)) throw std::invalid_argument("an index lies outside the rows of x");
  const Noise noise = noise_of(core, eps, index.size(), seed, step);
  const py::gil_scoped_release release;
  const Loss loss = core.step(rows, first, static_cast<int>(index.size()), learning_rate, beta, noise);
  return {loss.reconstruction, loss.kl};
}

py::dict gradients(Core& core, const py::array& x, const Floats& eps, double beta) {
  const Rows rows = view(core, x);
  const Noise noise = noise_of(core, eps, x.shape(0), 0, 0);
  if (x.shape(0) == 0) throw std::invalid_argument("x has no rows");
  {
    const py::gil_scoped_release release;
    core.gradients(rows, static_cast<int>(x.shape(0)), beta, noise);
  }
  return tensors(core, "gradient");
}

std::pair<Floats, Floats> encode(Core& core, const py::array& x) {
  const Rows rows = view(core, x);
  const py::ssize_t n = x.shape(0), latent_dim = core.shape().latent_dim;
  Floats mu({n, latent_dim}), logvar({n, latent_dim});
  float *mu_out = mu.mutable_data(), *logvar_out = logvar.mutable_data();
  {
    const py::gil_scoped_release release;
    core.encode(rows, n, mu_out, logvar_out);
  }
  return {std::move(mu), std::move(logvar)};
}

Floats decode(Core& core, const Floats& z) {
  expect_shape(z, "z", -1, core.shape().latent_dim);
  Floats mean({z.shape(0), static_cast<py::ssize_t>(core.shape().features)});
  float* out = mean.mutable_data();
  {
    const py::gil_scoped_release release;
    core.decode(z.data(), z.shape(0), out);
  }
  return mean;
}

std::pair<py::array_t<double>, py::array_t<double>> score(Core& core, const py::array& x, std::uint64_t seed,
                                                          const std::optional<Floats>& eps) {
  const Rows rows = view(core, x);
  const py::ssize_t n = x.shape(0);
  const Noise noise = noise_of(core, eps, n, seed, 0);
  py::array_t<double> reconstruction(n), kl(n);
  double *reconstruction_out = reconstruction.mutable_data(), *kl_out = kl.mutable_data();
  {
    const py::gil_scoped_release release;
    core.score(rows, n, noise, reconstruction_out, kl_out);
  }
  return {std::move(reconstruction), std::move(kl)};
}

}  // namespace

void register_core(py::module_& m) {
  using namespace py::literals;
  py::class_<Core>(m, "Core", py::module_local())
      .def(py::init([](int features, std::vector<int> encoder, int latent_dim, std::vector<int> decoder,
                       const std::string& activation, const std::string& likelihood, bool learn_sigma, int n_threads) {
             for (const std::vector<int>& sizes : {encoder, decoder, {features, latent_dim, n_threads}})
               for (int size : sizes)
                 if (size < 1) throw std::invalid_argument("sizes and n_threads must be at least 1");
             return std::make_unique<Core>(Shape{features, std::move(encoder), latent_dim, std::move(decoder)},
                                           activation, likelihood, learn_sigma, n_threads);
           }),
           "features"_a, "encoder"_a, "latent_dim"_a, "decoder"_a, "activation"_a, "likelihood"_a, "learn_sigma"_a,
           "n_threads"_a)
      .def("initialize", &Core::initialize, "seed"_a)
      .def(
          "set_optimizer",
          [](Core& core, const std::string& name, double momentum, double beta1, double beta2, double epsilon,
             double weight_decay) { core.set_optimizer(name, {momentum, beta1, beta2, epsilon, weight_decay}); },
          "name"_a, "momentum"_a, "beta1"_a, "beta2"_a, "epsilon"_a, "weight_decay"_a)
      .def("tensors", &tensors, "slot"_a = "value")
      .def("set_tensors", &set_tensors, "values"_a, "slot"_a = "value")
      .def("step", &step, "x"_a.noconvert(), "index"_a, "learning_rate"_a, "beta"_a, "seed"_a, "step"_a,
           "eps"_a = py::none())
      .def("gradients", &gradients, "x"_a.noconvert(), "eps"_a, "beta"_a)
      .def("encode", &encode, "x"_a.noconvert())
      .def("decode", &decode, "z"_a)
      .def("score", &score, "x"_a.noconvert(), "seed"_a, "eps"_a = py::none())
      .def_property(
          "optimizer_steps", [](Core& core) { return core.optimizer_steps(); },
          [](Core& core, std::int64_t steps) { core.optimizer_steps() = steps; })
      .def_property_readonly("latent_dim", [](const Core& core) { return core.shape().latent_dim; })
      .def_property_readonly("n_threads", &Core::n_threads);
  m.def(
      "permutation",
      [](std::int64_t n, std::uint64_t seed, std::uint32_t epoch) {
        std::vector<std::int64_t> order;
        {
          const py::gil_scoped_release release;
          order = permutation(n, seed, epoch);
        }
        return Indices(static_cast<py::ssize_t>(order.size()), order.data());
      },
      "n"_a, "seed"_a, "epoch"_a);
}

}  // namespace vaefast::bindings
