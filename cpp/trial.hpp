// How many threads bring the most, for work that is done over and over.
#pragma once

#include <algorithm>
#include <bit>
#include <limits>

namespace vaefast {

// What threads bring depends on how fast their cores exchange data, which no system tells and which, in a virtual
// machine, changes as its CPUs move. So a few runs in a thousand are made by all threads, then by ..., 4, 2 and 1, and
// the others by as many as made the fastest of those.
class ThreadTrial {
 public:
  explicit ThreadTrial(int most) : most_(most) {}

  // For the next run.
  int threads() const { return run_ < TRIES * candidates() ? candidate() : best_; }

  // What that run took.
  void took(double seconds) {
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
  int run_ = 0;       // of the period
  double least_ = 0;  // seconds, of the trials' runs
};

}  // namespace vaefast
