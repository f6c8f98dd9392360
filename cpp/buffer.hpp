// Memory for floats: zeroed, aligned to a cache line, padded so that a packet may start at any element.
#pragma once

#include <algorithm>
#include <cstddef>
#include <new>
#include <utility>

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
  ~Buffer() { ::operator delete(data_, alignment); }

  float* data() { return data_; }
  const float* data() const { return data_; }
  std::size_t size() const { return size_; }
  void fill(float value) { std::fill_n(data_, size_, value); }

 private:
  static constexpr std::align_val_t alignment{64};
  static constexpr std::size_t padding = 16;  // floats: the widest packet

  static float* allocate(std::size_t size) {
    auto* data = static_cast<float*>(::operator new((size + padding) * sizeof(float), alignment));
    std::fill_n(data, size + padding, 0.f);
    return data;
  }

  float* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace vaefast
