#include "bindings.hpp"
#include "core.hpp"
#include "roofline.hpp"

namespace vaefast::bindings {
namespace {

Floats product(const Floats& a, const Floats& b, int split) {
  if (a.ndim() != 2 || b.ndim() != 2) throw std::invalid_argument("a and b must have two dimensions");
  expect_shape(a, "a", -1, b.shape(0));
  if (split < 0 || split > a.shape(0)) throw std::invalid_argument("split lies outside the rows of a");
  Floats c({a.shape(0), b.shape(1)});
  const auto n = static_cast<int>(a.shape(0)), k = static_cast<int>(a.shape(1)), m = static_cast<int>(b.shape(1));
  kernels::product(a.data(), b.data(), n, k, m, split, c.mutable_data());
  return c;
}

Floats weights_product(const Floats& a, const Floats& d) {
  if (a.ndim() != 2 || d.ndim() != 2) throw std::invalid_argument("a and d must have two dimensions");
  expect_shape(d, "d", a.shape(0), d.shape(1));
  Floats c({a.shape(1), d.shape(1)});
  const auto n = static_cast<int>(a.shape(0)), k = static_cast<int>(a.shape(1)), m = static_cast<int>(d.shape(1));
  kernels::weights_product(a.data(), d.data(), n, k, m, c.mutable_data());
  return c;
}

std::pair<Floats, Floats> activation(const std::string& name, const Floats& x) {
  Floats values(x.size()), slopes(x.size());
  kernels::activation(name, static_cast<int>(x.size()), x.data(), values.mutable_data(), slopes.mutable_data());
  return {std::move(values), std::move(slopes)};
}

Floats normals(std::uint64_t seed, std::uint64_t word, std::uint32_t block, int count) {
  Floats out(count);
  kernels::normals(seed, word, block, count, out.mutable_data());
  return out;
}

Floats uniforms(std::uint64_t seed, std::uint32_t stream, std::uint64_t word, std::uint32_t block, int count) {
  Floats out(count);
  kernels::uniforms(seed, stream, word, block, count, out.mutable_data());
  return out;
}

std::tuple<Floats, Floats, Floats, Floats> likelihood(const std::string& name, const Floats& out, const Floats& x,
                                                      const Floats& log_scale, double df) {
  if (out.ndim() != 1 || x.size() != out.size() || log_scale.size() != out.size())
    throw std::invalid_argument("out, x and log_scale must be vectors of one length");
  const py::ssize_t n = out.size();
  Floats nll(n), d_out(n), d_log_scale(n), mean(n);
  kernels::likelihood(name, df, static_cast<int>(n), out.data(), x.data(), log_scale.data(), nll.mutable_data(),
                      d_out.mutable_data(), d_log_scale.mutable_data(), mean.mutable_data());
  return {std::move(nll), std::move(d_out), std::move(d_log_scale), std::move(mean)};
}

double fma_rate(int n_threads, std::int64_t terms) {
  if (n_threads < 1 || terms < 1) throw std::invalid_argument("n_threads and terms must be at least 1");
  const WithoutGil without_gil;
  return vaefast::fma_rate(n_threads, terms);
}

double kernel_rate(int n_threads, std::int64_t calls) {
  if (n_threads < 1 || calls < 1) throw std::invalid_argument("n_threads and calls must be at least 1");
  const WithoutGil without_gil;
  return vaefast::kernel_rate(n_threads, calls);
}

using MemoryRate = double (*)(int, std::int64_t, int);

template <MemoryRate RATE>
double memory_rate(int n_threads, std::int64_t floats, int passes) {
  if (n_threads < 1 || floats < 1 || passes < 1)
    throw std::invalid_argument("n_threads, floats and passes must be at least 1");
  const WithoutGil without_gil;
  return RATE(n_threads, floats, passes);
}

}  // namespace

void register_kernels(py::module_& m) {
  using namespace py::literals;
  py::module_ sub = m.def_submodule("kernels", "Single components of the core, exposed for tests.");
  sub.def("product", &product, "a"_a, "b"_a, "split"_a = 0);
  sub.def("weights_product", &weights_product, "a"_a, "d"_a);
  sub.def("activation", &activation, "name"_a, "x"_a);
  sub.def("likelihood", &likelihood, "name"_a, "out"_a, "x"_a, "log_scale"_a, "df"_a = 4.0);
  sub.def("uniforms", &uniforms, "seed"_a, "stream"_a, "word"_a, "block"_a, "count"_a);
  sub.def("philox", &kernels::philox, "counter"_a, "key"_a);
  sub.def("work_queue", &kernels::work_queue, "n"_a, "threads"_a, py::call_guard<WithoutGil>());
  sub.def("thread_trial", &kernels::thread_trial, "seconds"_a);
  sub.def("normals", &normals, "seed"_a, "word"_a, "block"_a, "count"_a);
  sub.def("fma_rate", &fma_rate, "n_threads"_a, "terms"_a);
  sub.def("kernel_rate", &kernel_rate, "n_threads"_a, "calls"_a);
  sub.def("stream_rate", &memory_rate<stream_rate>, "n_threads"_a, "floats"_a, "passes"_a);
  sub.def("load_rate", &memory_rate<load_rate>, "n_threads"_a, "floats"_a, "passes"_a);
}

}  // namespace vaefast::bindings
