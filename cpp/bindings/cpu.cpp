// Which instruction sets this CPU and its operating system can run, best first. Compiled without any flags of its own.
#define PY_SSIZE_T_CLEAN
#include <Python.h>

static PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_cpu", nullptr, -1, nullptr, nullptr, nullptr, nullptr, nullptr};

// x86-64-v4 and x86-64-v3, by the features that tell: compilers differ in whether they know the levels by name.
static const char* supported() {
#if defined(__x86_64__) && !defined(__APPLE__)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
                    __builtin_cpu_supports("bmi2");
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl");
  if (avx2 && avx512) return "avx512 avx2 baseline";
  if (avx2) return "avx2 baseline";
#endif
  return "baseline";
}

PyMODINIT_FUNC PyInit__cpu() {
  PyObject* module = PyModule_Create(&definition);
  if (module && PyModule_AddStringConstant(module, "SUPPORTED", supported()) < 0) Py_CLEAR(module);
  return module;
}
