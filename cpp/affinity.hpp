// Thread affinity: the CPUs on which a thread may run. Only Linux is supported; elsewhere these functions do nothing.
#pragma once

#include <span>
#include <thread>
#include <vector>

namespace vaefast {

// Returns the CPU on which the calling thread is running, or -1 if it is unknown.
int current_cpu();
// Returns the CPUs on which the calling thread may run, in ascending order. The list is empty if they are unknown.
std::vector<int> allowed_cpus();
// Restricts the thread to these CPUs from now on.
void restrict_to(std::thread& thread, std::span<const int> cpus);

}  // namespace vaefast
