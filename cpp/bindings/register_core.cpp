#include <algorithm>
#include <climits>
#include <cmath>
#include <optional>
#include <vector>

#include "bindings.hpp"
#include "core.hpp"

namespace vaefast::bindings {
namespace {

Slot slot_of(const std::string& name) {
  if (name == "value") return Slot::value;
  if (name == "gradient") return Slot::gradient;
  if (name == "m") return Slot::m;
  if (name == "v") return Slot::v;
  throw std::invalid_argument("unknown slot '" + name + "'; there are value, gradient, m, v");
}

// Returns the value with this name in a table of names and values.
template <class T, std::size_t N>
T choose(const std::pair<const char*, T> (&table)[N], const std::string& what, const std::string& name) {
  std::string names;
  for (const auto& [known, value] : table) {
    if (name == known) return value;
    names += (names.empty() ? "" : ", ") + std::string(known);
  }
  throw std::invalid_argument("unknown " + what + " '" + name + "'; there are " + names);
}

using Columns32 = py::array_t<std::int32_t, layout>;

// Sparse rows in CSR form. `starts` is a copy that nothing can change, so that no row reaches beyond the values.
struct Sparse {
  Indices starts;
  Columns32 columns;
  py::array values;
  py::ssize_t features;
};

// Returns what is wrong with the arrays of sparse rows, or an empty text.
std::string problem_of(const Indices& starts, const Columns32& columns, const py::array& values, py::ssize_t features) {
  if (starts.ndim() != 1 || columns.ndim() != 1 || values.ndim() != 1 || starts.size() == 0)
    return "the arrays must have one dimension, and a start for each row and one more";
  if (columns.size() != values.size()) return "there must be one column for each value";
  const std::int64_t *start = starts.data(), rows = starts.size() - 1;
  if (start[0] != 0 || start[rows] != values.size()) return "the starts must go from 0 to the number of values";
  for (std::int64_t row = 0; row < rows; ++row)
    if (start[row] > start[row + 1]) return "the starts decrease after row " + std::to_string(row);
  for (std::int64_t row = 0; row < rows; ++row)
    for (std::int64_t i = start[row]; i < start[row + 1]; ++i) {
      const std::int32_t column = columns.data()[i];
      if (column < 0 || column >= features)
        return "row " + std::to_string(row) + " has a value in column " + std::to_string(column) + " of " +
               std::to_string(features);
      if (i > start[row] && column <= columns.data()[i - 1])
        return "the columns of row " + std::to_string(row) + " do not increase";
    }
  return "";
}

Sparse make_sparse(const Indices& starts, Columns32 columns, py::array values, py::ssize_t features) {
  if (const std::string problem = problem_of(starts, columns, values, features); !problem.empty())
    throw std::invalid_argument(problem);
  return {Indices(starts.size(), starts.data()), std::move(columns), std::move(values), features};
}

// Owns the arrays to which a Rows points.
struct Data {
  py::array x;                   // of sparse rows: their values
  std::optional<Sparse> sparse;  // if the rows are sparse
  float divisor = 255;
  bool missing = false;
  std::optional<Floats> conditions, log_exposure, weights;

