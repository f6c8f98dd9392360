// Which instruction sets this CPU and its operating system can run, best first. Built without any flags of its own.
#include <pybind11/pybind11.h>

PYBIND11_MODULE(_cpu, m) {
  pybind11::list supported;
#if defined(__x86_64__) && defined(VAEFAST_VARIANTS)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("x86-64-v4")) supported.append("avx512");
  if (__builtin_cpu_supports("x86-64-v3")) supported.append("avx2");
#endif
  supported.append("baseline");
  m.attr("SUPPORTED") = pybind11::tuple(supported);
}
