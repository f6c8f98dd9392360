// Declarations that the binding files share.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>

namespace vaefast::bindings {

namespace py = pybind11;
// Arguments in other layouts, or at addresses that their type may not have, are copied.
constexpr int layout = py::array::c_style | py::detail::npy_api::NPY_ARRAY_ALIGNED_;
using Floats = py::array_t<float, layout>;
using Doubles = py::array_t<double, layout>;
using Indices = py::array_t<std::int64_t, layout>;

// Releases the GIL during its lifetime.
//
// When the interpreter ends, daemon threads still run, and CPython before 3.14 ends a thread that then asks for the GIL
// by pthread_exit. That would unwind the stack through functions and destructors that need the GIL, and abort the
// process. Such a thread instead sleeps until the process ends, as it does in CPython 3.14.
class WithoutGil {
 public:
  WithoutGil() : thread_(PyEval_SaveThread()) {}
  ~WithoutGil() noexcept(false) {
    SleepUnlessDone guard;
    PyEval_RestoreThread(thread_);
    guard.done = true;
  }
  WithoutGil(const WithoutGil&) = delete;
  WithoutGil& operator=(const WithoutGil&) = delete;

 private:
  struct SleepUnlessDone {
    bool done = false;
    ~SleepUnlessDone() {
      while (!done) std::this_thread::sleep_for(std::chrono::hours(1));
    }
  };
  PyThreadState* thread_;
};

void register_core(py::module_& m);
void register_kernels(py::module_& m);

// Throws unless `array` has shape (rows, cols). A negative `rows` allows any number of rows.
inline void expect_shape(const py::array& array, const std::string& what, py::ssize_t rows, py::ssize_t cols) {
  if (array.ndim() == 2 && (rows < 0 || array.shape(0) == rows) && array.shape(1) == cols) return;
  throw std::invalid_argument(what + " must have shape (" + (rows < 0 ? "n" : std::to_string(rows)) + ", " +
                              std::to_string(cols) + ")");
}

}  // namespace vaefast::bindings
