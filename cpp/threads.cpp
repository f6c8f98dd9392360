#include "threads.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "affinity.hpp"

#if defined(__x86_64__) || defined(__i386__) || defined(_M_X64)
#define VAEFAST_X86
#include <immintrin.h>
#endif

namespace vaefast {
namespace {

void pause() {
#ifdef VAEFAST_X86
  _mm_pause();
#elif defined(__aarch64__) && defined(__GNUC__)
  asm volatile("yield");
#endif
}

// Waits until `done(value)`. It spins for 300 microseconds and then sleeps. A wake-up takes 50 microseconds in a
// virtual machine, and threads that wait for each other in every layer wait for less than 300 microseconds.
template <class Done>
void wait_until(const std::atomic<unsigned>& value, bool spin, Done&& done) {
  using namespace std::chrono;
  constexpr auto SPIN_TIME = microseconds(300);
  for (const auto end = steady_clock::now() + SPIN_TIME; spin;) {
    for (int i = 0; i < 64; ++i) {
      if (done(value.load(std::memory_order_acquire))) return;
      pause();
    }
    spin = steady_clock::now() < end;
  }
  for (unsigned seen; !done(seen = value.load(std::memory_order_acquire));) value.wait(seen, std::memory_order_acquire);
}

}  // namespace

#ifdef VAEFAST_X86
FlushDenormals::FlushDenormals() : saved_(_mm_getcsr()) {
  _mm_setcsr(saved_ | 0x8040);  // the bits "flush to zero" and "denormals are zero"
}
FlushDenormals::~FlushDenormals() { _mm_setcsr(saved_); }
#else
FlushDenormals::FlushDenormals() = default;
FlushDenormals::~FlushDenormals() = default;
#endif

struct ThreadPool::Workers {
  // Each worker has its own cache line.
  struct alignas(64) Worker {
    std::atomic<unsigned> calls{0};  // jobs given to this worker; an increment wakes it
    std::thread thread;
  };
  alignas(64) std::atomic<unsigned> busy{0};  // workers that have not finished the current job
  alignas(64) void (*call)(void*, int) = nullptr;
  void* data = nullptr;
  bool stop = false;
  const bool spin;
  int caller_cpu = -1;           // CPU that the workers avoid
  std::vector<int> caller_cpus;  // CPUs on which the caller may run
  unsigned calls_placed = 0;
  std::vector<Worker> workers;  // workers[i] is thread i + 1 of the pool

  Workers(int size, bool spins) : spin(spins), workers(static_cast<std::size_t>(size - 1)) {
    try {
      for (int i = 1; i < size; ++i) worker(i).thread = std::thread([this, i] { work(i); });
    } catch (...) {  // no more threads can be started: ends those that were
      end();
      throw;
    }
  }
  ~Workers() { end(); }

  Worker& worker(int thread) { return workers[static_cast<std::size_t>(thread - 1)]; }

  // A system may keep a thread on the CPU of the thread that woke it, above all while other programs run. The two would
  // then take turns. Therefore the workers may use all CPUs of the caller except the one on which it is running.
  void keep_off_caller() {
    constexpr unsigned CHECK_INTERVAL = 1024;  // calls; the set of the caller's CPUs seldom changes
    const int cpu = current_cpu();
    if (cpu == caller_cpu && ++calls_placed % CHECK_INTERVAL) return;
    std::vector<int> cpus = allowed_cpus();
    if (cpu == caller_cpu && cpus == caller_cpus) return;
    caller_cpu = cpu;
    caller_cpus = cpus;
    if (cpus.size() > 1) std::erase(cpus, cpu);
    if (!cpus.empty())
      for (Worker& w : workers) restrict_to(w.thread, cpus);
  }

  void wake(Worker& w) {
    w.calls.fetch_add(1, std::memory_order_release);
    w.calls.notify_one();
  }

  void end() {
    stop = true;
    for (Worker& w : workers) wake(w);
    for (Worker& w : workers)
      if (w.thread.joinable()) w.thread.join();
  }

  void work(int thread) {
    const FlushDenormals flush;
    for (unsigned seen = 0;;) {
      wait_until(worker(thread).calls, spin, [&](unsigned now) { return now != seen; });
      ++seen;
      if (stop) return;
      call(data, thread);
      if (busy.fetch_sub(1, std::memory_order_acq_rel) == 1) busy.notify_one();
    }
  }
};

void Barrier::wait() {
  if (count_ <= 1) return;
  const unsigned round = round_.load(std::memory_order_acquire);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == count_) {
    arrived_.store(0, std::memory_order_relaxed);
    round_.fetch_add(1, std::memory_order_release);
    round_.notify_all();
  } else {
    wait_until(round_, spin_, [round](unsigned now) { return now != round; });
  }
}

ThreadPool::ThreadPool(int size) : size_(size) {}
ThreadPool::~ThreadPool() = default;

void ThreadPool::forget_threads() {
  (void)workers_.release();
  claimed_ = false;
  AtWork::total = 0;
}

ThreadPool::Claim::Claim(ThreadPool& pool, int wanted) : pool_(pool) {
  const int free = pool.size_ - AtWork::total.load(std::memory_order_relaxed);
  wanted = std::min(wanted, free);
  if (wanted > 1 && !pool.claimed_.exchange(true, std::memory_order_acquire)) threads_ = wanted;
}
ThreadPool::Claim::~Claim() {
  if (threads_ > 1) pool_.claimed_.store(false, std::memory_order_release);
}

// Threads spin only if each has its own core. Otherwise a spinning thread would take time from a working one.
bool ThreadPool::spins() const {
  if (workers_) return workers_->spin;
  const std::size_t cpus = allowed_cpus().size();
  return static_cast<std::size_t>(size_) <= (cpus ? cpus : std::thread::hardware_concurrency());
}

int ThreadPool::threads_for(double flops, std::int64_t parts, const ThreadLimit& limit) const {
  const double worthwhile = std::min<double>(1 + flops / limit.flops_per_thread, static_cast<double>(parts));
  return static_cast<int>(std::clamp<double>(worthwhile, 1, limit.most));
}

void ThreadPool::run(int count, void (*call)(void*, int), void* data) {
  if (!workers_) workers_ = std::make_unique<Workers>(size_, spins());
  Workers& w = *workers_;
  w.keep_off_caller();
  w.call = call;
  w.data = data;
  w.busy.store(static_cast<unsigned>(count - 1), std::memory_order_relaxed);
  for (int i = 1; i < count; ++i) w.wake(w.worker(i));  // the other workers stay asleep
  call(data, 0);
  wait_until(w.busy, w.spin, [](unsigned left) { return left == 0; });
}

}  // namespace vaefast
