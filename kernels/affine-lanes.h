// Affine lanes: how blocks come into lanes and leave them as words.
//
//   rows in memory ──▶ LoadTiles ──▶ lanes ──▶ words of a block ──▶ StoreWords ──▶ blocks
//
// Every affine block is a whole number of 32-bit words, so a lane packs words. The squares of
// vector registers are transposed by shuffles: element by element, that alone would cost a tenth
// of a fit. Internal linkage for the reason given in numbers.h.
#ifndef QUANTD_AFFINE_LANES_H_
#define QUANTD_AFFINE_LANES_H_

#include "lanes.h"

namespace quantd {
namespace {

#if defined(__AVX512F__)
// into[i] lane l = lanes[l][i], i and l in 0..15.
QUANTD_LANE void LoadTile(const float* const* lanes, int at, Float<16>* into) {
  __m512 row[16];
  for (int l = 0; l < 16; ++l) row[l] = _mm512_loadu_ps(lanes[l] + at);
  // Within each 128-bit quarter, four rows become four columns.
  __m512 quad[16];
  for (int l = 0; l < 16; l += 4) {
    const __m512d a = _mm512_castps_pd(_mm512_unpacklo_ps(row[l], row[l + 1]));
    const __m512d b = _mm512_castps_pd(_mm512_unpackhi_ps(row[l], row[l + 1]));
    const __m512d c = _mm512_castps_pd(_mm512_unpacklo_ps(row[l + 2], row[l + 3]));
    const __m512d d = _mm512_castps_pd(_mm512_unpackhi_ps(row[l + 2], row[l + 3]));
    quad[l] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, c));
    quad[l + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, c));
    quad[l + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(b, d));
    quad[l + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(b, d));
  }
  // Then the quarters change places.
  for (int i = 0; i < 4; ++i) {
    const __m512 a = _mm512_shuffle_f32x4(quad[i], quad[i + 4], 0x88);
    const __m512 b = _mm512_shuffle_f32x4(quad[i], quad[i + 4], 0xDD);
    const __m512 c = _mm512_shuffle_f32x4(quad[i + 8], quad[i + 12], 0x88);
    const __m512 d = _mm512_shuffle_f32x4(quad[i + 8], quad[i + 12], 0xDD);
    into[i].v = _mm512_shuffle_f32x4(a, c, 0x88);
    into[i + 4].v = _mm512_shuffle_f32x4(b, d, 0x88);
    into[i + 8].v = _mm512_shuffle_f32x4(a, c, 0xDD);
    into[i + 12].v = _mm512_shuffle_f32x4(b, d, 0xDD);
  }
}
#elif defined(__AVX2__)
// into[i] lane l = lanes[l][i], i and l in 0..7.
QUANTD_LANE void LoadTile(const float* const* lanes, int at, Float<8>* into) {
  __m256 quad[8];
  for (int l = 0; l < 8; l += 4) {
    const __m256 row0 = _mm256_loadu_ps(lanes[l] + at);
    const __m256 row1 = _mm256_loadu_ps(lanes[l + 1] + at);
    const __m256 row2 = _mm256_loadu_ps(lanes[l + 2] + at);
    const __m256 row3 = _mm256_loadu_ps(lanes[l + 3] + at);
    const __m256d a = _mm256_castps_pd(_mm256_unpacklo_ps(row0, row1));
    const __m256d b = _mm256_castps_pd(_mm256_unpackhi_ps(row0, row1));
    const __m256d c = _mm256_castps_pd(_mm256_unpacklo_ps(row2, row3));
    const __m256d d = _mm256_castps_pd(_mm256_unpackhi_ps(row2, row3));
    quad[l] = _mm256_castpd_ps(_mm256_unpacklo_pd(a, c));
    quad[l + 1] = _mm256_castpd_ps(_mm256_unpackhi_pd(a, c));
    quad[l + 2] = _mm256_castpd_ps(_mm256_unpacklo_pd(b, d));
    quad[l + 3] = _mm256_castpd_ps(_mm256_unpackhi_pd(b, d));
  }
  for (int i = 0; i < 4; ++i) {
    into[i].v = _mm256_permute2f128_ps(quad[i], quad[i + 4], 0x20);
    into[i + 4].v = _mm256_permute2f128_ps(quad[i], quad[i + 4], 0x31);
  }
}
#elif defined(__aarch64__) && defined(__ARM_NEON)
// into[i] lane l = lanes[l][i], i and l in 0..3.
QUANTD_LANE void LoadTile(const float* const* lanes, int at, Float<4>* into) {
  const float32x4_t row0 = vld1q_f32(lanes[0] + at);
  const float32x4_t row1 = vld1q_f32(lanes[1] + at);
  const float32x4_t row2 = vld1q_f32(lanes[2] + at);
  const float32x4_t row3 = vld1q_f32(lanes[3] + at);
  const float64x2_t a = vreinterpretq_f64_f32(vtrn1q_f32(row0, row1));
  const float64x2_t b = vreinterpretq_f64_f32(vtrn2q_f32(row0, row1));
  const float64x2_t c = vreinterpretq_f64_f32(vtrn1q_f32(row2, row3));
  const float64x2_t d = vreinterpretq_f64_f32(vtrn2q_f32(row2, row3));
  into[0].v = vreinterpretq_f32_f64(vtrn1q_f64(a, c));
  into[1].v = vreinterpretq_f32_f64(vtrn1q_f64(b, d));
  into[2].v = vreinterpretq_f32_f64(vtrn2q_f64(a, c));
  into[3].v = vreinterpretq_f32_f64(vtrn2q_f64(b, d));
}
#endif
QUANTD_LANE void LoadTile(const float* const* lanes, int at, Float<1>* into) {
  into[0] = Float<1>::Load(lanes[0] + at);
}

