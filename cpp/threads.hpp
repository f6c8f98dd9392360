// A thread pool, whose threads work on one job at a time.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <type_traits>
#include <vector>

namespace vaefast {

// During the lifetime of this object, its thread treats denormals (numbers below 1e-38) as zero. Otherwise a moment
// that decays towards zero would become denormal, and every operation on it would take a hundred cycles.
class FlushDenormals {
 public:
  FlushDenormals();
  ~FlushDenormals();
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
  unsigned saved_ = 0;
};

// A barrier for `count` threads of a pool.
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

// Returns the beginning of part `part`, if n elements are split into `parts` parts of nearly the same size.
inline std::int64_t part_begin(std::int64_t n, int part, int parts) { return n * part / parts; }

// One thread's share of a batch.
struct Share {
  int first, last;  // the thread's rows, [first, last)
  int rows = 0;     // rows of all threads: [top, top + rows)
  int top = 0;
  int thread = 0, threads = 1;
  Barrier* barrier = nullptr;  // barrier of these threads; may be null if there is only one

  // Returns the same share of a batch that has `k` rows for each row of this one.
  Share times(int k) const { return {first * k, last * k, rows * k, top * k, thread, threads, barrier}; }
};

// Numbered tasks, with a contiguous run of them for each thread. A thread that has finished its own run steals tasks
// from other threads, so a core that another program slows down does not delay them for long.
class WorkQueue {
 public:
  explicit WorkQueue(int threads) : runs_(static_cast<std::size_t>(threads)) {}

  // Assigns tasks starts[t], ..., starts[t + 1] - 1 to thread t. There is one thread fewer than there are starts.
  void assign(std::span<const int> starts) {
    threads_ = static_cast<int>(starts.size()) - 1;
    for (std::size_t t = 0; t + 1 < starts.size(); ++t)
      runs_[t].left.store(pack(starts[t], starts[t + 1]), std::memory_order_relaxed);
  }
  // Assigns tasks 0, ..., tasks - 1 to the threads, in runs of nearly the same length.
  void assign(int tasks, int threads) {
    threads_ = threads;
    for (int t = 0; t < threads; ++t)
      runs_[static_cast<std::size_t>(t)].left.store(
          pack(static_cast<int>(part_begin(tasks, t, threads)), static_cast<int>(part_begin(tasks, t + 1, threads))),
          std::memory_order_relaxed);
  }
  // Takes the first remaining task of the thread's own run or, if there is none, the last one of another thread's run.
  // Returns -1 if no task remains.
  int take_task(int thread) {
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

  // Returns the task that the thread will take next unless another thread steals it, or -1 if its own run is empty.
  int next_task(int thread) const {
    const std::uint64_t left = runs_[static_cast<std::size_t>(thread)].left.load(std::memory_order_relaxed);
    const int first = static_cast<int>(left >> 32), last = static_cast<int>(left);
    return first < last ? first : -1;
  }

 private:
  struct alignas(64) Run {  // has its own cache line
    std::atomic<std::uint64_t> left{0};
  };
  static std::uint64_t pack(int first, int last) {
    return static_cast<std::uint64_t>(first) << 32 | static_cast<std::uint32_t>(last);
  }

  int threads_ = 0;
  std::vector<Run> runs_;
};

// Limits the number of threads for a job.
struct ThreadLimit {
  int most;
  double flops_per_thread;  // operations that justify one more thread
};

class ThreadPool {
 public:
  explicit ThreadPool(int size);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const { return size_; }

  // Claims the pool for one of several callers that run side by side. The claim is for up to `wanted` threads, less
  // those that work for other callers in this process. A caller that finds the pool claimed gets its own thread alone,
  // so callers never wait for each other.
  class Claim {
   public:
    Claim(ThreadPool& pool, int wanted);
    ~Claim();
    Claim(const Claim&) = delete;
    Claim& operator=(const Claim&) = delete;
    int threads() const { return threads_; }

   private:
    ThreadPool& pool_;
    int threads_ = 1;
  };

  // Must be called in the child after a fork, where the threads of the pool do not exist.
  void forget_threads();
  // Returns the number of threads to use for `flops` operations, which consist of `parts` independent parts.
  int threads_for(double flops, std::int64_t parts, const ThreadLimit& limit) const;
  int threads_for(double flops, std::int64_t parts) const { return threads_for(flops, parts, limit()); }
  // Returns the limit for jobs without a ThreadTrial.
  ThreadLimit limit() const { return {.most = size_, .flops_per_thread = 1.5e6}; }

  // Runs body(0), ..., body(count - 1) in parallel, one per thread, and returns when all are done. The calling thread
  // runs body(0). count must not exceed size(), and body must not throw.
  template <class Body>
  void run(int count, Body&& body) {
    using Plain = std::remove_reference_t<Body>;
    const FlushDenormals flush;
    const AtWork at_work(count);
    if (count <= 1) return body(0);
    run(count, [](void* data, int thread) { (*static_cast<Plain*>(data))(thread); }, &body);
  }

  // Runs body(Share) on `count` threads, which share `rows` rows from row `top` on.
  template <class Body>
  void share_rows(int count, int rows, Body&& body, int top = 0) {
    Barrier barrier(count, count > 1 && spins());
    run(count, [&](int thread) {
      body(Share{top + static_cast<int>(part_begin(rows, thread, count)),
                 top + static_cast<int>(part_begin(rows, thread + 1, count)), rows, top, thread, count, &barrier});
    });
  }

 private:
  // Counts the threads of this process that work for some caller.
  class AtWork {
   public:
    explicit AtWork(int count) : count_(count) { total.fetch_add(count_, std::memory_order_relaxed); }
    ~AtWork() { total.fetch_sub(count_, std::memory_order_relaxed); }
    AtWork(const AtWork&) = delete;
    AtWork& operator=(const AtWork&) = delete;
    static inline std::atomic<int> total{0};

   private:
    int count_;
  };

  struct Workers;
  bool spins() const;  // whether waiting threads spin; decided once, with the workers
  void run(int count, void (*call)(void*, int), void* data);

  int size_;
  std::atomic<bool> claimed_{false};
  std::unique_ptr<Workers> workers_;  // started on first use
};

}  // namespace vaefast
