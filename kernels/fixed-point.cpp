#include "fixed-point.h"

#include <string.h>

namespace quantd {
namespace {

__extension__ using Wide = unsigned __int128;

constexpr int kMantissaBits = 52;
constexpr int kExponentMask = 0x7FF;
// A double is mantissa * 2^(exponent - 1075); 64 bits of fraction are to be kept.
constexpr int kExponentOfOne = 1075 - 64;

Wide FixedPoint(double sum) {
  uint64_t bits;
  memcpy(&bits, &sum, sizeof bits);
  const int exponent = static_cast<int>(bits >> kMantissaBits) & kExponentMask;
  const uint64_t fraction = bits & ((uint64_t{1} << kMantissaBits) - 1);
  // Subnormal numbers, whose exponent is 1, are far below the last bit.
  if (exponent == 0) return 0;
  const uint64_t mantissa = fraction | uint64_t{1} << kMantissaBits;
  const int shift = exponent - kExponentOfOne;
  if (shift >= 0) return static_cast<Wide>(mantissa) << shift;
  // Less than half of the last bit.
  if (shift < -kMantissaBits - 1) return 0;
  const uint64_t whole = mantissa >> -shift;
  const uint64_t rest = mantissa & ((uint64_t{1} << -shift) - 1);
  const uint64_t half = uint64_t{1} << (-shift - 1);
  return whole + (rest > half || (rest == half && (whole & 1) != 0) ? 1 : 0);
}

}  // namespace

bool AddFixedPoint(const double* sums, size_t count, uint8_t* accumulators) {
  for (size_t i = 0; i < count; ++i) {
    // Written so that NaN fails too.
    if (!(sums[i] >= 0.0 && sums[i] < 0x1p62)) return false;
  }
  for (size_t i = 0; i < count; ++i) {
    Wide total;
    memcpy(&total, accumulators + i * kFixedPointBytes, sizeof total);
    total += FixedPoint(sums[i]);
    memcpy(accumulators + i * kFixedPointBytes, &total, sizeof total);
  }
  return true;
}

}  // namespace quantd
