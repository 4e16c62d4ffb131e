// Microscale: MXFP4 (32 elements under a power of two) and NVFP4 (16 elements under a float of
// eight bits). Neither looks at importance.
//
// Elements meet only in their largest magnitude, which no order changes, so the loops run along a
// block and the compiler makes vectors of them.
#include "microscale.h"

#include "levels.h"
#include "magnitude.h"
#include "numbers.h"

namespace quantd::QUANTD_ISA {
namespace {

// levels[i]: the first of the sixteen levels, times the scale, that is nearest to x[i]. Only those
// of the sign of x can win against 0, so the magnitudes are compared and the sign comes last; the
// differences are rounded, which lets the earlier of two levels win where both look alike.
template <int kCount>
inline void ChooseLevels(const float* x, float scale, int32_t* levels) {
  for (int i = 0; i < kCount; ++i) {
    const float magnitude = Magnitude(x[i]);
    float least = magnitude;
    int32_t level = 0;
#pragma GCC unroll 8
    for (int k = 1; k < 8; ++k) {
      const float distance = Magnitude(static_cast<float>(kE2M1Levels[k]) * scale - magnitude);
      level = distance < least ? k : level;
      least = distance < least ? distance : least;
    }
    // The sign bit, unless the level is 0.
    levels[i] = level | (static_cast<int32_t>(BitsOf(x[i]) >> 31) & (level > 0 ? 1 : 0)) << 3;
  }
}

// Elements j and j + kBytes in the low and the high nibble of byte j.
template <int kBytes>
inline void PackPairs(const int32_t* levels, uint8_t* into) {
  for (int j = 0; j < kBytes; ++j) {
    into[j] = static_cast<uint8_t>(levels[j] | levels[j + kBytes] << 4);
  }
}

// What floor(log2f(x)) of the reference is, for x > 0 given as its bits. Its log2f rounds to a
// float, so a number a hair below a power of two counts as that power already: the last `early`
// ones do, twice as many whenever the logarithm has a bit more, half as many for each bit that a
// subnormal lacks. Measured on glibc: every subnormal, and the last 4096 numbers below each power.
inline int FloorLog2(uint32_t bits) {
  const bool normal = bits >= 0x00800000u;
  const uint32_t significand = normal ? (bits & 0x007FFFFFu) | 0x00800000u : bits;
  const int top = 31 - __builtin_clz(significand);
  const int exponent = normal ? static_cast<int>(bits >> 23) - 127 : top - 149;
  const int magnitude = exponent < 0 ? ~exponent : exponent;
  const int magnitude_top = 31 - __builtin_clz(static_cast<uint32_t>(magnitude | 1));
  const uint32_t early = 88u >> (7 - magnitude_top) >> (23 - top);
  return significand >= (2u << top) - early ? exponent + 1 : exponent;
}

// The largest level is 1.5 * 2^3 (doubled, as levels are), so the largest magnitude's exponent
// less 2 makes the scale. One byte remains of it: what is too small for that wraps around.
inline uint8_t ChooseE8M0(uint32_t most) {
  return static_cast<uint8_t>(most == 0 ? 0 : FloorLog2(most) - 2 + 127);
}

// A magnitude to UE4M3, at most 448: the fourth bit of the mantissa rounds, what is below it does
// not count. Subnormal scales have at most seven levels, so the smallest normal one is not reached
// from below.
inline uint8_t UE4M3FromFloat(float value) {
  if (!(value > 0.0f)) return 0;
  const uint32_t bits = BitsOf(value > 448.0f ? 448.0f : value);
  int exponent = static_cast<int>(bits >> 23) - 127 + 7;
  if (exponent <= 0) {
    const int level = static_cast<int>(FloatOf(bits) * 512.0f + 0.5f);
    return static_cast<uint8_t>(level < 7 ? level : 7);
  }
  constexpr uint8_t kLargest = 0x7E;
  if (exponent >= 15) return kLargest;
  uint32_t mantissa = ((bits >> 20) & 7u) + ((bits >> 19) & 1u);
  if (mantissa == 8) {
    mantissa = 0;
    exponent += 1;
    if (exponent >= 15) return kLargest;
  }
  return static_cast<uint8_t>(static_cast<uint32_t>(exponent) << 3 | mantissa);
}

}  // namespace

// The exponent, then 16 bytes: elements j and j + 16 in the low and the high nibble of byte j.
size_t QuantizeMXFP4(const float* values, size_t rows, size_t columns, const float*,
                     uint8_t* into) {
  for (size_t b = 0; b < rows * columns / 32; ++b) {
    const float* x = values + 32 * b;
    uint8_t* const block = into + 17 * b;
    int32_t levels[32];
    block[0] = ChooseE8M0(LargestMagnitude<32>(x));
    ChooseLevels<32>(x, FloatFromE8M0Half(block[0]), levels);
    PackPairs<16>(levels, block + 1);
  }
  return rows * columns;
}

// Four scales, then four runs of 8 bytes: elements j and j + 8 of a run in byte j.
size_t QuantizeNVFP4(const float* values, size_t rows, size_t columns, const float*,
                     uint8_t* into) {
  for (size_t run = 0; run < rows * columns / 16; ++run) {
    const float* x = values + 16 * run;
    uint8_t* const block = into + 36 * (run / 4);
    uint8_t* const nibbles = block + 4 + 8 * (run % 4);
    const uint8_t scale = UE4M3FromFloat(FloatOf(LargestMagnitude<16>(x)) / 6.0f);
    block[run % 4] = scale;
    int32_t levels[16];
    ChooseLevels<16>(x, FloatFromUE4M3Half(scale), levels);
    PackPairs<8>(levels, nibbles);
  }
  return rows * columns;
}

}  // namespace quantd::QUANTD_ISA
