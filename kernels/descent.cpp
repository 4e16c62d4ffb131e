// Descent: Q3_K, whose levels are found by coordinate descent, one element after the other.
//
// The order of the float operations is the promise (docs/quantization.md): one binary32 rounding
// per written operation, sums from +0 in ascending order.
#include "families.h"
#include "numbers.h"
#include "packing.h"

namespace quantd::QUANTD_ISA {
namespace {

constexpr int kCount = 16;
constexpr int kLevels = 4;
constexpr int kSweepsMax = 5;
// Below this a sub-block counts as zero.
constexpr float kTiny = 1e-15f;

struct Sums {
  float xl;  // Sum of weight * x * level.
  float ll;  // Sum of weight * level * level.
};

// Gives every element in turn its best level while the others stand still.
bool Sweep(const float* x, int* levels, Sums& sums) {
  bool changed = false;
  for (int i = 0; i < kCount; ++i) {
    const float w = x[i] * x[i];
    const float level = static_cast<float>(levels[i]);
    float xl = sums.xl - w * x[i] * level;
    if (!(xl > 0.0f)) continue;
    float ll = sums.ll - w * level * level;
    const int next = Clamp(Nearest(x[i] * ll / xl), -kLevels, kLevels - 1);
    if (next == levels[i]) continue;
    xl += w * x[i] * static_cast<float>(next);
    ll += w * static_cast<float>(next) * static_cast<float>(next);
    if (ll > 0.0f && xl * xl * sums.ll > sums.xl * sums.xl * ll) {
      levels[i] = next;
      sums = {xl, ll};
      changed = true;
    }
  }
  return changed;
}

// stored (16), offset by 4, but all 0 in a sub-block that counts as zero; returns the scale.
float FitDescent(const float* x, uint8_t* stored) {
  float most = 0.0f;
  float extreme = 0.0f;
  for (int i = 0; i < kCount; ++i) {
    if (Magnitude(x[i]) > most) {
      most = Magnitude(x[i]);
      extreme = x[i];
    }
  }
  if (most < kTiny) {
    memset(stored, 0, kCount);
    return 0.0f;
  }
  const float inverse = static_cast<float>(-kLevels) / extreme;
  int levels[kCount];
  Sums sums = {0.0f, 0.0f};
  for (int i = 0; i < kCount; ++i) {
    levels[i] = Clamp(Nearest(inverse * x[i]), -kLevels, kLevels - 1);
    const float w = x[i] * x[i];
    const float level = static_cast<float>(levels[i]);
    sums.xl += w * x[i] * level;
    sums.ll += w * level * level;
  }
  for (int sweep = 0; sweep < kSweepsMax; ++sweep) {
    if (!Sweep(x, levels, sums)) break;
  }
  for (int i = 0; i < kCount; ++i) stored[i] = static_cast<uint8_t>(levels[i] + kLevels);
  return sums.ll > 0.0f ? sums.xl / sums.ll : 0.0f;
}

// codes (16), 6 bits each, offset by 32; returns the block's scale as it is stored.
float EncodeScales(const float* fits, uint8_t* codes, uint8_t* scale_into) {
  float most = 0.0f;
  float extreme = 0.0f;
  for (int j = 0; j < 16; ++j) {
    if (Magnitude(fits[j]) > most) {
      most = Magnitude(fits[j]);
      extreme = fits[j];
    }
  }
  if (extreme == 0.0f) {
    memset(codes, 0, 16);
    return StoreHalf(scale_into, 0.0f);
  }
  const float inverse = -32.0f / extreme;
  for (int j = 0; j < 16; ++j) {
    const int8_t code = static_cast<int8_t>(Nearest(inverse * fits[j]));
    codes[j] = static_cast<uint8_t>(Clamp(code, -32, 31) + 32);
  }
  return StoreHalf(scale_into, 1.0f / inverse);
}

void BlockQ3_K(const float* x, uint8_t* block) {
  uint8_t levels[256];
  float fits[16];
  for (int j = 0; j < 16; ++j) fits[j] = FitDescent(x + 16 * j, levels + 16 * j);
  uint8_t codes[16];
  const float block_scale = EncodeScales(fits, codes, block + 108);
  PackSixBits(codes, block + 96);
  for (int j = 0; j < 16; ++j) {
    // A sub-block whose stored scale is 0 keeps the levels of its fit.
    const float scale = block_scale * static_cast<float>(codes[j] - 32);
    if (scale == 0.0f) continue;
    for (int i = 16 * j; i < 16 * j + 16; ++i) {
      levels[i] = static_cast<uint8_t>(Clamp(Nearest(x[i] / scale), -kLevels, kLevels - 1) + 4);
    }
  }
  PackBits256(levels, 2, block);
  PackPairs256(levels, block + 32);
}

}  // namespace

size_t QuantizeQ3_K(const float* values, size_t rows, size_t columns, const float*,
                    uint8_t* into) {
  for (size_t b = 0; b < rows * columns / 256; ++b) BlockQ3_K(values + 256 * b, into + 110 * b);
  return rows * columns;
}

}  // namespace quantd::QUANTD_ISA
