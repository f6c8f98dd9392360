// Finds the fastest number of threads for a job that is repeated many times.
#pragma once

#include <algorithm>
#include <bit>
#include <limits>

namespace vaefast {

// The gain from more threads depends on how fast their cores exchange data. No system reports this, and in a virtual
// machine it changes when the virtual CPUs move. The first of every 1024 runs are therefore trials: four with all
// threads, then four with each smaller power of two, down to one thread. The other runs use as many threads as the
// fastest trial did.
class ThreadTrial {
 public:
  explicit ThreadTrial(int most) : most_(most) {}

  // Returns the number of threads for the next run.
  int threads() const { return run_ < TRIES * candidates() ? candidate() : best_; }

  // Records the duration of that run.
  void record(double seconds) {
    if (run_ == 0) least_ = std::numeric_limits<double>::infinity();
    if (run_ < TRIES * candidates() && seconds < least_) {
      least_ = seconds;
      best_ = candidate();
    }
    run_ = (run_ + 1) % PERIOD;
  }

 private:
  static constexpr int TRIES = 4, PERIOD = 1024;  // runs

  int candidates() const { return std::bit_width(static_cast<unsigned>(most_ - 1)) + 1; }
  int candidate() const { return std::min(1 << (candidates() - 1 - run_ / TRIES), most_); }

  int most_, best_ = 1;
  int run_ = 0;       // index in the period
  double least_ = 0;  // seconds of the fastest trial run
};

}  // namespace vaefast
