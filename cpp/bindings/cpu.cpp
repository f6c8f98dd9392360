// Tells which of the compiled variants this CPU and its operating system can run. This file is compiled
// without instruction-set flags, because it runs before a variant is chosen.
#if defined(_M_X64)
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#endif

#define PY_SSIZE_T_CLEAN
#include <Python.h>

// Names of the variants, best first. The levels x86-64-v4 and x86-64-v3 are tested feature by feature, because not
// every compiler knows the levels by name.
static const char* supported() {
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__APPLE__)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
                    __builtin_cpu_supports("bmi2");
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl");
  if (avx2 && avx512) return "avx512 avx2 baseline";
  if (avx2) return "avx2 baseline";
#elif defined(_M_X64) && defined(PF_AVX2_INSTRUCTIONS_AVAILABLE)
  if (IsProcessorFeaturePresent(PF_AVX2_INSTRUCTIONS_AVAILABLE)) return "avx2 baseline";
#endif
  return "baseline";
}

static int execute(PyObject* module) { return PyModule_AddStringConstant(module, "SUPPORTED", supported()); }

static PyModuleDef_Slot slots[] = {{Py_mod_exec, reinterpret_cast<void*>(execute)},
#if PY_VERSION_HEX >= 0x030D0000
                                   {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
                                   {0, nullptr}};

static PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_cpu", nullptr, 0, nullptr, slots, nullptr, nullptr, nullptr};

PyMODINIT_FUNC PyInit__cpu() { return PyModuleDef_Init(&definition); }
