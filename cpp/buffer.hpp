// Zero-initialized memory for floats. It is aligned to a cache line or a huge page, and padded so that a packet may be
// loaded from any element.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace vaefast {

class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::size_t size) : data_(allocate(size)), size_(size) {}
  Buffer(Buffer&& other) noexcept : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~Buffer() {
#ifdef __linux__
    if (is_large(size_)) {
      munmap(data_, mapped_bytes(size_));
      return;
    }
#endif
    ::operator delete(data_, std::align_val_t{cache_line});
  }

  float* data() { return data_; }
  const float* data() const { return data_; }
  std::size_t size() const { return size_; }
  void fill(float value) { std::fill_n(data_, size_, value); }

 private:
  static constexpr std::size_t padding = 16;  // floats of the widest packet
  static constexpr std::size_t cache_line = 64, huge_page = 2 << 20;

  static float* allocate(std::size_t size) {
#ifdef __linux__
    if (is_large(size)) return map(mapped_bytes(size));
#endif
    auto* data = static_cast<float*>(::operator new((size + padding) * sizeof(float), std::align_val_t{cache_line}));
    std::fill_n(data, size + padding, 0.f);
    return data;
  }

#ifdef __linux__
  // A training step walks through weights, moments and activations side by side. They span more 4 KB pages than the TLB
  // holds, so arrays of half a megabyte or more ask Linux for 2 MB pages. Fresh pages are zero and take no time before
  // they are touched, so a model that only answers calls never pays for its optimizer's moments.
  static bool is_large(std::size_t size) { return size * sizeof(float) >= huge_page / 4; }

  static std::size_t mapped_bytes(std::size_t size) {
    return ((size + padding) * sizeof(float) + huge_page - 1) / huge_page * huge_page;
  }

  static float* map(std::size_t bytes) {
    void* found = mmap(nullptr, bytes + huge_page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (found == MAP_FAILED) throw std::bad_alloc();
    char* const start = static_cast<char*>(found);
    const std::size_t before = (huge_page - reinterpret_cast<std::uintptr_t>(start) % huge_page) % huge_page;
    if (before) munmap(start, before);
    munmap(start + before + bytes, huge_page - before);
    madvise(start + before, bytes, MADV_HUGEPAGE);
    return reinterpret_cast<float*>(start + before);
  }
#endif

  float* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace vaefast
