// The connection of processes that train one model together.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace vaefast {

class Exchange {
 public:
  Exchange(int rank, int size) : rank(rank), size(size) {}
  virtual ~Exchange() = default;
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  // Process r has filled bytes starts[r], ..., starts[r + 1] - 1 of its buffer. When the call returns, every process
  // has all bytes. All processes must call it in the same order and with the same starts, from the thread that called
  // the core. May throw.
  virtual void all_gather(std::byte* buffer, std::span<const std::int64_t> starts) = 0;

  const int rank, size;  // this process is number `rank` of `size`
};

}  // namespace vaefast
