// Words: how tokens are packed into panels, and rows of weights are laid out for a tile.
//
//   rows of binary32 ──PackPanel──▶ [k][lanes];  rows of weights ──Layout::Fill──▶ [row][k]
//
// A layout says what a word is (products-tile.h) and in which order the words of k come: for mode B
// the odd column of a pair before the even one. Nothing is read behind the end of a row.
#ifndef QUANTD_PRODUCTS_WORDS_H_
#define QUANTD_PRODUCTS_WORDS_H_

#include <stddef.h>
#include <string.h>

#include "products-tile.h"

namespace quantd {
namespace {

// 2^-55: every product of two numbers not below it is a normal number, and so is every sum of such
// products, for these are multiples of 2^-124.
constexpr float kFlushBelow = 0x1p-55f;

template <int W>
QUANTD_LANE Float<W> FlushSmall(Float<W> x) {
  return Select(Magnitude(x) < Float<W>::Set(kFlushBelow), Float<W>::Set(0.0f), x);
}

// Nearest even; a NaN stays one.
template <int W>
QUANTD_LANE Float<W> RoundToBfloat16(Float<W> x) {
  const Int<W> bits = Bits(x);
  const Int<W> odd = ShiftRight<16>(bits) & Int<W>::Set(1);
  const Int<W> rounded = bits + Int<W>::Set(0x7FFF) + odd;
  const Int<W> quiet = bits | Int<W>::Set(0x400000);
  return FromBits(Select(x == x, rounded, quiet) & Int<W>::Set(-0x10000));
}

// ---- mode A: a word is a number ----

struct PlainTokens {
  static constexpr size_t kColumns = 1;  // In a word.
  static constexpr bool kSwapped = false;
  template <int W>
  QUANTD_LANE static Float<W> Words(const float* from) {
    return Float<W>::Load(from);
  }
};

struct F32Weights {
  static constexpr size_t kBytes = 4;
  static void Fill(const uint8_t* row, size_t columns, float* words) {
    memcpy(words, row, columns * 4);
  }
};

struct F16Weights {
  static constexpr size_t kBytes = 2;
  static void Fill(const uint8_t* row, size_t columns, float* words) {
    size_t i = 0;
#if defined(__AVX512F__)
    for (; i + 16 <= columns; i += 16) {
      const void* const from = row + 2 * i;
      const __m256i halves = _mm256_loadu_si256(static_cast<const __m256i*>(from));
      _mm512_storeu_ps(words + i, _mm512_cvtph_ps(halves));
    }
#elif defined(__AVX2__)
    for (; i + 8 <= columns; i += 8) {
      const void* const from = row + 2 * i;
      const __m128i halves = _mm_loadu_si128(static_cast<const __m128i*>(from));
      _mm256_storeu_ps(words + i, _mm256_cvtph_ps(halves));
    }
#elif defined(__aarch64__) && defined(__ARM_NEON)
    for (; i + 4 <= columns; i += 4) {
      const float16x4_t halves = vreinterpret_f16_u8(vld1_u8(row + 2 * i));
      vst1q_f32(words + i, vcvt_f32_f16(halves));
    }
#endif
    for (; i < columns; ++i) words[i] = FloatFromHalf(LoadU16(row + 2 * i));
  }
};

// ---- mode B, widened: a word is a number that was rounded to bfloat16 ----

struct RoundedTokens {
  static constexpr size_t kColumns = 1;
  static constexpr bool kSwapped = true;
  template <int W>
  QUANTD_LANE static Float<W> Words(const float* from) {
    return RoundToBfloat16(FlushSmall(Float<W>::Load(from)));
  }
};

struct Bf16Weights {
  static constexpr size_t kBytes = 2;
  static void Fill(const uint8_t* row, size_t columns, float* words) {
    size_t i = 0;
    // To the upper half of every word the number from its place in the other order, and 0 below.
#if defined(__AVX512F__)
    alignas(64) static constexpr uint16_t kFrom[32] = {
        0, 1, 0, 0, 0, 3, 0, 2,  0, 5,  0, 4,  0, 7,  0, 6,
        0, 9, 0, 8, 0, 11, 0, 10, 0, 13, 0, 12, 0, 15, 0, 14,
    };
    const __m512i first = _mm512_load_si512(kFrom);
    const __m512i second = _mm512_add_epi16(first, _mm512_set1_epi16(16));
    for (; i + 32 <= columns; i += 32) {
      const __m512i halves = _mm512_loadu_si512(row + 2 * i);
      constexpr __mmask32 kUpper = 0xAAAAAAAA;
      _mm512_storeu_si512(words + i, _mm512_maskz_permutexvar_epi16(kUpper, first, halves));
      _mm512_storeu_si512(words + i + 16, _mm512_maskz_permutexvar_epi16(kUpper, second, halves));
    }
#elif defined(__AVX2__)
    const __m256i from =
        _mm256_setr_epi8(-1, -1, 2, 3, -1, -1, 0, 1, -1, -1, 6, 7, -1, -1, 4, 5,  //
                         -1, -1, 10, 11, -1, -1, 8, 9, -1, -1, 14, 15, -1, -1, 12, 13);
    for (; i + 8 <= columns; i += 8) {
      const void* const at = row + 2 * i;
      const __m128i halves = _mm_loadu_si128(static_cast<const __m128i*>(at));
      const __m256i words8 = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(halves), from);
      _mm256_storeu_ps(words + i, _mm256_castsi256_ps(words8));
    }
#elif defined(__aarch64__) && defined(__ARM_NEON)
    for (; i + 8 <= columns; i += 8) {
      const uint16x8_t halves = vrev32q_u16(vreinterpretq_u16_u8(vld1q_u8(row + 2 * i)));
      vst1q_f32(words + i, vreinterpretq_f32_u32(vshll_n_u16(vget_low_u16(halves), 16)));
      vst1q_f32(words + i + 4, vreinterpretq_f32_u32(vshll_n_u16(vget_high_u16(halves), 16)));
    }
#endif
    const auto widened = [row](size_t k) {
      return FloatOf(static_cast<uint32_t>(LoadU16(row + 2 * k)) << 16);
    };
    for (; i + 1 < columns; i += 2) {
      words[i] = widened(i + 1);
      words[i + 1] = widened(i);
    }
    if (i < columns) words[i] = widened(i);
  }
};

// ---- mode B by vdpbf16ps: a word is a pair of bfloat16 numbers, the even column below ----

#if defined(__AVX512BF16__)
struct PairTokens {
  static constexpr size_t kColumns = 2;
  static constexpr bool kSwapped = false;
  template <int W>
  QUANTD_LANE static F16x Words(const float* from) {
    const F16x low = FlushSmall(F16x::Load(from));
    const F16x high = FlushSmall(F16x::Load(from + 16));
    return {(__m512)_mm512_cvtne2ps_pbh(high.v, low.v)};
  }
};

// The partner of an odd last column is 0: it adds +0 to what is never -0.
struct PairWeights {
  static constexpr size_t kBytes = 2;
  static void Fill(const uint8_t* row, size_t columns, float* words) {
    if (columns % 2 != 0) words[columns / 2] = FloatOf(LoadU16(row + 2 * (columns - 1)));
    memcpy(words, row, columns / 2 * 4);
  }
};
#endif

// ---- panels ----

// The next W words of one token of which `columns` columns are left.
template <typename Tokens, int W>
QUANTD_LANE Float<W> WordsOf(const float* from, size_t columns) {
  constexpr size_t kWhole = W * Tokens::kColumns;
  if (columns >= kWhole) return Tokens::template Words<W>(from);
  alignas(64) float rest[kWhole] = {};
  memcpy(rest, from, columns * sizeof(float));
  return Tokens::template Words<W>(rest);
}

constexpr size_t WordsIn(size_t columns, size_t columns_in_word) {
  return (columns + columns_in_word - 1) / columns_in_word;
}

// One vector of at most W tokens into a panel that is `lanes` wide; tokens that there are not are
// zeros.
template <typename Tokens, int W>
void PackVector(const float* const* rows, size_t tokens, size_t columns, size_t lanes,
                float* into) {
  const size_t words = WordsIn(columns, Tokens::kColumns);
  // Of an odd number of swapped columns the last stays where it is.
  const size_t swapped = Tokens::kSwapped ? words / 2 * 2 : 0;
  for (size_t k = 0; k < words; k += W) {
    const size_t column = k * Tokens::kColumns;
    Float<W> square[W];
#pragma GCC unroll 16
    for (size_t l = 0; l < W; ++l) {
      square[l] = l < tokens ? WordsOf<Tokens, W>(rows[l] + column, columns - column)
                             : Float<W>::Set(0.0f);
    }
    Transpose(square);
#pragma GCC unroll 16
    for (size_t i = 0; i < W; ++i) {
      if (k + i >= words) break;
      const size_t word = k + i < swapped ? (k + i) ^ 1 : k + i;
      square[i].Store(into + word * lanes);
    }
  }
}

}  // namespace
}  // namespace quantd

#endif
