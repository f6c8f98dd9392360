// What this machine can do at best, for benchmarks that hold the core against it. No packets, as in core.hpp.
#pragma once

#include <cstdint>

namespace vaefast {

// Floating-point operations per second of threads that only multiply and add, in registers. Each does so `terms` times
// with as many independent sums as the micro-kernel has.
double fma_rate(int threads, std::int64_t terms);

// The same of threads that run the micro-kernel on data in the first-level cache, `calls` times each: what is left of
// the peak to instructions that also load, and to a core that another program may share.
double kernel_rate(int threads, std::int64_t calls);

// Bytes per second, read and written ones, of threads that together multiply `floats` floats in place, `passes` times.
// With more floats than the last-level cache can hold this is the memory's bandwidth.
double stream_rate(int threads, std::int64_t floats, int passes);

}  // namespace vaefast
