// Zero-initialized memory for floats. It is aligned to a cache line or a huge page, and padded so that a packet may be
// loaded from any element.
#pragma once

#include <algorithm>
#include <cstddef>
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
  ~Buffer() { ::operator delete(data_, std::align_val_t{alignment(size_)}); }

  float* data() { return data_; }
  const float* data() const { return data_; }
  std::size_t size() const { return size_; }
  void fill(float value) { std::fill_n(data_, size_, value); }

 private:
  static constexpr std::size_t padding = 16;  // floats of the widest packet
  static constexpr std::size_t cache_line = 64, huge_page = 2 << 20;

  // A training step walks through weights, moments and activations side by side. They span more 4 KB pages than the TLB
  // holds, so arrays of half a megabyte or more ask Linux for 2 MB pages.
  static std::size_t alignment(std::size_t size) {
#ifdef __linux__
    if (size * sizeof(float) >= huge_page / 4) return huge_page;
#endif
    return cache_line;
  }

  static float* allocate(std::size_t size) {
    const std::size_t unit = alignment(size), whole = (size * sizeof(float) + unit - 1) / unit * unit;
    const std::size_t bytes = std::max(whole, (size + padding) * sizeof(float));  // mostly `whole`
    auto* data = static_cast<float*>(::operator new(bytes, std::align_val_t{unit}));
#ifdef __linux__
    if (unit == huge_page) madvise(data, whole, MADV_HUGEPAGE);
#endif
    std::fill_n(data, size + padding, 0.f);
    return data;
  }

  float* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace vaefast
