// Stopwatch: seconds since it was made.
#ifndef QUANTD_STOPWATCH_H_
#define QUANTD_STOPWATCH_H_

#include <time.h>

#include <chrono>

namespace quantd {

// As a clock on the wall shows them.
class Stopwatch {
 public:
  double Seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// Those in which this thread had a core: what other programs do is not in them. Asking is a system
// call, too slow for anything shorter than a job.
class CpuStopwatch {
 public:
  double Seconds() const { return Now() - start_; }

 private:
  static double Now() {
    struct timespec now;
    if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) != 0) return 0;
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
  }

  const double start_ = Now();
};

}  // namespace quantd

#endif
