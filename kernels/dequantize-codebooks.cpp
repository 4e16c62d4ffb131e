// Dequantize, codebooks: groups of 4 or 8 elements are points of a grid, with signs or a shift.
#include "dequantize.h"

#include "codebook-grids.h"
#include "numbers.h"

namespace quantd::QUANTD_ISA {
namespace {

inline float HalfAt(const uint8_t* from) { return FloatFromHalf(LoadU16(from)); }

inline uint32_t WordAt(const uint8_t* from) {
  uint32_t word;
  memcpy(&word, from, sizeof word);
  return word;
}

// A grid with its coordinates spelled out, one byte each.
template <int kPoints, int kGroup>
struct Points {
  int8_t at[kPoints][kGroup];
};

// values[level]: what a level of the grid's codes stands for.
template <int kPoints, int kGroup, int kLevels>
constexpr Points<kPoints, kGroup> Spell(const uint16_t (&codes)[kPoints],
                                        const int8_t (&values)[kLevels]) {
  constexpr int kBits = kGroup == 8 ? 2 : 3;
  Points<kPoints, kGroup> points = {};
  for (int p = 0; p < kPoints; ++p) {
    for (int i = 0; i < kGroup; ++i) {
      points.at[p][i] = values[(codes[p] >> kBits * i) & ((1 << kBits) - 1)];
    }
  }
  return points;
}

constexpr int8_t kIq2Values[3] = {8, 25, 43};
constexpr int8_t kIq3XxsValues[8] = {4, 12, 20, 28, 36, 44, 52, 62};
constexpr int8_t kIq3SValues[8] = {1, 3, 5, 7, 9, 11, 13, 15};
constexpr int8_t kIq1Values[3] = {-1, 0, 1};

constexpr auto kIq2XxsPoints = Spell<256, 8>(kIq2XxsGrid, kIq2Values);
constexpr auto kIq2XsPoints = Spell<512, 8>(kIq2XsGrid, kIq2Values);
constexpr auto kIq2SPoints = Spell<1024, 8>(kIq2SGrid, kIq2Values);
constexpr auto kIq3XxsPoints = Spell<256, 4>(kIq3XxsGrid, kIq3XxsValues);
constexpr auto kIq3SPoints = Spell<512, 4>(kIq3SGrid, kIq3SValues);
constexpr auto kIq1Points = Spell<2048, 8>(kIq1Grid, kIq1Values);

// The eighth sign makes their number even.
inline uint32_t EightSigns(uint32_t seven) {
  return seven | (static_cast<uint32_t>(__builtin_popcount(seven)) & 1u) << 7;
}

// Bit i of `signs` negates element i: as a bit, because a branch would guess wrong half of the time.
template <int kGroup>
inline void ScalePoint(const int8_t (&point)[kGroup], float scale, uint32_t signs, float* into) {
  for (int i = 0; i < kGroup; ++i) {
    into[i] = FloatOf(BitsOf(scale * static_cast<float>(point[i])) ^ (signs >> i & 1u) << 31);
  }
}

// Two points of four elements share a byte of signs.
inline void ScaleTwoPoints(const int8_t (&first)[4], const int8_t (&second)[4], float scale,
                           uint32_t signs, float* into) {
  ScalePoint(first, scale, signs, into);
  ScalePoint(second, scale, signs >> 4, into + 4);
}

// IQ1: every point of a group is shifted by an eighth, up or down.
inline void ShiftPoint(uint32_t index, float scale, bool down, float* into) {
  const float shift = down ? -0.125f : 0.125f;
  for (int i = 0; i < 8; ++i) {
    into[i] = scale * (static_cast<float>(kIq1Points.at[index][i]) + shift);
  }
}

inline float QuarterScale(float scale, uint32_t nibble) {
  return scale * (0.5f + static_cast<float>(nibble)) * 0.25f;
}

}  // namespace

// 32 elements: four indices in a word; four times seven signs and the scale in the next.
void DequantizeIQ2_XXS(const uint8_t* blocks, size_t count, float* into) {
  for (size_t run = 0; run < count / 32; ++run) {
    const uint8_t* block = blocks + 66 * (run / 8);
    const uint8_t* indices = block + 2 + 8 * (run % 8);
    const uint32_t word = WordAt(indices + 4);
    const float scale = QuarterScale(HalfAt(block), word >> 28);
    for (int k = 0; k < 4; ++k, into += 8) {
      ScalePoint(kIq2XxsPoints.at[indices[k]], scale, EightSigns(word >> 7 * k & 127u), into);
    }
  }
}

// 16 elements: two words of a 9-bit index and seven signs; the scales stand at the end.
void DequantizeIQ2_XS(const uint8_t* blocks, size_t count, float* into) {
  for (size_t run = 0; run < count / 16; ++run) {
    const uint8_t* block = blocks + 74 * (run / 16);
    const size_t j = run % 16;
    const float scale = QuarterScale(HalfAt(block), block[66 + j / 2] >> 4 * (j % 2) & 15u);
    for (int k = 0; k < 2; ++k, into += 8) {
      const uint32_t word = LoadU16(block + 2 + 4 * j + 2 * k);
      ScalePoint(kIq2XsPoints.at[word & 511u], scale, EightSigns(word >> 9), into);
    }
  }
}

// 16 elements: two 10-bit indices, whose high bits stand apart, and two bytes of signs.
void DequantizeIQ2_S(const uint8_t* blocks, size_t count, float* into) {
  for (size_t run = 0; run < count / 16; ++run) {
    const uint8_t* block = blocks + 82 * (run / 16);
    const size_t j = run % 16;
    const float scale = QuarterScale(HalfAt(block), block[74 + j / 2] >> 4 * (j % 2) & 15u);
    for (size_t group = 2 * j; group < 2 * j + 2; ++group, into += 8) {
      const uint32_t high = block[66 + group / 4] >> 2 * (group % 4) & 3u;
      ScalePoint(kIq2SPoints.at[block[2 + group] | high << 8], scale, block[34 + group], into);
    }
  }
}

// 32 elements: eight indices; four times seven signs and the scale in a word further on.
void DequantizeIQ3_XXS(const uint8_t* blocks, size_t count, float* into) {
  for (size_t run = 0; run < count / 32; ++run) {
    const uint8_t* block = blocks + 98 * (run / 8);
    const uint8_t* indices = block + 2 + 8 * (run % 8);
    const uint32_t word = WordAt(block + 66 + 4 * (run % 8));
    const float scale = HalfAt(block) * (0.5f + static_cast<float>(word >> 28)) * 0.5f;
    for (int k = 0; k < 4; ++k, into += 8) {
      ScaleTwoPoints(kIq3XxsPoints.at[indices[2 * k]], kIq3XxsPoints.at[indices[2 * k + 1]], scale,
                     EightSigns(word >> 7 * k & 127u), into);
    }
  }
}

// 32 elements: eight 9-bit indices, whose ninth bits share a byte, and four bytes of signs.
void DequantizeIQ3_S(const uint8_t* blocks, size_t count, float* into) {
  for (size_t run = 0; run < count / 32; ++run) {
    const uint8_t* block = blocks + 110 * (run / 8);
    const size_t j = run % 8;
    const uint32_t nibble = block[106 + j / 2] >> 4 * (j % 2) & 15u;
    const float scale = HalfAt(block) * static_cast<float>(1 + 2 * nibble);
    const uint32_t ninth = block[66 + j];
    const auto point = [&](size_t k) -> const int8_t(&)[4] {
      return kIq3SPoints.at[block[2 + 8 * j + k] | (ninth >> k & 1u) << 8];
    };
    for (size_t k = 0; k < 4; ++k, into += 8) {
      ScaleTwoPoints(point(2 * k), point(2 * k + 1), scale, block[74 + 4 * j + k], into);
    }
  }
}

// 32 elements: four 11-bit indices; their high bits share a word with the scale and the shift.
void DequantizeIQ1_S(const uint8_t* blocks, size_t count, float* into) {
  for (size_t run = 0; run < count / 32; ++run) {
    const uint8_t* block = blocks + 50 * (run / 8);
    const size_t j = run % 8;
    const uint32_t word = LoadU16(block + 34 + 2 * j);
    const float scale = HalfAt(block) * static_cast<float>(2 * (word >> 12 & 7u) + 1);
    for (size_t k = 0; k < 4; ++k, into += 8) {
      const uint32_t index = block[2 + 4 * j + k] | (word >> 3 * k & 7u) << 8;
      ShiftPoint(index, scale, (word & 0x8000u) != 0, into);
    }
  }
}

// 16 elements: two 11-bit indices; a nibble each for the high bits and the shift. The scales are
// the low 12 bits of four words, whose top nibbles together are the half that scales them.
void DequantizeIQ1_M(const uint8_t* blocks, size_t count, float* into) {
  for (size_t run = 0; run < count / 16; ++run) {
    const uint8_t* block = blocks + 56 * (run / 16);
    const size_t j = run % 16;
    uint32_t half = 0;
    for (int w = 0; w < 4; ++w) half |= (LoadU16(block + 48 + 2 * w) >> 12 & 15u) << 4 * w;
    const uint32_t level = LoadU16(block + 48 + 2 * (j / 4)) >> 3 * (j % 4) & 7u;
    const float scale =
        FloatFromHalf(static_cast<uint16_t>(half)) * static_cast<float>(2 * level + 1);
    for (size_t k = 0; k < 2; ++k, into += 8) {
      const uint32_t nibble = block[32 + j] >> 4 * k & 15u;
      ShiftPoint(block[2 * j + k] | (nibble & 7u) << 8, scale, (nibble & 8u) != 0, into);
    }
  }
}

}  // namespace quantd::QUANTD_ISA
