// Memory for floats: zeroed, aligned to a cache line or to a page, padded so that a packet may start at any element.
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
  static constexpr std::size_t padding = 16;  // floats: the widest packet
  static constexpr std::size_t cache_line = 64, huge_page = 2 << 20;

  // A step goes through weights, moments and activations side by side, over more pages of 4 KB than the CPU can keep
  // the addresses of. Arrays of half a megabyte and more ask for pages of 2 MB, which Linux may give.
  static std::size_t alignment(std::size_t size) {
#ifdef __linux__
    if (size * sizeof(float) >= huge_page / 4) return huge_page;
#endif
    return cache_line;
  }

  static float* allocate(std::size_t size) {
    const std::size_t unit = alignment(size), whole = (size * sizeof(float) + unit - 1) / unit * unit;
    const std::size_t bytes = std::max(whole, (size + padding) * sizeof(float));  // most arrays end within a page
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
