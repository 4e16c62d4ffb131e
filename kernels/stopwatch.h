// Stopwatch: wall seconds since it was made.
#ifndef QUANTD_STOPWATCH_H_
#define QUANTD_STOPWATCH_H_

#include <chrono>

namespace quantd {

class Stopwatch {
 public:
  double Seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace quantd

#endif
