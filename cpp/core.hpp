// The whole core behind one class, as the bindings see it. No packets and no Eigen: compiled code on the other side of
// this header exists once per instruction set, on this side once.
#pragma once

#include <memory>
#include <utility>

#include "types.hpp"

namespace vaefast {

enum class Slot { value, gradient, first, second };  // of a tensor: see parameter.hpp

struct TensorInfo {
  std::string name;
  int rows, cols;  // a vector has one row
  bool is_vector;
};

// A model with the threads that work on it. Calls from several threads wait for each other.
// Unknown names of an activation, likelihood or optimiser throw std::invalid_argument.
class Core {
 public:
  // columns: their counts add up to shape.features. df: degrees of freedom of a Student t.
  Core(const Shape& shape, const std::string& activation, const std::vector<ColumnsSpec>& columns, Scale scale,
       double df, int n_threads);
  ~Core();

  const Shape& shape() const;
  int n_threads() const;
  void initialize(std::uint64_t seed);

  std::vector<TensorInfo> tensors() const;
  // Whether tensor i has such a slot: an optimiser has 0 to 2 moments, and gradients come with gradients().
  bool has(std::size_t i, Slot slot) const;
  // All tensors that have such a slot, each row-major, in the order of tensors(); null pointers are passed over.
  void read(Slot slot, const std::vector<float*>& out) const;
  void write(Slot slot, const std::vector<const float*>& in);

  void set_optimizer(const std::string& name, const OptimizerSettings& settings);
  std::int64_t optimizer_steps() const;
  void set_optimizer_steps(std::int64_t steps);
  // Until then: the ELBO with one sample, no regularisation. set_optimizer forgets it.
  void set_objective(const Objective& objective, const Regularization& regularization);
  int samples() const;  // of z per row, in training
  // One step on rows[index[0 .. count)]; losses are sums. When the loss is not finite, the weights stay as they were.
  Loss step(const Rows& rows, const std::int64_t* index, int count, const StepSettings& settings, const Noise& noise);
  // Of all finished steps since set_optimizer.
  PhaseSeconds phase_seconds() const;
  // The gradient of the mean loss of rows [0, n), to be read from Slot::gradient.
  Loss gradients(const Rows& rows, int n, const StepSettings& settings, const Noise& noise);

  // mu, logvar: (n, latent_dim)
  void encode(const Rows& rows, std::int64_t n, float* mu, float* logvar);
  // z: (n, latent_dim + conditions) -> mean: (n, features), E[x | z]
  void decode(const float* z, std::int64_t n, float* mean);
  // reconstruction, kl: (n), nats. One z a row, from noise that is named by noise.seed and the row's content, or given.
  // mean_code: z = mu, and no kl.
  void score(const Rows& rows, std::int64_t n, const Noise& noise, bool mean_code, double* reconstruction, double* kl);
  // What each feature adds to -log p(x | z) at z = mu: (n, features), nats.
  void contributions(const Rows& rows, std::int64_t n, float* terms);
  // log p(x) of each row from so many z, and the estimate's standard error: (n), nats.
  void log_likelihood(const Rows& rows, std::int64_t n, int samples, std::uint64_t seed, double* estimate,
                      double* standard_error);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The least and the largest of n numbers, both NaN where one of them is NaN or infinite.
std::pair<float, float> value_range(const float* x, std::int64_t n);

std::vector<std::int64_t> permutation(std::int64_t n, std::uint64_t seed, std::uint32_t epoch);

std::vector<std::string> activation_names();
struct LikelihoodInfo {
  std::string name, scale;  // scale: what its log scale is called; empty if it has none
  bool counts;
};
std::vector<LikelihoodInfo> likelihood_infos();
std::vector<std::string> optimizer_names();
std::string eigen_version();

// The parts one by one, for the tests. All arrays are row-major.
namespace kernels {
// c (n, m) = a (n, k) * b (k, m), rows [0, split) and [split, n) in two calls
void product(const float* a, const float* b, int n, int k, int m, int split, float* c);
// c (k, m) = a^T * d, a (n, k), d (n, m)
void weights_product(const float* a, const float* d, int n, int k, int m, float* c);
void activation(const std::string& name, int n, const float* x, float* values, float* slopes);
std::vector<std::uint32_t> philox(const std::vector<std::uint32_t>& counter, const std::vector<std::uint32_t>& key);
// What Terms says of one feature after the other, from outputs, x and log scales, with no exposure; mean: E[x | z].
void likelihood(const std::string& name, double df, int n, const float* out, const float* x, const float* log_scale,
                float* nll, float* d_out, float* d_log_scale, float* mean);
// How often each of n pieces of work is taken by so many threads that take all they can get.
std::vector<int> pieces(int n, int threads);
// How many threads make each run, where seconds[run][t - 1] is what t threads would take.
std::vector<int> thread_trial(const std::vector<std::vector<double>>& seconds);
// stream: the number of a Stream
void uniforms(std::uint64_t seed, std::uint32_t stream, std::uint64_t word, std::uint32_t block, int count, float* out);
void normals(std::uint64_t seed, std::uint64_t word, std::uint32_t block, int count, float* out);
}  // namespace kernels

}  // namespace vaefast
