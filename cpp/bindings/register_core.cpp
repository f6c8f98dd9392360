#include <mutex>

#include "bindings.hpp"
#include "inference.hpp"
#include "trainer.hpp"

namespace vaefast::bindings {
namespace {

// A model with the threads that work on it, one call at a time.
class Core {
 public:
  Core(int features, std::vector<int> encoder, int latent_dim, std::vector<int> decoder, const std::string& activation,
       const std::string& likelihood, bool learn_sigma, int n_threads)
      : team_(n_threads),
        model_({features, std::move(encoder), latent_dim, std::move(decoder)}, find(activations, "activation", activation),
               find(likelihoods, "likelihood", likelihood), learn_sigma),
        inference_(model_, team_) {}

  void initialize(std::uint64_t seed) {
    const std::scoped_lock lock(mutex_);
    model_.initialize(seed);
  }

  void set_optimizer(const std::string& name, double momentum, double beta1, double beta2, double epsilon, double weight_decay) {
    const std::scoped_lock lock(mutex_);
    const Optimizer optimizer(find(optimizers, "optimizer", name), {momentum, beta1, beta2, epsilon, weight_decay});
    trainer_.emplace(model_, team_, optimizer);
  }

  py::dict tensors(const std::string& slot) {
    const std::scoped_lock lock(mutex_);
    py::dict all;
    for (const NamedTensor& tensor : model_.tensors()) {
      const Panels& panels = tensor.parameter->*find_slot(slot);
      if (panels.empty()) continue;
      Floats out(tensor.is_vector ? std::vector<py::ssize_t>{tensor.cols} : std::vector<py::ssize_t>{tensor.rows(), tensor.cols});
      for (int row = 0; row < tensor.rows(); ++row)
        panels.read_row(row, tensor.first, tensor.cols, out.mutable_data() + static_cast<std::size_t>(row) * tensor.cols);
      all[py::str(tensor.name)] = std::move(out);
    }
    return all;
  }

  void set_tensors(const py::dict& values, const std::string& slot) {
    const std::scoped_lock lock(mutex_);
    for (const NamedTensor& tensor : model_.tensors()) {
      Panels& panels = tensor.parameter->*find_slot(slot);
      if (panels.empty()) continue;
      if (!values.contains(tensor.name)) throw std::invalid_argument("the tensor '" + tensor.name + "' is missing");
      auto value = py::cast<Floats>(values[py::str(tensor.name)]);
      if (tensor.is_vector) value = value.reshape({py::ssize_t{1}, value.size()});
      expect_shape(value, tensor.name.c_str(), tensor.rows(), tensor.cols);
      for (int row = 0; row < tensor.rows(); ++row) panels.write_row(row, tensor.first, tensor.cols, value.data(row, 0));
    }
    if (slot == "value") model_.weights_changed();
  }

  std::pair<double, double> step(const py::array& x, const Indices& index, double learning_rate, double beta, std::uint64_t seed,
                                 std::uint64_t step, const std::optional<Floats>& eps) {
    const Rows rows = view(x);
    const Noise noise = make_noise(eps, index.size(), seed, step);
    check(index, x.shape(0));
    const py::gil_scoped_release release;
    const std::scoped_lock lock(mutex_);
    const Loss loss = trainer().step(rows, index.data(), static_cast<int>(index.size()), learning_rate, beta, noise);
    return {loss.reconstruction, loss.kl};
  }

  py::dict gradients(const py::array& x, const Floats& eps, double beta) {
    const Rows rows = view(x);
    const Noise noise = make_noise(eps, x.shape(0), 0, 0);
    std::vector<std::int64_t> index(static_cast<std::size_t>(x.shape(0)));
    for (std::size_t i = 0; i < index.size(); ++i) index[i] = static_cast<std::int64_t>(i);
    if (index.empty()) throw std::invalid_argument("no rows");
    {
      const py::gil_scoped_release release;
      const std::scoped_lock lock(mutex_);
      trainer().gradients(rows, index.data(), static_cast<int>(index.size()), beta, noise);
    }
    return tensors("gradient");
  }

  std::pair<Floats, Floats> encode(const py::array& x) {
    const Rows rows = view(x);
    Floats mu({x.shape(0), latent_dim()}), logvar({x.shape(0), latent_dim()});
    float *mu_out = mu.mutable_data(), *logvar_out = logvar.mutable_data();
    unlocked(x.shape(0), [&](std::int64_t n) { inference_.encode(rows, n, mu_out, logvar_out); });
    return {std::move(mu), std::move(logvar)};
  }

  Floats decode(const Floats& z) {
    expect_shape(z, "z", -1, latent_dim());
    Floats mean({z.shape(0), static_cast<py::ssize_t>(model_.shape.features)});
    float* out = mean.mutable_data();
    unlocked(z.shape(0), [&](std::int64_t n) { inference_.decode(z.data(), n, out); });
    return mean;
  }

