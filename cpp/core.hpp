// The interface between the core and the Python bindings. It uses neither packets nor Eigen, so the bindings are
// compiled once, whereas the core behind this header is compiled once per instruction set.
#pragma once

#include <memory>
#include <utility>

#include "exchange.hpp"
#include "types.hpp"

namespace vaefast {

enum class Slot { value, gradient, m, v };  // the arrays of a Parameter (parameter.hpp)

struct TensorInfo {
  std::string name;
  int rows, cols;  // a vector has one row
  bool is_vector;
};

// A model with its optimizer and its thread pool. Calls that only read the weights run side by side, with the same bits
// as alone. A call that changes the model waits for all others, and they wait for it. An unknown name of an activation,
// a likelihood or an optimizer throws std::invalid_argument.
class Core {
 public:
  // The counts of `columns` must add up to shape.features. `df` is the number of degrees of freedom of the Student t
  // likelihood.
  Core(const Shape& shape, const std::string& activation, const std::vector<ColumnsSpec>& columns, Scale scale,
       double df, int n_threads);
  ~Core();

  const Shape& shape() const;
  int n_threads() const;
  void initialize(std::uint64_t seed);

  std::vector<TensorInfo> tensors() const;
  // Returns whether tensor i has this slot. An optimizer keeps 0 to 2 moments. The first call of gradients() allocates
  // the gradients, and so does the first step that clips them.
  bool has(std::size_t i, Slot slot) const;
  // These copy all tensors that have this slot, in the order of tensors(). The arrays are row-major, and null pointers
  // are skipped.
  void read(Slot slot, const std::vector<float*>& out) const;
  void write(Slot slot, const std::vector<const float*>& in);

  // From now on, the network reads (value - mean) / scale. Likelihoods and decoded means stay in the caller's units.
  // mean, scale: (features)
  void set_standardization(const float* mean, const float* scale);

  void set_optimizer(const std::string& name, const OptimizerSettings& settings);
  std::int64_t optimizer_steps() const;
  void set_optimizer_steps(std::int64_t steps);
  // The default is the ELBO with one sample and no regularization. set_optimizer() restores the default.
  void set_objective(const Objective& objective, const Regularization& regularization);
  // Takes one optimizer step on rows index[0], ..., index[count - 1] and returns the losses, summed over these rows
  // with their weights. If the loss is not finite, the weights of the model do not change. Throws std::invalid_argument
  // if the given noise and the objective differ in the number of samples per row.
  Loss step(const Rows& rows, const std::int64_t* index, int count, const StepSettings& settings, const Noise& noise);
  // From now on, a step is one of several processes that call step() alike: all rows, tensors and settings are the same
  // in each. The weights are then those of a single process, bit by bit. Null ends this, and so does set_optimizer().
  void set_exchange(std::unique_ptr<Exchange> exchange);
  // Gives every process all moments. Between steps, a process has only a part of them. All processes must call it.
  void gather_moments();
  // Returns the total of all completed steps since set_optimizer().
  PhaseSeconds phase_seconds() const;
  // Computes the gradient of the weighted mean loss of rows [0, n), which read() returns for Slot::gradient. Throws as
  // step() does.
  Loss gradients(const Rows& rows, int n, const StepSettings& settings, const Noise& noise);

  // The following functions that return bool return false if a value lies outside rows.limits. Their results are then
  // incomplete.

  // mu, logvar: (n, latent_dim). logvar may be null.
  bool encode(const Rows& rows, std::int64_t n, float* mu, float* logvar);
  // z: (n, latent_dim + conditions) -> mean: (n, features), E[x | z]
  void decode(const float* z, std::int64_t n, float* mean);
  // reconstruction, kl: (n), nats. Draws one z per row. The noise is given, or a function of noise.seed and the row's
  // content. If `deterministic`, z = mu and kl = 0.
  bool score(const Rows& rows, std::int64_t n, const Noise& noise, bool deterministic, double* reconstruction,
             double* kl);
  // terms: (n, features), nats. Each feature's contribution to -log p(x | z) at z = mu.
  void contributions(const Rows& rows, std::int64_t n, float* terms);
  // estimate, standard_error: (n), nats. Estimates log p(x) of each row from `samples` samples of z.
  void log_likelihood(const Rows& rows, std::int64_t n, int samples, std::uint64_t seed, double* estimate,
                      double* standard_error);
  // mean: (n, features). Estimates E[x | what is known of x] of each row from `samples` samples of z.
  void impute(const Rows& rows, std::int64_t n, int samples, std::uint64_t seed, float* mean);
  // z: (n, samples, latent_dim), log_weights: (n, samples), nats. The samples of log_likelihood().
  void importance_samples(const Rows& rows, std::int64_t n, int samples, std::uint64_t seed, float* z,
                          double* log_weights);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Returns the smallest and the largest of n numbers. Both are NaN if any of the numbers is NaN or infinite.
std::pair<float, float> value_range(const float* x, std::int64_t n);

std::vector<std::int64_t> permutation(std::int64_t n, std::uint64_t seed, std::uint32_t epoch);
std::vector<std::int64_t> start_of_permutation(std::int64_t n, std::int64_t count, std::uint64_t seed,
                                               std::uint32_t epoch);

std::vector<std::string> activation_names();
struct LikelihoodInfo {
  std::string name, scale;  // scale: name of the log-scale tensor; empty if there is none
  bool counts;
};
std::vector<LikelihoodInfo> likelihood_infos();
std::vector<std::string> optimizer_names();
std::string eigen_version();

// Single components of the core, exposed for tests. All arrays are row-major.
namespace kernels {
// c (n, m) = a (n, k) * b (k, m), computed in two calls: rows [0, split), then rows [split, n)
void product(const float* a, const float* b, int n, int k, int m, int split, float* c);
// c (k, m) = a^T * d, a (n, k), d (n, m)
void weights_product(const float* a, const float* d, int n, int k, int m, float* c);
void activation(const std::string& name, int n, const float* x, float* values, float* slopes);
std::vector<std::uint32_t> philox(const std::vector<std::uint32_t>& counter, const std::vector<std::uint32_t>& key);
// Evaluates a likelihood for n independent features without exposure. nll, d_out and d_log_scale are those of
// likelihood::Terms; mean is E[x | z].
void likelihood(const std::string& name, double df, int n, const float* out, const float* x, const float* log_scale,
                float* nll, float* d_out, float* d_log_scale, float* mean);
// Returns how often each of n tasks is executed by `threads` threads that share a work queue. Every count must be 1.
std::vector<int> work_queue(int n, int threads);
// Returns the number of threads that ThreadTrial chooses for each run, if t threads take seconds[run][t - 1].
std::vector<int> thread_trial(const std::vector<std::vector<double>>& seconds);
// stream: the value of a Stream
void uniforms(std::uint64_t seed, std::uint32_t stream, std::uint64_t word, std::uint32_t block, int count, float* out);
void normals(std::uint64_t seed, std::uint64_t word, std::uint32_t block, int count, float* out);
}  // namespace kernels

}  // namespace vaefast
