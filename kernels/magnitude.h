// Magnitude: the largest one of a block. Internal linkage for the reason given in numbers.h.
#ifndef QUANTD_MAGNITUDE_H_
#define QUANTD_MAGNITUDE_H_

#include "numbers.h"

namespace quantd {
namespace {

// The bits of the largest magnitude among x (kCount): bits are in the order of the numbers, and
// the largest of them is the same in any order, so the compiler may make vectors of the loop.
template <int kCount>
inline uint32_t LargestMagnitude(const float* x) {
  uint32_t most = 0;
  for (int i = 0; i < kCount; ++i) {
    const uint32_t bits = BitsOf(x[i]) & 0x7FFFFFFFu;
    most = bits > most ? bits : most;
  }
  return most;
}

}  // namespace
}  // namespace quantd

#endif
