// Affine: blocks with a scale and a minimum. Levels run from 0 to N.
//
// The order of the float operations is the promise (docs/quantization.md): one binary32 rounding
// per written operation, sums from +0 in ascending order.
#include "families.h"
#include "numbers.h"
#include "packing.h"

namespace quantd::QUANTD_ISA {
namespace {

constexpr float kFloatMax = 0x1.fffffep127f;

// The scales that are tried: (first + step * k + N) / range for k = 0..steps inclusive.
struct Search {
  float first;
  float step;
  int steps;
};

struct Affine {
  float scale;
  float minimum;  // What is subtracted: the negative of the lowest value, never below 0.
};

template <bool kAbsolute>
inline float Cost(float difference) {
  return kAbsolute ? Magnitude(difference) : difference * difference;
}

// Levels, and the weighted error of scale * level + minimum.
template <int kCount, int kLevels, bool kAbsolute>
inline float FirstGuess(const float* x, const float* w, float low, float inverse,
                        uint8_t* levels) {
  const float scale = 1.0f / inverse;
  float error = 0.0f;
  for (int i = 0; i < kCount; ++i) {
    const int level = Clamp(Nearest(inverse * (x[i] - low)), 0, kLevels);
    levels[i] = static_cast<uint8_t>(level);
    error += w[i] * Cost<kAbsolute>(scale * static_cast<float>(level) + low - x[i]);
  }
  return error;
}

// Weighted least squares of x over levels, and its search. w (kCount), levels (kCount).
// Each accepted candidate moves `low`, and the later candidates start from the moved one: the
// search is sequential in k.
template <int kCount, int kLevels, bool kAbsolute>
Affine FitAffine(const float* x, const float* w, const Search& search, uint8_t* levels) {
  float low = x[0];
  float high = x[0];
  float sum_w = w[0];
  float sum_x = sum_w * x[0];
  for (int i = 1; i < kCount; ++i) {
    if (x[i] < low) low = x[i];
    if (x[i] > high) high = x[i];
    sum_w += w[i];
    sum_x += w[i] * x[i];
  }
  if (low > 0.0f) low = 0.0f;
  if (high <= low) {
    memset(levels, 0, kCount);
    return {0.0f, -low};
  }
  const float first = static_cast<float>(kLevels) / (high - low);
  float scale = 1.0f / first;
  float error = FirstGuess<kCount, kLevels, kAbsolute>(x, w, low, first, levels);
  for (int k = 0; k <= search.steps; ++k) {
    const float inverse =
        (search.first + search.step * static_cast<float>(k) + static_cast<float>(kLevels)) /
        (high - low);
    uint8_t attempt[kCount];
    float sum_l = 0.0f;
    float sum_l2 = 0.0f;
    float sum_xl = 0.0f;
    for (int i = 0; i < kCount; ++i) {
      const int level = Clamp(Nearest(inverse * (x[i] - low)), 0, kLevels);
      attempt[i] = static_cast<uint8_t>(level);
      const float l = static_cast<float>(level);
      sum_l += w[i] * l;
      sum_l2 += w[i] * l * l;
      sum_xl += w[i] * l * x[i];
    }
    const float determinant = sum_w * sum_l2 - sum_l * sum_l;
    if (!(determinant > 0.0f)) continue;
    float try_scale = (sum_w * sum_xl - sum_x * sum_l) / determinant;
    float try_low = (sum_l2 * sum_x - sum_l * sum_xl) / determinant;
    if (try_low > 0.0f) {
      try_low = 0.0f;
      try_scale = sum_xl / sum_l2;
    }
    float try_error = 0.0f;
    for (int i = 0; i < kCount; ++i) {
      const float l = static_cast<float>(attempt[i]);
      try_error += w[i] * Cost<kAbsolute>(try_scale * l + try_low - x[i]);
    }
    if (try_error < error) {
      memcpy(levels, attempt, kCount);
      error = try_error;
      scale = try_scale;
      low = try_low;
    }
  }
  return {scale, -low};
}

// Q4_1 and Q5_1: the range of 32 values in N steps, with the unrounded scale. levels (32).
template <int kLevels>
inline void RoundAffine(const float* x, uint8_t* scales_into, uint8_t* levels) {
  float low = kFloatMax;
  float high = -kFloatMax;
  for (int i = 0; i < 32; ++i) {
    if (x[i] < low) low = x[i];
    if (x[i] > high) high = x[i];
  }
  const float scale = (high - low) / static_cast<float>(kLevels);
  const float inverse = scale != 0.0f ? 1.0f / scale : 0.0f;
  StoreU16(scales_into, HalfFromFloat(scale));
  StoreU16(scales_into + 2, HalfFromFloat(low));
  for (int i = 0; i < 32; ++i) {
    levels[i] = static_cast<uint8_t>(TruncateToInt8((x[i] - low) * inverse + 0.5f));
  }
}

template <int kCount>
inline float Largest(const float* values) {
  float largest = 0.0f;
  for (int i = 0; i < kCount; ++i) {
    if (values[i] > largest) largest = values[i];
  }
  return largest;
}

// Levels again, from scale and minimum as they are stored; a sub-block whose scale is 0 keeps
// the levels of its fit.
template <int kCount, int kLevels>
inline void Refine(const float* x, float scale, float minimum, uint8_t* levels) {
  if (scale == 0.0f) return;
  for (int i = 0; i < kCount; ++i) {
    levels[i] = static_cast<uint8_t>(Clamp(Nearest((x[i] + minimum) / scale), 0, kLevels));
  }
}

constexpr Search kSearchQ4_K = {-1.0f, 0.1f, 20};
constexpr Search kSearchQ5_K = {-0.5f, 0.1f, 15};
constexpr Search kSearchQ2_K = {-0.5f, 0.1f, 15};

// The weights of a sub-block of Q4_K or Q5_K: its root mean square plus each magnitude.
inline void WeighSubBlock(const float* x, float* w) {
  float squares = 0.0f;
  for (int i = 0; i < 32; ++i) squares += x[i] * x[i];
  const float mean = __builtin_sqrtf(squares / 32.0f);
  for (int i = 0; i < 32; ++i) w[i] = mean + Magnitude(x[i]);
}

// 6-bit codes of eight scales or minima, of which the largest becomes 63.
inline void EncodeSixBits(const float* fits, float largest, uint8_t* codes) {
  const float inverse = largest > 0.0f ? 63.0f / largest : 0.0f;
  for (int j = 0; j < 8; ++j) {
    const uint8_t code = static_cast<uint8_t>(Nearest(inverse * fits[j]));
    codes[j] = code < 63 ? code : 63;
  }
}

// The 16 bytes of scales at the head of a Q4_K or Q5_K block, and the levels (256).
template <int kLevels>
void FitSixBitBlock(const float* x, const Search& search, uint8_t* head, uint8_t* levels) {
  float scales[8];
  float minima[8];
  for (int j = 0; j < 8; ++j) {
    float w[32];
    WeighSubBlock(x + 32 * j, w);
    const Affine fit = FitAffine<32, kLevels, false>(x + 32 * j, w, search, levels + 32 * j);
    scales[j] = fit.scale;
    minima[j] = fit.minimum;
  }
  const float largest_scale = Largest<8>(scales);
  const float largest_minimum = Largest<8>(minima);
  uint8_t scale_codes[8];
  uint8_t minimum_codes[8];
  EncodeSixBits(scales, largest_scale, scale_codes);
  EncodeSixBits(minima, largest_minimum, minimum_codes);
  const float d = StoreHalf(head, largest_scale / 63.0f);
  const float dmin = StoreHalf(head + 2, largest_minimum / 63.0f);
  PackSixBitPairs(scale_codes, minimum_codes, head + 4);
  for (int j = 0; j < 8; ++j) {
    Refine<32, kLevels>(x + 32 * j, d * static_cast<float>(scale_codes[j]),
                        dmin * static_cast<float>(minimum_codes[j]), levels + 32 * j);
  }
}

// Bits 0 and 1 of a 5-bit group: element 64g + l is bit 2g of byte l, element 64g + 32 + l is
// bit 2g + 1, which is the order of PackBits256.
void BlockQ5_K(const float* x, uint8_t* block) {
  uint8_t levels[256];
  FitSixBitBlock<31>(x, kSearchQ5_K, block, levels);
  PackBits256(levels, 4, block + 16);
  PackNibbles256(levels, block + 48);
}

void BlockQ4_K(const float* x, uint8_t* block) {
  uint8_t levels[256];
  FitSixBitBlock<15>(x, kSearchQ4_K, block, levels);
  PackNibbles256(levels, block + 16);
}

// 4-bit codes of sixteen scales or minima, and the step between codes as it is stored.
inline float EncodeFourBits(const float* fits, uint8_t* codes, uint8_t* step_into) {
  const float largest = Largest<16>(fits);
  if (!(largest > 0.0f)) {
    memset(codes, 0, 16);
    return StoreHalf(step_into, 0.0f);
  }
  const float inverse = 15.0f / largest;
  for (int j = 0; j < 16; ++j) codes[j] = static_cast<uint8_t>(Nearest(inverse * fits[j]));
  return StoreHalf(step_into, largest / 15.0f);
}

void BlockQ2_K(const float* x, uint8_t* block) {
  uint8_t levels[256];
  float scales[16];
  float minima[16];
  for (int j = 0; j < 16; ++j) {
    float w[16];
    for (int i = 0; i < 16; ++i) w[i] = Magnitude(x[16 * j + i]);
    const Affine fit = FitAffine<16, 3, true>(x + 16 * j, w, kSearchQ2_K, levels + 16 * j);
    scales[j] = fit.scale;
    minima[j] = fit.minimum;
  }
  uint8_t scale_codes[16];
  uint8_t minimum_codes[16];
  const float d = EncodeFourBits(scales, scale_codes, block + 80);
  const float dmin = EncodeFourBits(minima, minimum_codes, block + 82);
  for (int j = 0; j < 16; ++j) {
    block[j] = static_cast<uint8_t>(scale_codes[j] | minimum_codes[j] << 4);
    Refine<16, 3>(x + 16 * j, d * static_cast<float>(block[j] & 15),
                  dmin * static_cast<float>(block[j] >> 4), levels + 16 * j);
  }
  PackPairs256(levels, block + 16);
}

}  // namespace

size_t QuantizeQ4_1(const float* values, size_t rows, size_t columns, const float*,
                    uint8_t* into) {
  for (size_t b = 0; b < rows * columns / 32; ++b) {
    uint8_t levels[32];
    uint8_t* block = into + 20 * b;
    RoundAffine<15>(values + 32 * b, block, levels);
    for (int i = 0; i < 32; ++i) {
      if (static_cast<int8_t>(levels[i]) > 15) levels[i] = 15;
    }
    PackNibbles(levels, block + 4);
  }
  return rows * columns;
}

size_t QuantizeQ5_1(const float* values, size_t rows, size_t columns, const float*,
                    uint8_t* into) {
  for (size_t b = 0; b < rows * columns / 32; ++b) {
    uint8_t levels[32];
    uint8_t* block = into + 24 * b;
    RoundAffine<31>(values + 32 * b, block, levels);
    PackFifthBits(levels, block + 4);
    PackNibbles(levels, block + 8);
  }
  return rows * columns;
}

size_t QuantizeQ2_K(const float* values, size_t rows, size_t columns, const float*,
                    uint8_t* into) {
  for (size_t b = 0; b < rows * columns / 256; ++b) BlockQ2_K(values + 256 * b, into + 84 * b);
  return rows * columns;
}

size_t QuantizeQ4_K(const float* values, size_t rows, size_t columns, const float*,
                    uint8_t* into) {
  for (size_t b = 0; b < rows * columns / 256; ++b) BlockQ4_K(values + 256 * b, into + 144 * b);
  return rows * columns;
}

size_t QuantizeQ5_K(const float* values, size_t rows, size_t columns, const float*,
                    uint8_t* into) {
  for (size_t b = 0; b < rows * columns / 256; ++b) BlockQ5_K(values + 256 * b, into + 176 * b);
  return rows * columns;
}

}  // namespace quantd::QUANTD_ISA
