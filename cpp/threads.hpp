// A team of threads that work on one thing at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <type_traits>

namespace vaefast {

// While it lives, this thread takes numbers below 1e-38 for zero: a moment that decays towards zero would otherwise end
// among the denormals, where every operation takes a hundred cycles.
class FlushDenormals {
 public:
  FlushDenormals();
  ~FlushDenormals();
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
  unsigned saved_ = 0;
};

class Team {
 public:
  explicit Team(int size);
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  int size() const { return size_; }
  // How many of the team so much work is worth, of which `parts` can be done at once.
  int threads_for(double flops, std::int64_t parts) const;

  // Runs body(0), ..., body(count - 1) at once, one per thread, the caller being the first; returns when all are done.
  // count <= size(). body must not throw.
  template <class Body>
  void run(int count, Body&& body) {
    using Plain = std::remove_reference_t<Body>;
    const FlushDenormals flush;
    if (count <= 1) return body(0);
    run(count, [](void* data, int thread) { (*static_cast<Plain*>(data))(thread); }, &body);
  }

 private:
  struct Workers;
  void run(int count, void (*call)(void*, int), void* data);

  int size_;
  std::unique_ptr<Workers> workers_;  // started at the first use
};

}  // namespace vaefast
