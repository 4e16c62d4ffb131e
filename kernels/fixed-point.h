// Fixed point: sums of squares as whole numbers, DET-1.md §12, so that their order no longer counts.
#ifndef QUANTD_FIXED_POINT_H_
#define QUANTD_FIXED_POINT_H_

#include <stddef.h>
#include <stdint.h>

namespace quantd {

// A whole number of 128 bits, little-endian two's complement: 64 of them are the fraction.
inline constexpr size_t kFixedPointBytes = 16;

// Adds sums (count), each rounded to nearest even, to as many accumulators, at any alignment. Adds
// nothing and returns false if one is not a sum of squares below 2^62: the chunk is bad.
bool AddFixedPoint(const double* sums, size_t count, uint8_t* accumulators);

}  // namespace quantd

#endif
