// Which CPUs a thread may run on. Where a system doesn't tell, or can't be told, nothing happens.
#pragma once

#include <span>
#include <thread>
#include <vector>

namespace vaefast {

// That on which the calling thread runs now, or -1.
int current_cpu();
// Those on which the calling thread may run, in order.
std::vector<int> allowed_cpus();
// From now on the thread runs on these.
void restrict_to(std::thread& thread, std::span<const int> cpus);

}  // namespace vaefast
