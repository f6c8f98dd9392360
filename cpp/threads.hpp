// A team of threads that work on one thing at a time.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <type_traits>
#include <vector>

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

// Where `count` threads of a team wait for each other.
class Barrier {
 public:
  Barrier(int count, bool spin) : count_(count), spin_(spin) {}
  void wait();

 private:
  const unsigned count_;
  const bool spin_;
  alignas(64) std::atomic<unsigned> arrived_{0};
  alignas(64) std::atomic<unsigned> round_{0};
};

// Where part `part` of n things begins, if they are cut into `parts` of nearly the same size.
inline std::int64_t part_begin(std::int64_t n, int part, int parts) { return n * part / parts; }

// What one of several threads does of a batch.
struct Share {
  int first, last;  // its rows
  int rows = 0;     // of all threads
  int thread = 0, threads = 1;
  Barrier* barrier = nullptr;  // of these threads; null where rows are not shared

  // The same of a batch that has `k` rows for each of this one's.
  Share times(int k) const { return {first * k, last * k, rows * k, thread, threads, barrier}; }
};

// Numbered pieces of work, a run of them for each thread. A thread that is done with its own takes from others': a core
// that somebody else slows down keeps nobody waiting for long.
class Pieces {
 public:
  explicit Pieces(int threads) : runs_(static_cast<std::size_t>(threads)) {}

  // Thread t's run is starts[t], ..., starts[t + 1] - 1, for one thread fewer than there are starts.
  void assign(std::span<const int> starts) {
    threads_ = static_cast<int>(starts.size()) - 1;
    for (std::size_t t = 0; t + 1 < starts.size(); ++t)
      runs_[t].left.store(pack(starts[t], starts[t + 1]), std::memory_order_relaxed);
  }
  // Runs of nearly the same length, together 0, ..., pieces - 1.
  void assign(int pieces, int threads) {
    threads_ = threads;
    for (int t = 0; t < threads; ++t)
      runs_[static_cast<std::size_t>(t)].left.store(
          pack(static_cast<int>(part_begin(pieces, t, threads)), static_cast<int>(part_begin(pieces, t + 1, threads))),
          std::memory_order_relaxed);
  }
  // Takes a piece that nobody has taken: the first of the thread's own run or else the last of another's; -1: none.
  int take(int thread) {
    for (int i = 0; i < threads_; ++i) {
      std::atomic<std::uint64_t>& left = runs_[static_cast<std::size_t>((thread + i) % threads_)].left;
      std::uint64_t seen = left.load(std::memory_order_relaxed);
      for (int first, last; first = static_cast<int>(seen >> 32), last = static_cast<int>(seen), first < last;) {
        const std::uint64_t others = i == 0 ? pack(first + 1, last) : pack(first, last - 1);
        if (left.compare_exchange_weak(seen, others, std::memory_order_relaxed)) return i == 0 ? first : last - 1;
      }
    }
    return -1;
  }

  // What the thread will take next, unless somebody does before; -1: nothing of its own run.
  int next(int thread) const {
    const std::uint64_t left = runs_[static_cast<std::size_t>(thread)].left.load(std::memory_order_relaxed);
    const int first = static_cast<int>(left >> 32), last = static_cast<int>(left);
    return first < last ? first : -1;
  }

 private:
  struct alignas(64) Run {  // on a cache line of its own
    std::atomic<std::uint64_t> left{0};
  };
  static std::uint64_t pack(int first, int last) {
    return static_cast<std::uint64_t>(first) << 32 | static_cast<std::uint32_t>(last);
  }

  int threads_ = 0;
  std::vector<Run> runs_;
};

// How many threads work may be given.
struct ThreadLimit {
  int most;
  double flops_per_thread;  // that a thread more is worth
};

class Team {
 public:
  explicit Team(int size);
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  int size() const { return size_; }
  // How many of the team so much work is worth, of which `parts` can be done at once.
  int threads_for(double flops, std::int64_t parts, const ThreadLimit& limit) const;
  int threads_for(double flops, std::int64_t parts) const { return threads_for(flops, parts, limit()); }
  // For work of which no trial says how many are best.
  ThreadLimit limit() const { return {.most = size_, .flops_per_thread = 1.5e6}; }

  // Runs body(0), ..., body(count - 1) at once, one per thread, the caller being the first; returns when all are done.
  // count <= size(). body must not throw.
  template <class Body>
  void run(int count, Body&& body) {
    using Plain = std::remove_reference_t<Body>;
    const FlushDenormals flush;
    if (count <= 1) return body(0);
    run(count, [](void* data, int thread) { (*static_cast<Plain*>(data))(thread); }, &body);
  }

  // Runs body(Share) for each of `count` threads, which share that many rows.
  template <class Body>
  void share_rows(int count, int rows, Body&& body) {
    Barrier barrier(count, count > 1 && spins());
    run(count, [&](int thread) {
      body(Share{static_cast<int>(part_begin(rows, thread, count)),
                 static_cast<int>(part_begin(rows, thread + 1, count)), rows, thread, count, &barrier});
    });
  }

 private:
  struct Workers;
  bool spins() const;  // whether waiting threads may: found once, with the workers
  void run(int count, void (*call)(void*, int), void* data);

  int size_;
  std::unique_ptr<Workers> workers_;  // started at the first use
};

}  // namespace vaefast
