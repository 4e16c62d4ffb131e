// Symmetric: blocks with a scale and no minimum. Levels run from -N to N - 1.
//
// The order of the float operations is the promise (docs/quantization.md): one binary32 rounding
// per written operation, sums from +0 in ascending order.
#include "families.h"
#include "numbers.h"
#include "packing.h"

namespace quantd::QUANTD_ISA {
namespace {

// Below this a block counts as zero.
constexpr float kTiny = 1e-15f;

// The value with the largest magnitude, with its sign; the first of equals.
template <int kCount>
inline float Extreme(const float* x) {
  float most = 0.0f;
  float value = 0.0f;
  for (int i = 0; i < kCount; ++i) {
    if (Magnitude(x[i]) > most) {
      most = Magnitude(x[i]);
      value = x[i];
    }
  }
  return value;
}

struct Projection {
  float with_values = 0.0f;  // Sum of weight * x * level.
  float with_levels = 0.0f;  // Sum of weight * level * level.
};

// How well the levels of `inverse_scale` explain x, weighted by x * x.
template <int kCount, int kLevels>
inline Projection Project(const float* x, float inverse_scale) {
  Projection sums;
  for (int i = 0; i < kCount; ++i) {
    const int level = Clamp(Nearest(inverse_scale * x[i]), -kLevels, kLevels - 1);
    const float w = x[i] * x[i];
    sums.with_values += w * x[i] * static_cast<float>(level);
    sums.with_levels += w * static_cast<float>(level) * static_cast<float>(level);
  }
  return sums;
}

template <int kCount, int kLevels>
inline void StoreLevels(const float* x, float inverse_scale, uint8_t* levels) {
  for (int i = 0; i < kCount; ++i) {
    const int level = Clamp(Nearest(inverse_scale * x[i]), -kLevels, kLevels - 1);
    levels[i] = static_cast<uint8_t>(kLevels + level);
  }
}

// Tries 19 scales around the one that maps the extreme to -N and keeps the first best.
// levels (kCount), offset by N; returns the scale, which may be negative.
template <int kCount, int kLevels>
float FitSymmetric(const float* x, uint8_t* levels) {
  const float extreme = Extreme<kCount>(x);
  if (Magnitude(extreme) < kTiny) {
    memset(levels, 0, kCount);
    return 0.0f;
  }
  float chosen = static_cast<float>(-kLevels) / extreme;
  const Projection first = Project<kCount, kLevels>(x, chosen);
  float scale = first.with_levels != 0.0f ? first.with_values / first.with_levels : 0.0f;
  float best = scale * first.with_values;
  for (int k = -9; k <= 9; ++k) {
    if (k == 0) continue;
    const float inverse = -(static_cast<float>(kLevels) + 0.1f * static_cast<float>(k)) / extreme;
    const Projection sums = Project<kCount, kLevels>(x, inverse);
    if (sums.with_levels > 0.0f &&
        sums.with_values * sums.with_values > best * sums.with_levels) {
      chosen = inverse;
      scale = sums.with_values / sums.with_levels;
      best = scale * sums.with_values;
    }
  }
  StoreLevels<kCount, kLevels>(x, chosen, levels);
  return scale;
}

// Q4_0 and Q5_0: the extreme maps to -N with the unrounded scale. levels (32), 0..2N-1.
template <int kLevels>
inline void RoundSymmetric(const float* x, uint8_t* scale_into, uint8_t* levels) {
  // A block of zeros has the scale 0 / -N = -0, which is stored as such.
  const float scale = Extreme<32>(x) / static_cast<float>(-kLevels);
  const float inverse = scale != 0.0f ? 1.0f / scale : 0.0f;
  StoreU16(scale_into, HalfFromFloat(scale));
  const float middle = static_cast<float>(kLevels) + 0.5f;
  for (int i = 0; i < 32; ++i) {
    const int level = TruncateToInt8(x[i] * inverse + middle);
    levels[i] = static_cast<uint8_t>(level < 2 * kLevels - 1 ? level : 2 * kLevels - 1);
  }
}

void BlockQ8_0(const float* x, uint8_t* block) {
  float most = 0.0f;
  for (int i = 0; i < 32; ++i) most = most > Magnitude(x[i]) ? most : Magnitude(x[i]);
  const float scale = most / 127.0f;
  const float inverse = scale != 0.0f ? 1.0f / scale : 0.0f;
  StoreU16(block, HalfFromFloat(scale));
  for (int i = 0; i < 32; ++i) {
    block[2 + i] = static_cast<uint8_t>(RoundAwayToInt8(x[i] * inverse));
  }
}

// 6-bit levels: low nibbles in 128 bytes, high pairs in 64; in each run of 128, elements l, l + 32,
// l + 64 and l + 96 share bytes.
void PackSixBitLevels(const uint8_t* levels, uint8_t* low, uint8_t* high) {
  for (int half = 0; half < 2; ++half) {
    for (int l = 0; l < 32; ++l) {
      const uint8_t* e = levels + 128 * half + l;
      low[64 * half + l] = static_cast<uint8_t>((e[0] & 15) | (e[64] & 15) << 4);
      low[64 * half + 32 + l] = static_cast<uint8_t>((e[32] & 15) | (e[96] & 15) << 4);
      high[32 * half + l] = static_cast<uint8_t>((e[0] >> 4) | (e[32] >> 4) << 2 |
                                                 (e[64] >> 4) << 4 | (e[96] >> 4) << 6);
    }
  }
}

// Levels again, from the scales as they are stored; a sub-block whose scale is 0 keeps its fit.
void RefineQ6_K(const float* x, float block_scale, const int8_t* scales, uint8_t* levels) {
  for (int j = 0; j < 16; ++j) {
    const float scale = block_scale * static_cast<float>(scales[j]);
    if (scale == 0.0f) continue;
    for (int i = 16 * j; i < 16 * j + 16; ++i) {
      levels[i] = static_cast<uint8_t>(Clamp(Nearest(x[i] / scale), -32, 31) + 32);
    }
  }
}

void BlockQ6_K(const float* x, uint8_t* block) {
  uint8_t levels[256];
  float fits[16];
  for (int j = 0; j < 16; ++j) fits[j] = FitSymmetric<16, 32>(x + 16 * j, levels + 16 * j);
  const float extreme = Extreme<16>(fits);
  if (Magnitude(extreme) < kTiny) {
    memset(block, 0, 210);
    return;
  }
  const float inverse = -128.0f / extreme;
  const float block_scale = StoreHalf(block + 208, 1.0f / inverse);
  int8_t scales[16];
  for (int j = 0; j < 16; ++j) {
    const int scale = Nearest(inverse * fits[j]);
    scales[j] = static_cast<int8_t>(scale < 127 ? scale : 127);
  }
  memcpy(block + 192, scales, 16);
  RefineQ6_K(x, block_scale, scales, levels);
  PackSixBitLevels(levels, block, block + 128);
}

}  // namespace

size_t QuantizeQ4_0(const float* values, size_t rows, size_t columns, const float*,
                    uint8_t* into) {
  for (size_t b = 0; b < rows * columns / 32; ++b) {
    uint8_t levels[32];
    uint8_t* block = into + 18 * b;
    RoundSymmetric<8>(values + 32 * b, block, levels);
    PackNibbles(levels, block + 2);
  }
  return rows * columns;
}

size_t QuantizeQ5_0(const float* values, size_t rows, size_t columns, const float*,
                    uint8_t* into) {
  for (size_t b = 0; b < rows * columns / 32; ++b) {
    uint8_t levels[32];
    uint8_t* block = into + 22 * b;
    RoundSymmetric<16>(values + 32 * b, block, levels);
    PackFifthBits(levels, block + 2);
    PackNibbles(levels, block + 6);
  }
  return rows * columns;
}

size_t QuantizeQ8_0(const float* values, size_t rows, size_t columns, const float*,
                    uint8_t* into) {
  for (size_t b = 0; b < rows * columns / 32; ++b) BlockQ8_0(values + 32 * b, into + 34 * b);
  return rows * columns;
}

size_t QuantizeQ6_K(const float* values, size_t rows, size_t columns, const float*,
                    uint8_t* into) {
  for (size_t b = 0; b < rows * columns / 256; ++b) BlockQ6_K(values + 256 * b, into + 210 * b);
  return rows * columns;
}

}  // namespace quantd::QUANTD_ISA
