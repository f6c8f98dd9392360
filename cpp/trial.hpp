// Whether work that is done over and over is worth several threads.
#pragma once

#include <algorithm>

namespace vaefast {

// What threads bring depends on how fast their cores exchange data, which no system tells and which, in a virtual
// machine, changes as its CPUs move. So a few runs in a thousand are made by one thread, a few by several, and the
// faster way has the others.
class ThreadTrial {
 public:
  // Whether the next run is to be made by several.
  bool several() const { return run_ < 2 * TRIES ? run_ >= TRIES : several_; }

  // What that run took.
  void took(double seconds) {
    if (run_ < 2 * TRIES) {
      double& least = least_[run_ / TRIES];
      least = run_ % TRIES ? std::min(least, seconds) : seconds;
    }
    ++run_;
    if (run_ == 2 * TRIES) several_ = least_[1] < least_[0];
    if (run_ == PERIOD) run_ = 0;
  }

 private:
  static constexpr int TRIES = 4, PERIOD = 1024;  // runs

  int run_ = 0;               // of the period
  bool several_ = true;       // what the last trial said
  double least_[2] = {0, 0};  // seconds, of one thread and of several
};

}  // namespace vaefast