// into[i] lane l = lanes[l][at + i] for i below kCount, a multiple of every W.
template <int kCount, int W>
QUANTD_LANE void LoadTiles(const float* const* lanes, int at, Float<W>* into) {
  for (int i = 0; i < kCount; i += W) LoadTile(lanes, at + i, into + i);
}

// Lane l of words[i] becomes word i of the block at blocks[l]; l below `count`.
template <int kWords, int W>
QUANTD_LANE void StoreWords(const Int<W>* words, int count, uint8_t* const* blocks) {
  alignas(64) int32_t lanes[kWords][W];
  for (int i = 0; i < kWords; ++i) words[i].Store(lanes[i]);
  for (int l = 0; l < count; ++l) {
    for (int i = 0; i < kWords; ++i) memcpy(blocks[l] + 4 * i, &lanes[i][l], 4);
  }
}

template <int W>
QUANTD_LANE Float<W> Negative(Float<W> a) {
  return FromBits(Bits(a) ^ Int<W>::Set(INT32_MIN));
}

// HalfFromFloat of numbers.h, in lanes.
template <int W>
QUANTD_LANE Int<W> HalfBits(Float<W> value) {
  const Int<W> bits = Bits(value);
  const Int<W> sign = ShiftRight<16>(bits) & Int<W>::Set(0x8000);
  const Int<W> magnitude = bits & Int<W>::Set(0x7FFFFFFF);
  const Int<W> subnormal =
      Bits(FromBits(magnitude) + Float<W>::Set(0.5f)) - Int<W>::Set(0x3F000000);
  const Int<W> odd = ShiftRight<13>(magnitude) & Int<W>::Set(1);
  const Int<W> normal =
      ShiftRight<13>(magnitude + Int<W>::Set(0x0FFF) + odd - Int<W>::Set(0x38000000));
  Int<W> half = Select(Int<W>::Set(0x38800000) > magnitude, subnormal, normal);
  half = Select(magnitude > Int<W>::Set(0x477FEFFF), Int<W>::Set(0x7C00), half);
  half = Select(magnitude > Int<W>::Set(0x7F800000), Int<W>::Set(0x7E00), half);
  return sign | half;
}

// FloatFromHalf of numbers.h, in lanes.
template <int W>
QUANTD_LANE Float<W> FloatOfHalf(Int<W> half) {
  const Int<W> sign = ShiftLeft<16>(half & Int<W>::Set(0x8000));
  const Int<W> magnitude = half & Int<W>::Set(0x7FFF);
  const Int<W> normal = ShiftLeft<13>(magnitude) + Int<W>::Set(0x38000000);
  const Int<W> special = ShiftLeft<13>(magnitude) + Int<W>::Set(0x70000000);
  const Int<W> subnormal = Bits(ToFloat(magnitude) * Float<W>::Set(0x1p-24f));
  Int<W> bits = Select(Int<W>::Set(0x0400) > magnitude, subnormal, normal);
  bits = Select(magnitude > Int<W>::Set(0x7BFF), special, bits);
  return FromBits(sign | bits);
}

}  // namespace
}  // namespace quantd

#endif
