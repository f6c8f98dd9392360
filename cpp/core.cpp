#include "core.hpp"

#include <mutex>
#include <shared_mutex>
#include <stdexcept>

#include "forks.hpp"
#include "inference.hpp"
#include "random.hpp"
#include "trainer.hpp"
#include "trial.hpp"

namespace vaefast {
namespace {

// Returns the entry with this name in a table such as `activations`.
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
std::vector<std::string> names(const Entry (&table)[N]) {
  std::vector<std::string> all;
  for (const Entry& entry : table) all.emplace_back(entry.name);
  return all;
}

std::vector<Columns> find_all(const std::vector<ColumnsSpec>& specs) {
  std::vector<Columns> all;
  int first = 0;
  for (const ColumnsSpec& spec : specs) {
    all.push_back({&find(likelihoods, "likelihood", spec.likelihood), first, spec.count, {}});
    first += spec.count;
  }
  return all;
}

Panels Parameter::* panels_of(Slot slot) {
  switch (slot) {
    case Slot::gradient:
      return &Parameter::gradient;
    case Slot::m:
      return &Parameter::m;
    case Slot::v:
      return &Parameter::v;
    default:
      return &Parameter::value;
  }
}

}  // namespace

// Readers of the weights hold the mutex together, and each has a work space of its own. Whoever changes the model holds
// the mutex alone.
struct Core::Impl final : Forkable {
  Impl(const Shape& shape, const std::string& activation, const std::vector<ColumnsSpec>& columns, Scale scale,
       double df, int n_threads)
      : pool(n_threads),
        model(shape, find(activations, "activation", activation), find_all(columns), scale, df),
        tensors(model.tensors()) {}

  Trainer& trainer() {
    if (!training) throw std::logic_error("set_optimizer was not called");
    return *training;
  }

  // Returns the trainer. Throws if the given noise has another number of samples than the trainer would read. The
  // caller must hold the mutex, because another thread may change the objective.
  Trainer& trainer_for(const Noise& noise) {
    const int samples = trainer().objective().samples;
    if (noise.given && noise.samples != samples)
      throw std::invalid_argument("eps has " + std::to_string(noise.samples) +
                                  " samples of z per row, and the objective takes " + std::to_string(samples));
    return *training;
  }

  std::unique_lock<std::shared_mutex> change() { return std::unique_lock(locks->model); }
  std::shared_lock<std::shared_mutex> look() { return std::shared_lock(locks->model); }

  // Calls f with a work space that no other thread uses meanwhile.
  template <class F>
  auto read(F&& f) {
    struct WorkSpace {
      Impl& impl;
      std::unique_ptr<Inference> inference = impl.take_work_space();
      ~WorkSpace() { impl.keep_work_space(std::move(inference)); }
    };
    const auto lock = look();
    const WorkSpace space{*this};
    return f(*space.inference);
  }

  void before_fork() override { locks->model.lock_shared(); }
  void after_fork_in_parent() override { locks->model.unlock_shared(); }
  void after_fork_in_child() override {
    (void)locks.release();  // threads of the parent may hold them
    locks = std::make_unique<Locks>();
    pool.forget_threads();
  }

  struct Locks {
    std::shared_mutex model;
    std::mutex work_spaces;
  };
  std::unique_ptr<Locks> locks = std::make_unique<Locks>();
  ThreadPool pool;
  Model model;
  std::vector<NamedTensor> tensors;
  std::vector<std::unique_ptr<Inference>> work_spaces;  // those that no thread uses at the moment
  std::unique_ptr<Exchange> exchange;
  std::optional<Trainer> training;
  const ForkRegistration registration{*this};  // the last member, because a fork needs the others

