// Levels: the values that the levels of the non-linear 4-bit formats stand for. Facts of the GGUF
// format (docs/quantization.md).
#ifndef QUANTD_LEVELS_H_
#define QUANTD_LEVELS_H_

#include <stdint.h>

#include "numbers.h"

namespace quantd {

// IQ4_NL and IQ4_XS: a curve, dense around 0.
inline constexpr int8_t kCurveLevels[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                            1,    13,   25,  38,  53,  69,  89,  113};

// MXFP4 and NVFP4: twice the numbers of E2M1, one sign bit, two of exponent, one of mantissa.
inline constexpr int8_t kE2M1Levels[16] = {0, 1,  2,  3,  4,  6,  8,  12,
                                           0, -1, -2, -3, -4, -6, -8, -12};

namespace {

// 2^(exponent - 128), half the number that E8M0 means because the levels are doubled. The two
// smallest are subnormal; 255, which E8M0 calls no number, is 2^127.
[[maybe_unused]] inline float FloatFromE8M0Half(uint32_t exponent) {
  return FloatOf(exponent < 2 ? 0x00200000u << exponent : (exponent - 1) << 23);
}

// Half the number that UE4M3 (no sign, four bits of exponent, three of mantissa) means. 127, no
// number there, is 0 here; bit 7 counts for nothing otherwise.
[[maybe_unused]] inline float FloatFromUE4M3Half(uint8_t byte) {
  if (byte == 0x7F) return 0.0f;
  const uint32_t exponent = (byte >> 3) & 15u;
  const float mantissa = static_cast<float>(byte & 7);
  // All of it is exact: powers of two and sums of few bits.
  if (exponent == 0) return mantissa * 0x1p-10f;
  return (1.0f + mantissa * 0.125f) * FloatOf((exponent + 119) << 23);
}

}  // namespace
}  // namespace quantd

#endif
