// Few bits: TQ1_0 and TQ2_0 (three levels, 256 elements), Q2_0 (three of four levels, 64 elements)
// and Q1_0 (two levels, 128 elements). None of them looks at importance.
//
// Elements meet only in their largest magnitude, which no order changes, so the loops run along a
// block and the compiler makes vectors of them. The mean of Q1_0 is a sum: there lanes are blocks.
#include "few-bits.h"

#include <string.h>

#include "block-lanes.h"
#include "lanes.h"
#include "magnitude.h"
#include "numbers.h"

namespace quantd::QUANTD_ISA {
namespace {

// Stores the largest magnitude of a block as its scale, and makes of each element the nearest of
// -1, 0, 1 (halves away from 0), plus 1. Up to 2^-128 the reciprocal is infinite, and what the
// reference then makes of every element is `lost`.
template <int kCount>
inline void RoundToThree(const float* x, uint8_t lost, uint8_t* scale_into, uint8_t* levels) {
  const float most = FloatOf(LargestMagnitude<kCount>(x));
  StoreU16(scale_into, HalfFromFloat(most));
  const float inverse = most != 0.0f ? 1.0f / most : 0.0f;
  if (BitsOf(inverse) == 0x7F800000u) {
    memset(levels, lost, kCount);
    return;
  }
  for (int i = 0; i < kCount; ++i) {
    const float share = x[i] * inverse;
    levels[i] = static_cast<uint8_t>(1 + (share >= 0.5f ? 1 : 0) - (share <= -0.5f ? 1 : 0));
  }
}

// 256 levels of 2 bits to 64 bytes: in each run of 128, byte l holds l, l + 32, l + 64, l + 96.
inline void PackPairs(const uint8_t* levels, uint8_t* into) {
  for (int half = 0; half < 2; ++half) {
    for (int l = 0; l < 32; ++l) {
      const uint8_t* run = levels + 128 * half;
      into[32 * half + l] = static_cast<uint8_t>((run[l] & 3) | (run[l + 32] & 3) << 2 |
                                                 (run[l + 64] & 3) << 4 | (run[l + 96] & 3) << 6);
    }
  }
}

// kTrits digits of base 3, the first the highest, as a fraction of 256, rounded up: a reader takes
// the digits out by multiplying. Byte m holds elements m, m + kWide, m + 2 * kWide and so on.
template <int kWide, int kTrits>
inline void PackTrits(const uint8_t* levels, uint8_t* into) {
  uint16_t digits[kWide];
  for (int m = 0; m < kWide; ++m) digits[m] = levels[m];
  for (int k = 1; k < 5; ++k) {
    for (int m = 0; m < kWide; ++m) {
      const int digit = k < kTrits ? levels[k * kWide + m] : 0;
      digits[m] = static_cast<uint16_t>(digits[m] * 3 + digit);
    }
  }
  for (int m = 0; m < kWide; ++m) {
    into[m] = static_cast<uint8_t>(static_cast<uint16_t>(digits[m] * 256 + 242) / 243);
  }
}

// W blocks of 128: their means, each a sum in ascending order down a lane of its own.
template <int W>
inline void BlocksQ1_0(const float* x, uint8_t* blocks) {
  const float* lanes[W];
  for (int l = 0; l < W; ++l) lanes[l] = x + 128 * l;
  Float<W> sum = Float<W>::Set(0.0f);
  for (int i = 0; i < 128; i += 4) {
    Float<W> four[4];
    LoadFour(lanes, i, four);
    for (const Float<W>& element : four) sum = sum + Magnitude(element);
  }
  float sums[W];
  sum.Store(sums);
  for (int l = 0; l < W; ++l) {
    uint8_t* const block = blocks + 18 * l;
    StoreU16(block, HalfFromFloat(sums[l] / 128.0f));
    for (int byte = 0; byte < 16; ++byte) {
      uint32_t bits = 0;
      // -0 counts as positive.
      for (int bit = 0; bit < 8; ++bit) {
        bits |= (x[128 * l + 8 * byte + bit] >= 0.0f ? 1u : 0u) << bit;
      }
      block[2 + byte] = static_cast<uint8_t>(bits);
    }
  }
}

}  // namespace

size_t QuantizeTQ1_0(const float* values, size_t rows, size_t columns, const float*,
                     uint8_t* into) {
  for (size_t b = 0; b < rows * columns / 256; ++b) {
    uint8_t levels[256];
    uint8_t* const block = into + 54 * b;
    RoundToThree<256>(values + 256 * b, 1, block + 52, levels);
    PackTrits<32, 5>(levels, block);
    PackTrits<16, 5>(levels + 160, block + 32);
    PackTrits<4, 4>(levels + 240, block + 48);
  }
  return rows * columns;
}

size_t QuantizeTQ2_0(const float* values, size_t rows, size_t columns, const float*,
                     uint8_t* into) {
  for (size_t b = 0; b < rows * columns / 256; ++b) {
    uint8_t levels[256];
    uint8_t* const block = into + 66 * b;
    RoundToThree<256>(values + 256 * b, 1, block + 64, levels);
    PackPairs(levels, block);
  }
  return rows * columns;
}

size_t QuantizeQ2_0(const float* values, size_t rows, size_t columns, const float*,
                    uint8_t* into) {
  for (size_t b = 0; b < rows * columns / 64; ++b) {
    uint8_t levels[64];
    uint8_t* const block = into + 18 * b;
    RoundToThree<64>(values + 64 * b, 0, block, levels);
    for (int byte = 0; byte < 16; ++byte) {
      const uint8_t* four = levels + 4 * byte;
      block[2 + byte] =
          static_cast<uint8_t>(four[0] | four[1] << 2 | four[2] << 4 | four[3] << 6);
    }
  }
  return rows * columns;
}

size_t QuantizeQ1_0(const float* values, size_t rows, size_t columns, const float*,
                    uint8_t* into) {
  const size_t count = rows * columns / 128;
  size_t b = 0;
  for (; b + kWidth <= count; b += kWidth) BlocksQ1_0<kWidth>(values + 128 * b, into + 18 * b);
  for (; b < count; ++b) BlocksQ1_0<1>(values + 128 * b, into + 18 * b);
  return rows * columns;
}

}  // namespace quantd::QUANTD_ISA
