#include "affinity.hpp"

#ifdef __linux__
#include <pthread.h>
#include <sched.h>
#endif

namespace vaefast {

#ifdef __linux__

int current_cpu() { return sched_getcpu(); }

std::vector<int> allowed_cpus() {
  cpu_set_t set;
  std::vector<int> cpus;
  if (sched_getaffinity(0, sizeof set, &set)) return cpus;  // fails if there are more than 1024 CPUs
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  return cpus;
}

void restrict_to(std::thread& thread, std::span<const int> cpus) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (int cpu : cpus) CPU_SET(cpu, &set);
  pthread_setaffinity_np(thread.native_handle(), sizeof set, &set);
}

#else

int current_cpu() { return -1; }
std::vector<int> allowed_cpus() { return {}; }
void restrict_to(std::thread&, std::span<const int>) {}

#endif

}  // namespace vaefast
