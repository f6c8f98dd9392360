// Peak rates of this machine, to which benchmarks compare the core. Like core.hpp, this header uses no packets.
#pragma once

#include <cstdint>

namespace vaefast {

// Returns the floating-point operations per second of threads that only multiply and add in registers. Each thread has
// as many independent sums as the micro-kernel, and adds `terms` terms to each of them.
double fma_rate(int threads, std::int64_t terms);

// Returns the floating-point operations per second of threads that run the micro-kernel on data in the first-level
// cache, `calls` times each. The kernel also loads, and other programs may use the cores, so this rate is below the
// peak.
double kernel_rate(int threads, std::int64_t calls);

// Returns the bytes per second, read plus written, of threads that together multiply `floats` floats in place, `passes`
// times. If the last-level cache cannot hold the floats, this is the memory bandwidth.
double stream_rate(int threads, std::int64_t floats, int passes);

// Returns the bytes per second of threads that together read `floats` floats, `passes` times. The rate is that of the
// cache that holds this many floats, or of the memory.
double load_rate(int threads, std::int64_t floats, int passes);

}  // namespace vaefast
