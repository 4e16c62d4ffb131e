// Words: how tokens are packed into panels, and rows of weights are laid out for a tile.
//
//   rows of binary32 ──PackPanel──▶ [k][lanes];  rows of weights ──Layout::Fill──▶ [row][k]
//
// A layout says what a word is (products-tile.h) and in which order the words of k come: for mode B
// block by block, the even columns before the odd ones, and zeros up to the end of the last block.
// Nothing is read behind the end of a row.
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

// DET-1.md §6, mode B.
constexpr size_t kBlockColumns = 32;

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
  static constexpr size_t kBlock = 1;    // Columns that are never cut.
  static size_t PlaceOf(size_t word) { return word; }
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
  static constexpr size_t kBlock = kBlockColumns;
  static size_t PlaceOf(size_t column) {
    const size_t within = column % kBlockColumns;
    return column - within + within % 2 * (kBlockColumns / 2) + within / 2;
  }
  template <int W>
  QUANTD_LANE static Float<W> Words(const float* from) {
    return RoundToBfloat16(FlushSmall(Float<W>::Load(from)));
  }
};

struct Bf16Weights {
  static constexpr size_t kBytes = 2;
  static void Fill(const uint8_t* row, size_t columns, float* words) {
    size_t i = 0;
    // Of two numbers in 32 bits the lower one is that of the even column.
#if defined(__AVX512F__)
    const __m512i upper = _mm512_set1_epi32(-0x10000);
    for (; i + kBlockColumns <= columns; i += kBlockColumns) {
      const __m512i pairs = _mm512_loadu_si512(row + 2 * i);
      _mm512_storeu_si512(words + i, _mm512_slli_epi32(pairs, 16));
      _mm512_storeu_si512(words + i + 16, _mm512_and_si512(pairs, upper));
    }
#elif defined(__AVX2__)
    const __m256i upper = _mm256_set1_epi32(-0x10000);
    for (; i + kBlockColumns <= columns; i += kBlockColumns) {
#pragma GCC unroll 2
      for (size_t half = 0; half < 16; half += 8) {
        const void* const from = row + 2 * i + 4 * half;
        const __m256i pairs = _mm256_loadu_si256(static_cast<const __m256i*>(from));
        const __m256 even = _mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16));
        const __m256 odd = _mm256_castsi256_ps(_mm256_and_si256(pairs, upper));
        _mm256_storeu_ps(words + i + half, even);
        _mm256_storeu_ps(words + i + 16 + half, odd);
      }
    }
#elif defined(__aarch64__) && defined(__ARM_NEON)
    const uint32x4_t upper = vdupq_n_u32(0xFFFF0000u);
    for (; i + kBlockColumns <= columns; i += kBlockColumns) {
#pragma GCC unroll 4
      for (size_t quarter = 0; quarter < 16; quarter += 4) {
        const uint32x4_t pairs = vreinterpretq_u32_u8(vld1q_u8(row + 2 * i + 4 * quarter));
        vst1q_f32(words + i + quarter, vreinterpretq_f32_u32(vshlq_n_u32(pairs, 16)));
        vst1q_f32(words + i + 16 + quarter, vreinterpretq_f32_u32(vandq_u32(pairs, upper)));
      }
    }
#endif
    for (; i < columns; i += kBlockColumns) {
      for (size_t k = i; k < i + kBlockColumns; ++k) {
        const uint32_t number = k < columns ? LoadU16(row + 2 * k) : 0;
        words[RoundedTokens::PlaceOf(k)] = FloatOf(number << 16);
      }
    }
  }
};

// ---- mode B by vdpbf16ps: a word is two numbers of one chain, the earlier one above ----

#if defined(__AVX512BF16__)
// Where in a block the halves of its words come from, the lower one of each first.
alignas(64) constexpr uint16_t kPairsFrom[kBlockColumns] = {
    2, 0, 6, 4, 10, 8, 14, 12, 18, 16, 22, 20, 26, 24, 30, 28,
    3, 1, 7, 5, 11, 9, 15, 13, 19, 17, 23, 21, 27, 25, 31, 29,
};

// A word is a pair of columns as they lie in a row of weights: what AMX takes.
struct BlockTokens {
  static constexpr size_t kColumns = 2;
  static constexpr size_t kBlock = kBlockColumns;
  static size_t PlaceOf(size_t word) { return word; }
  template <int W>
  QUANTD_LANE static F16x Words(const float* from) {
    const F16x low = FlushSmall(F16x::Load(from));
    const F16x high = FlushSmall(F16x::Load(from + 16));
    return {(__m512)_mm512_cvtne2ps_pbh(high.v, low.v)};
  }
};

struct PairTokens : BlockTokens {
  template <int W>
  QUANTD_LANE static F16x Words(const float* from) {
    const auto halves = (__m512i)BlockTokens::Words<W>(from).v;
    return {(__m512)_mm512_permutexvar_epi16(_mm512_load_si512(kPairsFrom), halves)};
  }
};

struct PairWeights {
  static constexpr size_t kBytes = 2;
  static void Fill(const uint8_t* row, size_t columns, float* words) {
    const __m512i from = _mm512_load_si512(kPairsFrom);
    for (size_t i = 0; i < columns; i += kBlockColumns) {
      const size_t left = columns - i;
      const __mmask32 there = left < kBlockColumns ? (1u << left) - 1 : ~0u;
      const __m512i halves = _mm512_maskz_loadu_epi16(there, row + 2 * i);
      _mm512_storeu_si512(words + i / 2, _mm512_permutexvar_epi16(from, halves));
    }
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

template <typename Tokens>
constexpr size_t WordsIn(size_t columns) {
  constexpr size_t kBlock = Tokens::kBlock;
  return (columns + kBlock - 1) / kBlock * (kBlock / Tokens::kColumns);
}

// One vector of at most W tokens into a panel that is `lanes` wide; tokens that there are not are
// zeros.
template <typename Tokens, int W>
void PackVector(const float* const* rows, size_t tokens, size_t columns, size_t lanes,
                float* into) {
  const size_t words = WordsIn<Tokens>(columns);
  for (size_t k = 0; k < words; k += W) {
    const size_t column = k * Tokens::kColumns;
    const size_t left = column < columns ? columns - column : 0;
    Float<W> square[W];
#pragma GCC unroll 16
    for (size_t l = 0; l < W; ++l) {
      square[l] = l < tokens && left > 0 ? WordsOf<Tokens, W>(rows[l] + column, left)
                                         : Float<W>::Set(0.0f);
    }
    Transpose(square);
#pragma GCC unroll 16
    for (size_t i = 0; i < W; ++i) {
      if (k + i >= words) break;
      square[i].Store(into + Tokens::PlaceOf(k + i) * lanes);
    }
  }
}

}  // namespace
}  // namespace quantd

#endif