 private:
  std::unique_ptr<Inference> take_work_space() {
    const std::scoped_lock lock(locks->work_spaces);
    if (work_spaces.empty()) return std::make_unique<Inference>(model, pool);
    std::unique_ptr<Inference> space = std::move(work_spaces.back());
    work_spaces.pop_back();
    return space;
  }
  void keep_work_space(std::unique_ptr<Inference> space) {
    const std::scoped_lock lock(locks->work_spaces);
    work_spaces.push_back(std::move(space));
  }
};

Core::Core(const Shape& shape, const std::string& activation, const std::vector<ColumnsSpec>& columns, Scale scale,
           double df, int n_threads)
    : impl_(std::make_unique<Impl>(shape, activation, columns, scale, df, n_threads)) {}
Core::~Core() = default;

const Shape& Core::shape() const { return impl_->model.shape; }
int Core::n_threads() const { return impl_->pool.size(); }

void Core::initialize(std::uint64_t seed) {
  const auto lock = impl_->change();
  impl_->model.initialize(seed);
}

std::vector<TensorInfo> Core::tensors() const {
  std::vector<TensorInfo> all;
  for (const NamedTensor& t : impl_->tensors) all.push_back({t.name, t.rows(), t.cols, t.is_vector});
  return all;
}

bool Core::has(std::size_t i, Slot slot) const {
  const auto lock = impl_->look();
  return !(impl_->tensors.at(i).parameter->*panels_of(slot)).empty();
}

void Core::read(Slot slot, const std::vector<float*>& out) const {
  const auto lock = impl_->look();
  for (std::size_t i = 0; i < impl_->tensors.size(); ++i) {
    const NamedTensor& t = impl_->tensors[i];
    const Panels& panels = t.parameter->*panels_of(slot);
    if (panels.empty() || !out.at(i)) continue;
    for (int row = 0; row < t.rows(); ++row)
      panels.read_row(row, t.first, t.cols, out.at(i) + static_cast<std::size_t>(row) * t.cols);
  }
}

void Core::write(Slot slot, const std::vector<const float*>& in) {
  const auto lock = impl_->change();
  for (std::size_t i = 0; i < impl_->tensors.size(); ++i) {
    const NamedTensor& t = impl_->tensors[i];
    Panels& panels = t.parameter->*panels_of(slot);
    if (panels.empty() || !in.at(i)) continue;
    if (t.first == 0) panels.zero();  // clears the padding too, where a diverged step may have left NaN
    for (int row = 0; row < t.rows(); ++row)
      panels.write_row(row, t.first, t.cols, in.at(i) + static_cast<std::size_t>(row) * t.cols);
  }
  if (slot == Slot::value) impl_->model.weights_changed();
}

void Core::set_standardization(const float* mean, const float* scale) {
  const auto lock = impl_->change();
  impl_->model.standardization = {mean, scale, impl_->model.shape.features};
}

void Core::set_optimizer(const std::string& name, const OptimizerSettings& settings) {
  const auto lock = impl_->change();
  impl_->training.emplace(impl_->model, impl_->pool, Optimizer(find(optimizers, "optimizer", name), settings));
}

std::int64_t Core::optimizer_steps() const {
  const auto lock = impl_->look();
  return impl_->trainer().optimizer.steps;
}

void Core::set_optimizer_steps(std::int64_t steps) {
  const auto lock = impl_->change();
  impl_->trainer().optimizer.steps = steps;
}

void Core::set_objective(const Objective& objective, const Regularization& regularization) {
  const auto lock = impl_->change();
  impl_->trainer().set_objective(objective, regularization);
}

void Core::set_exchange(std::unique_ptr<Exchange> exchange) {
  const auto lock = impl_->change();
  impl_->trainer().set_exchange(exchange.get());
  impl_->exchange = std::move(exchange);
}

void Core::gather_moments() {
  const auto lock = impl_->change();
  impl_->trainer().gather_moments();
}

PhaseSeconds Core::phase_seconds() const {
  const auto lock = impl_->look();
  return impl_->trainer().seconds;
}

Loss Core::step(const Rows& rows, const std::int64_t* index, int count, const StepSettings& settings,
                const Noise& noise) {
  const auto lock = impl_->change();
  return impl_->trainer_for(noise).step(rows, index, count, settings, noise);
}

Loss Core::gradients(const Rows& rows, int n, const StepSettings& settings, const Noise& noise) {
  const auto lock = impl_->change();
  std::vector<std::int64_t> index(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < index.size(); ++i) index[i] = static_cast<std::int64_t>(i);
  return impl_->trainer_for(noise).gradients(rows, index.data(), n, settings, noise);
}

bool Core::encode(const Rows& rows, std::int64_t n, float* mu, float* logvar) {
  return impl_->read([&](Inference& inference) { return inference.encode(rows, n, mu, logvar); });
}

void Core::decode(const float* z, std::int64_t n, float* mean) {
  impl_->read([&](Inference& inference) { inference.decode(z, n, mean); });
}

bool Core::score(const Rows& rows, std::int64_t n, const Noise& noise, bool deterministic, double* reconstruction,
                 double* kl) {
  return impl_->read(
      [&](Inference& inference) { return inference.score(rows, n, noise, deterministic, reconstruction, kl); });
}

void Core::contributions(const Rows& rows, std::int64_t n, float* terms) {
  impl_->read([&](Inference& inference) { inference.contributions(rows, n, terms); });
}

void Core::log_likelihood(const Rows& rows, std::int64_t n, int samples, std::uint64_t seed, double* estimate,
                          double* standard_error) {
  impl_->read(
      [&](Inference& inference) { inference.log_likelihood(rows, n, samples, seed, estimate, standard_error); });
}

void Core::importance_samples(const Rows& rows, std::int64_t n, int samples, std::uint64_t seed, float* z,
                              double* log_weights) {
  impl_->read([&](Inference& inference) { inference.importance_samples(rows, n, samples, seed, z, log_weights); });
}

void Core::impute(const Rows& rows, std::int64_t n, int samples, std::uint64_t seed, float* mean) {
  impl_->read([&](Inference& inference) { inference.impute(rows, n, samples, seed, mean); });
}

std::vector<std::string> activation_names() { return names(activations); }
std::vector<LikelihoodInfo> likelihood_infos() {
  std::vector<LikelihoodInfo> all;
  for (const Likelihood& l : likelihoods) all.push_back({l.name, l.scale ? l.scale : "", l.counts});
  return all;
}
std::vector<std::string> optimizer_names() { return names(optimizers); }
std::string eigen_version() {
  return std::to_string(EIGEN_WORLD_VERSION) + "." + std::to_string(EIGEN_MAJOR_VERSION) + "." +
         std::to_string(EIGEN_MINOR_VERSION);
}

namespace kernels {
namespace {

Panels to_panels(const float* in, int rows, int cols) {
  Panels panels(rows, cols);
  for (int row = 0; row < rows; ++row, in += cols) panels.write_row(row, 0, cols, in);
  return panels;
}

void from_panels(const Panels& panels, float* out) {
  for (int row = 0; row < panels.rows(); ++row, out += panels.cols()) panels.read_row(row, 0, panels.cols(), out);
}

}  // namespace

void product(const float* a, const float* b, int n, int k, int m, int split, float* c) {
  const Panels left = to_panels(a, n, k), right = to_panels(b, k, m);
  Panels out(n, m);
  multiply(left, right, nullptr, out, {0, split}, [](const Block&) {});
  multiply(left, right, nullptr, out, {split, n}, [](const Block&) {});
  from_panels(out, c);
}

void weights_product(const float* a, const float* d, int n, int k, int m, float* c) {
  const Panels left = to_panels(a, n, k), right = to_panels(d, n, m);
  Panels out(k, m);
  for (int panel = 0; panel < out.count(); ++panel)
    for (int tile = 0; tile < left.count(); ++tile)
      multiply_weights(left, right, n, tile, panel, std::min(NR, k - tile * NR), out.at(panel, tile * NR));
  from_panels(out, c);
}

void activation(const std::string& name, int n, const float* x, float* values, float* slopes) {
  const int padded = (n + W - 1) / W * W;
  Buffer v(static_cast<std::size_t>(padded)), s(static_cast<std::size_t>(padded));
  std::copy_n(x, n, v.data());
  find(activations, "activation", name).apply(v.data(), s.data(), padded);
  std::copy_n(v.data(), n, values);
  std::copy_n(s.data(), n, slopes);
}

std::vector<std::uint32_t> philox(const std::vector<std::uint32_t>& counter, const std::vector<std::uint32_t>& key) {
  const auto bits =
      vaefast::philox({counter.at(0), counter.at(1), counter.at(2), counter.at(3)}, {key.at(0), key.at(1)});
  return {bits.begin(), bits.end()};
}

void likelihood(const std::string& name, double df, int n, const float* out, const float* x, const float* log_scale,
                float* nll, float* d_out, float* d_log_scale, float* mean) {
  const Model model({.features = 1, .encoder = {}, .latent_dim = 1, .decoder = {}}, activations[0], {}, Scale::fixed,
                    df);
  const Likelihood& l = find(likelihoods, "likelihood", name);
  for (int i = 0; i < n; ++i) {
    alignas(64) float o[NR] = {out[i]}, m[NR] = {out[i]}, data[NR] = {x[i]}, mask[NR] = {1}, scale[NR] = {log_scale[i]};
    alignas(64) float delta[NR] = {};
    double sum = 0;
    const int data_row = 0;
    LikelihoodBlock block{.out = o,
                          .data_row = &data_row,
                          .x = data,
                          .mask = mask,
                          .log_scale = scale,
                          .log_scale_delta = delta,
                          .nll = &sum,
                          .rows = 1,
                          .df = model.df,
                          .df_constant = model.df_constant};
    l.evaluate(block);
    block.out = m;
    l.mean(block);
    nll[i] = static_cast<float>(sum);
    d_out[i] = o[0];
    d_log_scale[i] = delta[0];
    mean[i] = m[0];
  }
}

std::vector<int> work_queue(int n, int threads) {
  ThreadPool pool(threads);
  WorkQueue queue(threads);
  queue.assign(n, threads);
  std::vector<std::atomic<int>> taken(static_cast<std::size_t>(n));
  pool.run(threads, [&](int thread) {
    for (int i; (i = queue.take_task(thread)) >= 0;) ++taken[static_cast<std::size_t>(i)];
  });
  return {taken.begin(), taken.end()};
}

std::vector<int> thread_trial(const std::vector<std::vector<double>>& seconds) {
  ThreadTrial trial(static_cast<int>(seconds.at(0).size()));
  std::vector<int> threads;
  for (const std::vector<double>& run : seconds) {
    threads.push_back(trial.threads());
    trial.record(run.at(static_cast<std::size_t>(threads.back() - 1)));
  }
  return threads;
}

void uniforms(std::uint64_t seed, std::uint32_t stream, std::uint64_t word, std::uint32_t block, int count,
              float* out) {
  fill_uniform(seed, static_cast<Stream>(stream), word, block, count, out);
}

void normals(std::uint64_t seed, std::uint64_t word, std::uint32_t block, int count, float* out) {
  fill_normals(seed, Stream::training, word, block, count, out);
}

}  // namespace kernels
}  // namespace vaefast