  // Takes an array or Sparse.
  void set_x(const py::object& rows) {
    if (py::isinstance<Sparse>(rows)) {
      sparse = py::cast<Sparse>(rows);
      x = sparse->values;
    } else if (py::isinstance<py::array>(rows)) {
      x = py::cast<py::array>(rows);
    } else {
      throw std::invalid_argument("x must be an array, Sparse or Data");
    }
  }
  py::ssize_t count() const {
    if (sparse) return sparse->starts.size() - 1;
    return x.ndim() ? x.shape(0) : 0;
  }
};

// Throws unless `weights` holds one finite, positive number for each row of x.
void check_weights(const Floats& weights, py::ssize_t rows) {
  if (weights.ndim() != 1 || weights.shape(0) != rows)
    throw std::invalid_argument("weights must have one number for each row of x");
  for (py::ssize_t i = 0; i < weights.size(); ++i)
    if (const float weight = weights.data()[i]; !(std::isfinite(weight) && weight > 0))
      throw std::invalid_argument("weights holds " + std::to_string(weight) + " in row " + std::to_string(i) +
                                  ", expected finite, positive numbers");
}

Data data_of(const py::object& x) {
  if (py::isinstance<Data>(x)) return py::cast<Data>(x);
  Data data;
  data.set_x(x);
  return data;
}

Rows view(const Core& core, const Data& data, bool allow_doubles = false) {
  allow_doubles = allow_doubles && !data.sparse;  // sparse rows are float32 or uint8
  const int features = core.shape().features, conditions = core.shape().conditions;
  const py::array& x = data.x;
  const py::ssize_t n = data.count();
  if (!data.sparse) expect_shape(x, "x", -1, features);
  if (data.sparse && data.sparse->features != features)
    throw std::invalid_argument("x must have shape (n, " + std::to_string(features) + ")");
  if ((conditions > 0) != data.conditions.has_value())
    throw std::invalid_argument(conditions ? "the model needs conditions" : "the model has no conditions");
  if (conditions) expect_shape(*data.conditions, "conditions", n, conditions);
  if (data.log_exposure && (data.log_exposure->ndim() != 1 || data.log_exposure->shape(0) != n))
    throw std::invalid_argument("log_exposure must have one number for each row of x");
  Rows rows;
  if (py::isinstance<py::array_t<float>>(x)) rows.floats = static_cast<const float*>(x.data());
  if (allow_doubles && py::isinstance<py::array_t<double>>(x)) rows.doubles = static_cast<const double*>(x.data());
  if (py::isinstance<py::array_t<std::uint8_t>>(x)) rows.bytes = static_cast<const std::uint8_t*>(x.data());
  if ((x.flags() & layout) != layout || !(rows.floats || rows.doubles || rows.bytes))
    throw std::invalid_argument(allow_doubles ? "x must be float32, float64 or uint8, C-contiguous and aligned"
                                              : "x must be float32 or uint8, C-contiguous and aligned");
  if (data.sparse) {
    rows.starts = data.sparse->starts.data();
    rows.columns = data.sparse->columns.data();
  }
  rows.cols = features;
  rows.divisor = data.divisor;
  rows.missing = data.missing;
  rows.conditions = conditions ? data.conditions->data() : nullptr;
  rows.log_exposure = data.log_exposure ? data.log_exposure->data() : nullptr;
  rows.weights = data.weights ? data.weights->data() : nullptr;
  return rows;
}

// eps: (rows, latent_dim) or (rows, samples, latent_dim). The core compares the number of samples with its objective,
// which another thread may change at any time.
Noise noise_of(const Core& core, const std::optional<Floats>& eps, py::ssize_t rows, std::uint64_t seed,
               std::uint64_t step) {
  if (!eps) return {nullptr, seed, step};
  const int latent_dim = core.shape().latent_dim;
  if (eps->ndim() != 3) {
    expect_shape(*eps, "eps", rows, latent_dim);
    return {eps->data(), seed, step};
  }
  if (eps->shape(0) != rows || eps->shape(1) > INT_MAX || eps->shape(2) != latent_dim)
    throw std::invalid_argument("eps must have shape (" + std::to_string(rows) + ", samples, " +
                                std::to_string(latent_dim) + ")");
  return {eps->data(), seed, step, static_cast<int>(eps->shape(1))};
}

// Calls f(core) without the GIL. A call that waits for the core's lock must not hold it, because an exchange within a
// step needs it.
template <class C, class F>
auto without_gil(C& core, F&& f) {
  const WithoutGil without_gil;
  return f(core);
}

// Returns whether each tensor has this slot.
std::vector<bool> tensors_with(const Core& core, Slot slot, std::size_t count) {
  return without_gil(core, [&](const Core& c) {
    std::vector<bool> found(count);
    for (std::size_t i = 0; i < count; ++i) found[i] = c.has(i, slot);
    return found;
  });
}

py::dict tensors(const Core& core, const std::string& name) {
  const Slot slot = slot_of(name);
  const std::vector<TensorInfo> infos = core.tensors();
  const std::vector<bool> has = tensors_with(core, slot, infos.size());
  py::dict all;
  std::vector<float*> out(infos.size());
  for (std::size_t i = 0; i < infos.size(); ++i) {
    if (!has[i]) continue;
    const auto& [tensor, rows, cols, is_vector] = infos[i];
    Floats array(is_vector ? std::vector<py::ssize_t>{cols} : std::vector<py::ssize_t>{rows, cols});
    out[i] = array.mutable_data();
    all[py::str(tensor)] = std::move(array);
  }
  const WithoutGil without_gil;
  core.read(slot, out);
  return all;
}

// Writes all tensors or none. Their names and shapes must be those that tensors() returns for this slot.
void set_tensors(Core& core, const py::dict& values, const std::string& name) {
  const Slot slot = slot_of(name);
  const std::vector<TensorInfo> infos = core.tensors();
  std::vector<Floats> arrays(infos.size());
  std::vector<const float*> in(infos.size());
  const std::vector<bool> has = tensors_with(core, slot, infos.size());
  std::size_t expected = 0;
  for (std::size_t i = 0; i < infos.size(); ++i) {
    if (!has[i]) continue;
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
  const WithoutGil without_gil;
  core.write(slot, in);
}

void check_indices(const Indices& index, py::ssize_t rows) {
  if (index.ndim() != 1 || index.size() == 0)
    throw std::invalid_argument("index must have one dimension and not be empty");
  for (const std::int64_t* i = index.data(); i < index.data() + index.size(); ++i)
    if (*i < 0 || *i >= rows) throw std::invalid_argument("an index lies outside the rows of x");
}

std::tuple<double, double, double> step(Core& core, const py::object& x, const Indices& index, double learning_rate,
                                        double beta, std::uint64_t seed, std::uint64_t step,
                                        const std::optional<Floats>& eps, std::optional<double> capacity) {
  const Data data = data_of(x);
  const Rows rows = view(core, data);
  check_indices(index, data.count());
  const Noise noise = noise_of(core, eps, index.size(), seed, step);
  const WithoutGil without_gil;
  const Loss loss =
      core.step(rows, index.data(), static_cast<int>(index.size()), {learning_rate, beta, capacity}, noise);
  return {loss.reconstruction, loss.kl, loss.bound};
}

// Takes one step for each batch of `batch_size` rows, with the batch's own learning rate, beta and capacity. The first
// step has the number `step`. Returns the losses, (steps, 3): the weighted sums over each batch that step() returns
// too. Stops after the first loss that is not finite.
Doubles steps(Core& core, const py::object& x, const Indices& index, int batch_size, const Doubles& learning_rates,
              const Doubles& betas, std::uint64_t seed, std::uint64_t step, const std::optional<Doubles>& capacities) {
  const Data data = data_of(x);
  const Rows rows = view(core, data);
  check_indices(index, data.count());
  if (batch_size < 1) throw std::invalid_argument("batch_size must be at least 1");
  const py::ssize_t batches = (index.size() + batch_size - 1) / batch_size;
  if (learning_rates.size() != batches || betas.size() != batches || (capacities && capacities->size() != batches))
    throw std::invalid_argument("there must be one learning rate, beta and capacity for each batch");
  std::vector<double> losses;
  losses.reserve(static_cast<std::size_t>(3 * batches));
  {
    const std::int64_t* first = index.data();
    const double *rate = learning_rates.data(), *beta = betas.data(),
                 *capacity = capacities ? capacities->data() : nullptr;
    const py::ssize_t n = index.size();
    const WithoutGil without_gil;
    for (py::ssize_t i = 0; i < batches; ++i) {
      const int count = static_cast<int>(std::min<py::ssize_t>(batch_size, n - i * batch_size));
      const std::optional<double> aim = capacity ? std::optional(capacity[i]) : std::nullopt;
      const Loss loss = core.step(rows, first + i * batch_size, count, {rate[i], beta[i], aim},
                                  {nullptr, seed, step + static_cast<std::uint64_t>(i)});
      losses.insert(losses.end(), {loss.reconstruction, loss.kl, loss.bound});
      if (!std::isfinite(loss.reconstruction + loss.kl + loss.bound)) break;
    }
  }
  return Doubles({static_cast<py::ssize_t>(losses.size()) / 3, py::ssize_t{3}}, losses.data());
}

py::dict gradients(Core& core, const py::object& x, const std::optional<Floats>& eps, double beta,
                   std::optional<double> capacity, std::uint64_t seed, std::uint64_t step) {
  const Data data = data_of(x);
  const Rows rows = view(core, data);
  const py::ssize_t n = data.count();
  const Noise noise = noise_of(core, eps, n, seed, step);
  if (n == 0) throw std::invalid_argument("x has no rows");
  {
    const WithoutGil without_gil;
    core.gradients(rows, static_cast<int>(n), {0, beta, capacity}, noise);
  }
  return tensors(core, "gradient");
}

// Low and high: values that a reading call accepts. A call that meets other values returns None.
using OptionalLimits = std::optional<std::pair<float, float>>;

Rows view_within(const Core& core, const Data& data, const OptionalLimits& limits) {
  Rows rows = view(core, data, true);
  // The Python package checks the values of sparse rows, which lie in another order.
  if (limits && !data.sparse) rows.limits = Limits{limits->first, limits->second};
  return rows;
}

std::optional<std::pair<Floats, Floats>> encode(Core& core, const py::object& x, const OptionalLimits& limits) {
  const Data data = data_of(x);
  const Rows rows = view_within(core, data, limits);
  const py::ssize_t n = data.count(), latent_dim = core.shape().latent_dim;
  Floats mu({n, latent_dim}), logvar({n, latent_dim});
  float *mu_out = mu.mutable_data(), *logvar_out = logvar.mutable_data();
  bool accepted;
  {
    const WithoutGil without_gil;
    accepted = core.encode(rows, n, mu_out, logvar_out);
  }
  if (!accepted) return {};
  return std::pair(std::move(mu), std::move(logvar));
}

// Returns mu alone, which takes less time than encode().
std::optional<Floats> encode_mean(Core& core, const py::object& x, const OptionalLimits& limits) {
  const Data data = data_of(x);
  const Rows rows = view_within(core, data, limits);
  const py::ssize_t n = data.count(), latent_dim = core.shape().latent_dim;
  Floats mu({n, latent_dim});
  float* out = mu.mutable_data();
  bool accepted;
  {
    const WithoutGil without_gil;
    accepted = core.encode(rows, n, out, nullptr);
  }
  if (!accepted) return {};
  return mu;
}

Floats decode(Core& core, const Floats& z) {
  expect_shape(z, "z", -1, core.shape().latent_dim + core.shape().conditions);
  Floats mean({z.shape(0), static_cast<py::ssize_t>(core.shape().features)});
  float* out = mean.mutable_data();
  {
    const WithoutGil without_gil;
    core.decode(z.data(), z.shape(0), out);
  }
  return mean;
}

std::optional<std::pair<Doubles, Doubles>> score(Core& core, const py::object& x, std::uint64_t seed,
                                                 const std::optional<Floats>& eps, bool deterministic,
                                                 const OptionalLimits& limits) {
  const Data data = data_of(x);
  const Rows rows = view_within(core, data, limits);
  const py::ssize_t n = data.count();
  if (eps) expect_shape(*eps, "eps", n, core.shape().latent_dim);
  const Noise noise = noise_of(core, eps, n, seed, 0);
  Doubles reconstruction(n), kl(n);
  double *reconstruction_out = reconstruction.mutable_data(), *kl_out = kl.mutable_data();
  bool accepted;
  {
    const WithoutGil without_gil;
    accepted = core.score(rows, n, noise, deterministic, reconstruction_out, kl_out);
  }
  if (!accepted) return {};
  return std::pair(std::move(reconstruction), std::move(kl));
}

Floats contributions(Core& core, const py::object& x) {
  const Data data = data_of(x);
  const Rows rows = view(core, data);
  const py::ssize_t n = data.count();
  Floats terms({n, static_cast<py::ssize_t>(core.shape().features)});
  float* out = terms.mutable_data();
  {
    const WithoutGil without_gil;
    core.contributions(rows, n, out);
  }
  return terms;
}

std::pair<py::array_t<double>, py::array_t<double>> log_likelihood(Core& core, const py::object& x, int samples,
                                                                   std::uint64_t seed) {
  const Data data = data_of(x);
  const Rows rows = view(core, data);
  if (samples < 1) throw std::invalid_argument("samples must be at least 1");
  const py::ssize_t n = data.count();
  py::array_t<double> estimate(n), standard_error(n);
  double *estimate_out = estimate.mutable_data(), *error_out = standard_error.mutable_data();
  {
    const WithoutGil without_gil;
    core.log_likelihood(rows, n, samples, seed, estimate_out, error_out);
  }
  return {std::move(estimate), std::move(standard_error)};
}

std::pair<Floats, Doubles> importance_samples(Core& core, const py::object& x, int samples, std::uint64_t seed) {
  const Data data = data_of(x);
  const Rows rows = view(core, data);
  if (samples < 1) throw std::invalid_argument("samples must be at least 1");
  const py::ssize_t n = data.count(), count = samples;
  Floats z({n, count, static_cast<py::ssize_t>(core.shape().latent_dim)});
  Doubles log_weights({n, count});
  float* z_out = z.mutable_data();
  double* weights_out = log_weights.mutable_data();
  {
    const WithoutGil without_gil;
    core.importance_samples(rows, n, samples, seed, z_out, weights_out);
  }
  return {std::move(z), std::move(log_weights)};
}

Floats impute(Core& core, const py::object& x, int samples, std::uint64_t seed) {
  const Data data = data_of(x);
  const Rows rows = view(core, data);
  if (samples < 1) throw std::invalid_argument("samples must be at least 1");
  const py::ssize_t n = data.count();
  Floats mean({n, static_cast<py::ssize_t>(core.shape().features)});
  float* out = mean.mutable_data();
  {
    const WithoutGil without_gil;
    core.impute(rows, n, samples, seed, out);
  }
  return mean;
}

constexpr std::pair<const char*, Scale> scales[] = {{"fixed", Scale::fixed},
                                                    {"per_feature", Scale::per_feature},
                                                    {"global", Scale::global},
                                                    {"optimal", Scale::optimal}};
constexpr std::pair<const char*, Objective::Gradient> gradient_kinds[] = {
    {"standard", Objective::Gradient::standard},
    {"stl", Objective::Gradient::path},
    {"dreg", Objective::Gradient::doubly_reparameterized}};
using Corruption = Regularization::Corruption;
constexpr std::pair<const char*, Corruption> corruptions[] = {{"none", Corruption::none},
                                                              {"mask", Corruption::mask},
                                                              {"dropout", Corruption::dropout},
                                                              {"gaussian", Corruption::gaussian},
                                                              {"salt_and_pepper", Corruption::salt_and_pepper}};
void set_standardization(Core& core, const Floats& mean, const Floats& scale) {
  for (const Floats* array : {&mean, &scale})
    if (array->ndim() != 1 || array->size() != core.shape().features)
      throw std::invalid_argument("mean and scale must have one number for each feature");
  for (py::ssize_t i = 0; i < scale.size(); ++i)
    if (!(std::isfinite(mean.data()[i]) && std::isnormal(scale.data()[i]) && scale.data()[i] > 0))
      throw std::invalid_argument("mean must hold finite numbers, and scale positive ones");
  core.set_standardization(mean.data(), scale.data());
}

// Calls a function of Python, which takes the buffer as writable memory, and the starts.
class PythonExchange final : public Exchange {
 public:
  PythonExchange(int rank, int size, py::function function) : Exchange(rank, size), function_(std::move(function)) {}
  ~PythonExchange() override {
    const py::gil_scoped_acquire gil;
    function_ = {};
  }

  void all_gather(std::byte* buffer, std::span<const std::int64_t> starts) override {
    const py::gil_scoped_acquire gil;
    function_(py::memoryview::from_memory(buffer, static_cast<py::ssize_t>(starts.back())),
              Indices(static_cast<py::ssize_t>(starts.size()), starts.data()));
  }

 private:
  py::function function_;
};

void set_exchange(Core& core, int rank, int size, std::optional<py::function> all_gather) {
  if (!all_gather) return core.set_exchange(nullptr);
  if (rank < 0 || rank >= size) throw std::invalid_argument("rank must be from 0 to size - 1");
  core.set_exchange(std::make_unique<PythonExchange>(rank, size, std::move(*all_gather)));
}

enum class Bound { elbo, iwae, autoencoder };
constexpr std::pair<const char*, Bound> bounds[] = {
    {"elbo", Bound::elbo}, {"iwae", Bound::iwae}, {"autoencoder", Bound::autoencoder}};

void set_objective(Core& core, const std::string& bound, const std::string& gradient, int samples, double free_bits,
                   double dropout, const std::string& corruption, double corruption_amount, double max_norm) {
  const Bound kind = choose(bounds, "objective", bound);
  if (samples < 1) throw std::invalid_argument("samples must be at least 1");
  core.set_objective({.importance = kind == Bound::iwae,
                      .variational = kind != Bound::autoencoder,
                      .gradient = choose(gradient_kinds, "gradient", gradient),
                      .samples = samples,
                      .free_bits = free_bits},
                     {dropout, choose(corruptions, "corruption", corruption), corruption_amount, max_norm});
}

std::unique_ptr<Core> make_core(int features, std::vector<int> encoder, int latent_dim, std::vector<int> decoder,
                                const std::string& activation, const std::vector<std::pair<std::string, int>>& columns,
                                const std::string& scale, int n_threads, double df, int conditions, bool normalized) {
  for (const std::vector<int>& sizes : {encoder, decoder, {features, latent_dim, n_threads}})
    for (int size : sizes)
      if (size < 1) throw std::invalid_argument("sizes and n_threads must be at least 1");
  if (conditions < 0) throw std::invalid_argument("conditions must not be negative");
  if (!(df > 0)) throw std::invalid_argument("df must be positive");
  std::vector<ColumnsSpec> specs;
  std::int64_t total = 0;
  for (const auto& [likelihood, count] : columns) {
    if (count < 1) throw std::invalid_argument("columns must have counts of at least 1");
    specs.push_back({likelihood, count});
    total += count;
  }
  if (total != features) throw std::invalid_argument("the counts of the columns must add up to the features");
  const Scale kind = choose(scales, "scale", scale);
  if (kind == Scale::optimal && (columns.size() != 1 || columns[0].first != "gaussian"))
    throw std::invalid_argument("the scale 'optimal' needs a single group of gaussian columns");
  return std::make_unique<Core>(
      Shape{features, std::move(encoder), latent_dim, std::move(decoder), conditions, normalized}, activation, specs,
      kind, df, n_threads);
}

}  // namespace

void register_core(py::module_& m) {
  using namespace py::literals;
  py::class_<Sparse>(m, "Sparse", py::module_local())
      .def(py::init(&make_sparse), "starts"_a.noconvert(), "columns"_a.noconvert(), "values"_a, "features"_a);
  py::class_<Data>(m, "Data", py::module_local())
      .def(py::init([](const py::object& x, float divisor, bool missing, std::optional<Floats> conditions,
                       std::optional<Floats> log_exposure, std::optional<Floats> weights) {
             Data data;
             data.set_x(x);
             if (weights) check_weights(*weights, data.count());
             data.divisor = divisor;
             data.missing = missing;
             data.conditions = std::move(conditions);
             data.log_exposure = std::move(log_exposure);
             data.weights = std::move(weights);
             return data;
           }),
           "x"_a, "divisor"_a = 255.f, "missing"_a = false, "conditions"_a = py::none(), "log_exposure"_a = py::none(),
           "weights"_a = py::none());
  py::class_<Core>(m, "Core", py::module_local())
      .def(py::init(&make_core), "features"_a, "encoder"_a, "latent_dim"_a, "decoder"_a, "activation"_a, "columns"_a,
           "scale"_a, "n_threads"_a, "df"_a = 4.0, "conditions"_a = 0, "normalized"_a = false)
      .def("initialize", &Core::initialize, "seed"_a)
      .def(
          "set_optimizer",
          [](Core& core, const std::string& name, double momentum, double beta1, double beta2, double epsilon,
             double weight_decay) { core.set_optimizer(name, {momentum, beta1, beta2, epsilon, weight_decay}); },
          "name"_a, "momentum"_a, "beta1"_a, "beta2"_a, "epsilon"_a, "weight_decay"_a)
      .def("set_standardization", &set_standardization, "mean"_a, "scale"_a)
      .def("tensors", &tensors, "slot"_a = "value")
      .def("set_tensors", &set_tensors, "values"_a, "slot"_a = "value")
      .def("set_objective", &set_objective, "bound"_a = "elbo", "gradient"_a = "standard", "samples"_a = 1,
           "free_bits"_a = 0.0, "dropout"_a = 0.0, "corruption"_a = "none", "corruption_amount"_a = 0.0,
           "max_norm"_a = 0.0)
      .def("step", &step, "x"_a, "index"_a, "learning_rate"_a, "beta"_a, "seed"_a, "step"_a, "eps"_a = py::none(),
           "capacity"_a = py::none())
      .def("steps", &steps, "x"_a, "index"_a, "batch_size"_a, "learning_rates"_a, "betas"_a, "seed"_a, "step"_a,
           "capacities"_a = py::none())
      .def("set_exchange", &set_exchange, "rank"_a = 0, "size"_a = 1, "all_gather"_a = py::none())
      .def("gather_moments", [](Core& core) { without_gil(core, [](Core& c) { c.gather_moments(); }); })
      .def("gradients", &gradients, "x"_a, "eps"_a, "beta"_a, "capacity"_a = py::none(), "seed"_a = 0, "step"_a = 0)
      .def("encode", &encode, "x"_a, "limits"_a = py::none())
      .def("encode_mean", &encode_mean, "x"_a, "limits"_a = py::none())
      .def("phase_seconds",
           [](const Core& core) {
             const auto [rows, weights] = without_gil(core, [](const Core& c) { return c.phase_seconds(); });
             return std::pair(rows, weights);
           })
      .def("decode", &decode, "z"_a)
      .def("score", &score, "x"_a, "seed"_a, "eps"_a = py::none(), "deterministic"_a = false, "limits"_a = py::none())
      .def("contributions", &contributions, "x"_a)
      .def("log_likelihood", &log_likelihood, "x"_a, "samples"_a, "seed"_a)
      .def("impute", &impute, "x"_a, "samples"_a, "seed"_a)
      .def("importance_samples", &importance_samples, "x"_a, "samples"_a, "seed"_a)
      .def_property(
          "optimizer_steps",
          [](const Core& core) { return without_gil(core, [](const Core& c) { return c.optimizer_steps(); }); },
          [](Core& core, std::int64_t steps) { without_gil(core, [&](Core& c) { c.set_optimizer_steps(steps); }); })
      .def_property_readonly("latent_dim", [](const Core& core) { return core.shape().latent_dim; })
      .def_property_readonly("n_threads", &Core::n_threads);
  m.def(
      "value_range",
      [](const Floats& x) {
        const float* values = x.data();
        const py::ssize_t n = x.size();
        const WithoutGil without_gil;
        return value_range(values, n);
      },
      "x"_a.noconvert());
  m.def(
      "permutation",
      [](std::int64_t n, std::uint64_t seed, std::uint32_t epoch, std::optional<std::int64_t> count) {
        if (count && (*count < 0 || *count > n)) throw std::invalid_argument("count must be from 0 to n");
        std::vector<std::int64_t> order;
        {
          const WithoutGil without_gil;
          order = count ? start_of_permutation(n, *count, seed, epoch) : permutation(n, seed, epoch);
        }
        return Indices(static_cast<py::ssize_t>(order.size()), order.data());
      },
      "n"_a, "seed"_a, "epoch"_a, "count"_a = py::none());
}

}  // namespace vaefast::bindings
