// Which instruction sets this CPU and its operating system can run, best first. Compiled without any flags of its own.
#define PY_SSIZE_T_CLEAN
#include <Python.h>

static PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_cpu", nullptr, -1, nullptr, nullptr, nullptr, nullptr, nullptr};

PyMODINIT_FUNC PyInit__cpu() {
#if defined(__x86_64__) && !defined(__APPLE__)
  __builtin_cpu_init();
  const char* names = __builtin_cpu_supports("x86-64-v4")   ? "avx512 avx2 baseline"
                      : __builtin_cpu_supports("x86-64-v3") ? "avx2 baseline"
                                                            : "baseline";
#else
  const char* names = "baseline";
#endif
  PyObject* module = PyModule_Create(&definition);
  if (module && PyModule_AddStringConstant(module, "SUPPORTED", names) < 0) Py_CLEAR(module);
  return module;
}
