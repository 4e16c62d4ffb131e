// Block lanes: blocks in and out of lanes, four elements at a time, and the roundings of lanes.
//
//   rows of values ──▶ LoadFour ──▶ Float<W> per element ──▶ fit ──▶ words ──▶ StoreWords
//
// A word is an Int<W> whose lanes each hold four consecutive bytes of a block: levels are packed
// four elements at a time. Internal linkage for the reason given in lanes.h; read that first.
#ifndef QUANTD_BLOCK_LANES_H_
#define QUANTD_BLOCK_LANES_H_

#include "lanes.h"

namespace quantd {
namespace {

// ---- four elements of W lanes, transposed ----

// into[i] lane l is lanes[l][at + i], i = 0..3.
template <int W>
QUANTD_LANE void LoadFour(const float* const* lanes, int at, Float<W>* into) {
  alignas(64) float square[4][W];
  for (int l = 0; l < W; ++l) {
    for (int i = 0; i < 4; ++i) square[i][l] = lanes[l][at + i];
  }
  for (int i = 0; i < 4; ++i) into[i] = Float<W>::Load(square[i]);
}

// Bytes 4 * at .. 4 * at + 15 of lane l's destination are lane l of words[0..3].
template <int W>
QUANTD_LANE void StoreFour(const Int<W>* words, int at, uint8_t* const* into) {
  alignas(64) int32_t square[4][W];
  for (int i = 0; i < 4; ++i) words[i].Store(square[i]);
  for (int l = 0; l < W; ++l) {
    for (int i = 0; i < 4; ++i) memcpy(into[l] + 4 * (at + i), &square[i][l], 4);
  }
}

#if defined(__AVX512F__)

// Squares of four within each 128 bits: rows[j], part c, element i to part c, element j of i.
QUANTD_LANE void TransposeParts(__m512* rows) {
  const __m512 a = _mm512_unpacklo_ps(rows[0], rows[1]);
  const __m512 b = _mm512_unpackhi_ps(rows[0], rows[1]);
  const __m512 c = _mm512_unpacklo_ps(rows[2], rows[3]);
  const __m512 d = _mm512_unpackhi_ps(rows[2], rows[3]);
  rows[0] = _mm512_shuffle_ps(a, c, 0x44);
  rows[1] = _mm512_shuffle_ps(a, c, 0xEE);
  rows[2] = _mm512_shuffle_ps(b, d, 0x44);
  rows[3] = _mm512_shuffle_ps(b, d, 0xEE);
}

template <>
QUANTD_LANE void LoadFour<16>(const float* const* lanes, int at, Float<16>* into) {
  __m512 rows[4];
  for (int j = 0; j < 4; ++j) {
    rows[j] = _mm512_castps128_ps512(_mm_loadu_ps(lanes[j] + at));
    rows[j] = _mm512_insertf32x4(rows[j], _mm_loadu_ps(lanes[j + 4] + at), 1);
    rows[j] = _mm512_insertf32x4(rows[j], _mm_loadu_ps(lanes[j + 8] + at), 2);
    rows[j] = _mm512_insertf32x4(rows[j], _mm_loadu_ps(lanes[j + 12] + at), 3);
  }
  TransposeParts(rows);
  for (int i = 0; i < 4; ++i) into[i].v = rows[i];
}

template <>
QUANTD_LANE void StoreFour<16>(const Int<16>* words, int at, uint8_t* const* into) {
  __m512 rows[4];
  for (int i = 0; i < 4; ++i) rows[i] = _mm512_castsi512_ps(words[i].v);
  TransposeParts(rows);
  for (int j = 0; j < 4; ++j) {
    float* to[4];
    for (int c = 0; c < 4; ++c) to[c] = reinterpret_cast<float*>(into[4 * c + j] + 4 * at);
    _mm_storeu_ps(to[0], _mm512_castps512_ps128(rows[j]));
    _mm_storeu_ps(to[1], _mm512_extractf32x4_ps(rows[j], 1));
    _mm_storeu_ps(to[2], _mm512_extractf32x4_ps(rows[j], 2));
    _mm_storeu_ps(to[3], _mm512_extractf32x4_ps(rows[j], 3));
  }
}

#elif defined(__AVX2__)

QUANTD_LANE void TransposeParts(__m256* rows) {
  const __m256 a = _mm256_unpacklo_ps(rows[0], rows[1]);
  const __m256 b = _mm256_unpackhi_ps(rows[0], rows[1]);
  const __m256 c = _mm256_unpacklo_ps(rows[2], rows[3]);
  const __m256 d = _mm256_unpackhi_ps(rows[2], rows[3]);
  rows[0] = _mm256_shuffle_ps(a, c, 0x44);
  rows[1] = _mm256_shuffle_ps(a, c, 0xEE);
  rows[2] = _mm256_shuffle_ps(b, d, 0x44);
  rows[3] = _mm256_shuffle_ps(b, d, 0xEE);
}

template <>
QUANTD_LANE void LoadFour<8>(const float* const* lanes, int at, Float<8>* into) {
  __m256 rows[4];
  for (int j = 0; j < 4; ++j) {
    rows[j] = _mm256_castps128_ps256(_mm_loadu_ps(lanes[j] + at));
    rows[j] = _mm256_insertf128_ps(rows[j], _mm_loadu_ps(lanes[j + 4] + at), 1);
  }
  TransposeParts(rows);
  for (int i = 0; i < 4; ++i) into[i].v = rows[i];
}

template <>
QUANTD_LANE void StoreFour<8>(const Int<8>* words, int at, uint8_t* const* into) {
  __m256 rows[4];
  for (int i = 0; i < 4; ++i) rows[i] = _mm256_castsi256_ps(words[i].v);
  TransposeParts(rows);
  for (int j = 0; j < 4; ++j) {
    _mm_storeu_ps(reinterpret_cast<float*>(into[j] + 4 * at), _mm256_castps256_ps128(rows[j]));
    _mm_storeu_ps(reinterpret_cast<float*>(into[j + 4] + 4 * at),
                  _mm256_extractf128_ps(rows[j], 1));
  }
}

#endif

template <int W>
QUANTD_LANE void LoadElements(const float* const* lanes, int at, int count, Float<W>* into) {
  for (int i = 0; i < count; i += 4) LoadFour<W>(lanes, at + i, into + i);
}

// Lane l of words[i] becomes bytes 4 * i .. 4 * i + 3 of lane l's destination.
template <int kCount, int W>
QUANTD_LANE void StoreWords(const Int<W>* words, uint8_t* const* into) {
  constexpr int kFours = kCount / 4 * 4;
  for (int at = 0; at < kFours; at += 4) StoreFour<W>(words + at, at, into);
  if constexpr (kFours > 0 && kFours < kCount) {
    // What is left over goes with words before it, once more.
    StoreFour<W>(words + kCount - 4, kCount - 4, into);
  } else {
    for (int at = kFours; at < kCount; ++at) {
      alignas(64) int32_t lanes[W];
      words[at].Store(lanes);
      for (int l = 0; l < W; ++l) memcpy(into[l] + 4 * at, &lanes[l], 4);
    }
  }
}

// The low 16 bits of each lane.
template <int W>
QUANTD_LANE void StoreHalves(Int<W> halves, int offset, uint8_t* const* into) {
  alignas(64) int32_t lanes[W];
  halves.Store(lanes);
  for (int l = 0; l < W; ++l) memcpy(into[l] + offset, &lanes[l], 2);
}

// ---- numbers ----

// The nearest whole number, ties to even, of |value| <= 2^22.
template <int W>
QUANTD_LANE Float<W> NearestWhole(Float<W> value) {
  const Float<W> magic = Float<W>::Set(12582912.0f);
  return (value + magic) - magic;
}

// Clamp(Nearest(value), low, high) as a number: the bits of 2^23 + n are compared as they are.
template <int W>
QUANTD_LANE Float<W> NearestWithin(Float<W> value, int low, int high) {
  const Int<W> sum = Bits(value + Float<W>::Set(12582912.0f));
  const Int<W> bits = (sum & Int<W>::Set(0x7FFFFF)) | Int<W>::Set(0x4B000000);
  const Int<W> clamped = Clamp(bits, 0x4B400000 + low, 0x4B400000 + high);
  return FromBits(clamped) - Float<W>::Set(12582912.0f);
}

// The low 8 bits as a signed number.
template <int W>
QUANTD_LANE Int<W> WrapToInt8(Int<W> value) {
  return ((value & Int<W>::Set(0xFF)) ^ Int<W>::Set(0x80)) - Int<W>::Set(0x80);
}

// HalfFromFloat of numbers.h.
template <int W>
QUANTD_LANE Int<W> HalfBits(Float<W> value) {
  const Int<W> bits = Bits(value);
  const Int<W> magnitude = bits & Int<W>::Set(0x7FFFFFFF);
  const Int<W> subnormal =
      Bits(FromBits(magnitude) + Float<W>::Set(0.5f)) - Int<W>::Set(0x3F000000);
  const Int<W> odd = ShiftRight<13>(magnitude) & Int<W>::Set(1);
  const Int<W> normal =
      ShiftRight<13>(magnitude + odd + Int<W>::Set(0x0FFF) - Int<W>::Set(0x38000000));
  Int<W> half = Select(Int<W>::Set(0x38800000) > magnitude, subnormal, normal);
  half = Select(magnitude > Int<W>::Set(0x477FEFFF), Int<W>::Set(0x7C00), half);
  half = Select(magnitude > Int<W>::Set(0x7F800000), Int<W>::Set(0x7E00), half);
  return half | (ShiftRight<16>(bits) & Int<W>::Set(0x8000));
}

// FloatFromHalf of numbers.h, of the low 16 bits.
template <int W>
QUANTD_LANE Float<W> FloatOfHalf(Int<W> half) {
  const Int<W> magnitude = half & Int<W>::Set(0x7FFF);
  const Int<W> shifted = ShiftLeft<13>(magnitude);
  const Int<W> subnormal = Bits(ToFloat(magnitude) * Float<W>::Set(0x1p-24f));
  Int<W> bits = Select(Int<W>::Set(0x0400) > magnitude, subnormal,
                       shifted + Int<W>::Set(0x38000000));
  bits = Select(magnitude > Int<W>::Set(0x7BFF), shifted + Int<W>::Set(0x70000000), bits);
  return FromBits(bits | ShiftLeft<16>(half & Int<W>::Set(0x8000)));
}

// ---- words ----

// Four levels of 0..255, as a word.
template <int W>
QUANTD_LANE Int<W> WordOf(const Int<W>* levels) {
  return (levels[0] | ShiftLeft<8>(levels[1])) |
         (ShiftLeft<16>(levels[2]) | ShiftLeft<24>(levels[3]));
}

template <int W>
QUANTD_LANE Int<W> Nibbles(Int<W> low, Int<W> high) {
  const Int<W> mask = Int<W>::Set(0x0F0F0F0F);
  return (low & mask) | ShiftLeft<4>(high & mask);
}

// 32 levels in 8 words to 4 words: level j in the low nibble of byte j, j + 16 in the high one.
template <int W>
QUANTD_LANE void PackNibbleWords(const Int<W>* levels, Int<W>* into) {
  for (int i = 0; i < 4; ++i) into[i] = Nibbles(levels[i], levels[i + 4]);
}

// The fifth bit of 32 levels in 8 words, to one word: bit j is level j.
template <int W>
QUANTD_LANE Int<W> FifthBits(const Int<W>* levels) {
  Int<W> bits = Int<W>::Set(0);
  const auto add = [&]<int kAt>() {
    const Int<W> ones = ShiftRight<4>(levels[kAt]) & Int<W>::Set(0x01010101);
    // The product moves the four bits next to one another, to bits 24..27.
    const Int<W> four = ShiftRight<24>(ones * Int<W>::Set(0x01020408)) & Int<W>::Set(0x0F);
    bits = bits | ShiftLeft<4 * kAt>(four);
  };
  add.template operator()<0>();
  add.template operator()<1>();
  add.template operator()<2>();
  add.template operator()<3>();
  add.template operator()<4>();
  add.template operator()<5>();
  add.template operator()<6>();
  add.template operator()<7>();
  return bits;
}

// ---- which blocks a vector of lanes holds ----

// W consecutive blocks of kElements each, of `rows` of `columns`. At the end, where fewer are
// left, the last one is repeated, and all of its copies write the same bytes to the same place.
template <int W, int kElements, int kBytes>
struct BlockLanes {
  const float* values[W];
  const float* importance[W];
  uint8_t* into[W];
  size_t row[W];

  QUANTD_LANE BlockLanes(const float* all, const float* weights, size_t columns, size_t first,
                         size_t blocks, uint8_t* out) {
    // One division a vector; blocks of a row follow one another.
    size_t column = first * kElements % columns;
    size_t at_row = first * kElements / columns;
    for (int l = 0; l < W; ++l) {
      const size_t block = first + static_cast<size_t>(l);
      if (block < blocks) {
        values[l] = all + block * kElements;
        importance[l] = weights == nullptr ? nullptr : weights + column;
        into[l] = out + block * kBytes;
        row[l] = at_row;
        column += kElements;
        if (column == columns) {
          column = 0;
          ++at_row;
        }
      } else {
        values[l] = values[l - 1];
        importance[l] = importance[l - 1];
        into[l] = into[l - 1];
        row[l] = row[l - 1];
      }
    }
  }
};

}  // namespace
}  // namespace quantd

#endif