  std::pair<py::array_t<double>, py::array_t<double>> score(const py::array& x, std::uint64_t seed, const std::optional<Floats>& eps) {
    const Rows rows = view(x);
    const Noise noise = make_noise(eps, x.shape(0), seed, 0);
    py::array_t<double> reconstruction(x.shape(0)), kl(x.shape(0));
    double *reconstruction_out = reconstruction.mutable_data(), *kl_out = kl.mutable_data();
    unlocked(x.shape(0), [&](std::int64_t n) { inference_.score(rows, n, seed, noise.given, reconstruction_out, kl_out); });
    return {std::move(reconstruction), std::move(kl)};
  }

  std::int64_t optimizer_steps() { return trainer().optimizer.steps; }
  void set_optimizer_steps(std::int64_t steps) { trainer().optimizer.steps = steps; }
  int n_threads() const { return team_.size(); }
  py::ssize_t latent_dim() const { return model_.shape.latent_dim; }

 private:

  Trainer& trainer() {
    if (!trainer_) throw std::logic_error("set_optimizer was not called");
    return *trainer_;
  }

  static Panels Parameter::* find_slot(const std::string& name) {
    if (name == "value") return &Parameter::value;
    if (name == "gradient") return &Parameter::gradient;
    if (name == "first") return &Parameter::first;
    if (name == "second") return &Parameter::second;
    throw std::invalid_argument("unknown slot '" + name + "'");
  }

  template <class F>
  void unlocked(py::ssize_t n, F&& f) {
    if (n == 0) return;
    const py::gil_scoped_release release;
    const std::scoped_lock lock(mutex_);
    f(static_cast<std::int64_t>(n));
  }

  Rows view(const py::array& x) const {
    expect_shape(x, "X", -1, model_.shape.features);
    const bool contiguous = (x.flags() & py::array::c_style) != 0;
    if (contiguous && py::isinstance<py::array_t<float>>(x)) return {static_cast<const float*>(x.data()), nullptr, model_.shape.features};
    if (contiguous && py::isinstance<py::array_t<std::uint8_t>>(x))
      return {nullptr, static_cast<const std::uint8_t*>(x.data()), model_.shape.features};
    throw std::invalid_argument("X must be float32 or uint8, C-contiguous");
  }

  Noise make_noise(const std::optional<Floats>& eps, py::ssize_t rows, std::uint64_t seed, std::uint64_t step) const {
    if (eps) expect_shape(*eps, "eps", rows, latent_dim());
    return {eps ? eps->data() : nullptr, seed, step};
  }

  static void check(const Indices& index, py::ssize_t rows) {
    if (index.ndim() != 1 || index.size() == 0) throw std::invalid_argument("index must be one-dimensional and not empty");
    for (py::ssize_t i = 0; i < index.size(); ++i)
      if (index.at(i) < 0 || index.at(i) >= rows) throw std::invalid_argument("an index lies outside the data");
  }

  std::mutex mutex_;
  Team team_;
  Model model_;
  Inference inference_;
  std::optional<Trainer> trainer_;
};

}  // namespace

void register_core(py::module_& m) {
  using namespace py::literals;
  py::class_<Core>(m, "Core", py::module_local())
      .def(py::init<int, std::vector<int>, int, std::vector<int>, const std::string&, const std::string&, bool, int>(), "features"_a,
           "encoder"_a, "latent_dim"_a, "decoder"_a, "activation"_a, "likelihood"_a, "learn_sigma"_a, "n_threads"_a)
      .def("initialize", &Core::initialize, "seed"_a)
      .def("set_optimizer", &Core::set_optimizer, "name"_a, "momentum"_a, "beta1"_a, "beta2"_a, "epsilon"_a, "weight_decay"_a)
      .def("tensors", &Core::tensors, "slot"_a = "value")
      .def("set_tensors", &Core::set_tensors, "values"_a, "slot"_a = "value")
      .def("step", &Core::step, "x"_a.noconvert(), "index"_a, "learning_rate"_a, "beta"_a, "seed"_a, "step"_a, "eps"_a = py::none())
      .def("gradients", &Core::gradients, "x"_a.noconvert(), "eps"_a, "beta"_a)
      .def("encode", &Core::encode, "x"_a.noconvert())
      .def("decode", &Core::decode, "z"_a)
      .def("score", &Core::score, "x"_a.noconvert(), "seed"_a, "eps"_a = py::none())
      .def_property("optimizer_steps", &Core::optimizer_steps, &Core::set_optimizer_steps)
      .def_property_readonly("latent_dim", &Core::latent_dim)
      .def_property_readonly("n_threads", &Core::n_threads);
}

}  // namespace vaefast::bindings
