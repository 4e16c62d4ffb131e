// Codebook-search: the point of a codebook nearest to a group of elements, among the neighbours of
// the point that rounding gave.
//
//   values, weights, scale, list of neighbours ──▶ NearestNeighbour ──▶ code
//
// Here the lanes are candidates, not blocks: each candidate's distance is a sum of its own, in
// ascending order of the elements, and the first of equals in the list wins. An element has few
// levels, so its term of the sum is computed once for each level and looked up by the candidates.
#ifndef QUANTD_CODEBOOK_SEARCH_H_
#define QUANTD_CODEBOOK_SEARCH_H_

#include <float.h>

#include "codebooks.h"
#include "lanes.h"

namespace quantd {
namespace {

// Codes have 16 bits, so this is none.
[[maybe_unused]] constexpr uint32_t kNoCode = 0xFFFFFFFFu;

// What a level stands for: 2 * level + 1 in IQ2 and IQ3, shifted thirds in IQ1. Level 3 of a
// codebook with three levels is never looked up.
template <int kLevelBits>
struct LevelValues {
  alignas(32) float value[1 << kLevelBits];
};

template <int kLevelBits>
struct Terms {
  static constexpr int kElements = kLevelBits == 2 ? 8 : 4;
  static constexpr int kLevels = 1 << kLevelBits;
  alignas(64) float term[kElements * kLevels];  // (elements, levels)
};

#if defined(__AVX512F__)

QUANTD_LANE __m512 TermsOf(__m512 x, __m512 weight, __m512 scaled) {
  const __m512 difference = _mm512_sub_ps(scaled, x);
  return _mm512_mul_ps(_mm512_mul_ps(weight, difference), difference);
}

// Table i holds the terms of element i in every 128 bits (four levels) or 256 bits (eight).
template <int kLevelBits>
struct TermTables {
  __m512 table[Terms<kLevelBits>::kElements];

  QUANTD_LANE void Fill(const float* x, const float* weights, float scale,
                        const LevelValues<kLevelBits>& levels) {
    if constexpr (kLevelBits == 2) {
      const __m512 scaled = _mm512_mul_ps(
          _mm512_set1_ps(scale), _mm512_broadcast_f32x4(_mm_load_ps(levels.value)));
      const __m512i low = _mm512_set_epi32(3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0);
      const __m512i high = _mm512_set_epi32(7, 7, 7, 7, 6, 6, 6, 6, 5, 5, 5, 5, 4, 4, 4, 4);
      const __m512 xs = _mm512_castps256_ps512(_mm256_loadu_ps(x));
      const __m512 ws = _mm512_castps256_ps512(_mm256_loadu_ps(weights));
      Terms<2> terms;
      _mm512_store_ps(terms.term, TermsOf(_mm512_permutexvar_ps(low, xs),
                                          _mm512_permutexvar_ps(low, ws), scaled));
      _mm512_store_ps(terms.term + 16, TermsOf(_mm512_permutexvar_ps(high, xs),
                                               _mm512_permutexvar_ps(high, ws), scaled));
      for (int i = 0; i < 8; ++i) {
        table[i] = _mm512_broadcast_f32x4(_mm_load_ps(terms.term + 4 * i));
      }
    } else {
      const __m512 scaled = _mm512_mul_ps(
          _mm512_set1_ps(scale), _mm512_broadcast_f32x8(_mm256_load_ps(levels.value)));
      for (int i = 0; i < 4; ++i) {
        table[i] = TermsOf(_mm512_set1_ps(x[i]), _mm512_set1_ps(weights[i]), scaled);
      }
    }
  }

  template <int i>
  QUANTD_LANE __m512 Look(__m512i codes) const {
    const __m512i levels = i == 0 ? codes : _mm512_srli_epi32(codes, kLevelBits * i);
    // Neither lookup heeds the bits above those of a place in its table.
    if constexpr (kLevelBits == 2) return _mm512_permutevar_ps(table[i], levels);
    return _mm512_permutexvar_ps(levels, table[i]);
  }

  QUANTD_LANE __m512 Distances(__m512i codes) const {
    __m512 sum = _mm512_add_ps(Look<0>(codes), Look<1>(codes));
    sum = _mm512_add_ps(sum, Look<2>(codes));
    sum = _mm512_add_ps(sum, Look<3>(codes));
    if constexpr (kLevelBits == 2) {
      sum = _mm512_add_ps(sum, Look<4>(codes));
      sum = _mm512_add_ps(sum, Look<5>(codes));
      sum = _mm512_add_ps(sum, Look<6>(codes));
      sum = _mm512_add_ps(sum, Look<7>(codes));
    }
    return sum;
  }
};

template <int kLevelBits>
inline uint32_t NearestNeighbour(const Codebook& book, uint32_t point, const float* x,
                                 const float* weights, float scale,
                                 const LevelValues<kLevelBits>& levels) {
  TermTables<kLevelBits> tables;
  tables.Fill(x, weights, scale, levels);
  const uint16_t* list = book.neighbours + (point >> kBatchCountBits) * kNeighbourBatch;
  const uint32_t batches = point & ((1u << kBatchCountBits) - 1);
  __m512 least = _mm512_set1_ps(FLT_MAX);
  __m512i least_batch = _mm512_setzero_si512();
  for (uint32_t b = 0; b < batches; ++b) {
    const __m512i codes = _mm512_cvtepu16_epi32(
        _mm256_loadu_si256(reinterpret_cast<const __m256i*>(list + kNeighbourBatch * b)));
    const __m512 distances = tables.Distances(codes);
    const __mmask16 nearer = _mm512_cmp_ps_mask(distances, least, _CMP_LT_OQ);
    least = _mm512_mask_mov_ps(least, nearer, distances);
    least_batch = _mm512_mask_mov_epi32(least_batch, nearer, _mm512_set1_epi32(int(b)));
  }
  const float minimum = _mm512_reduce_min_ps(least);
  if (!(minimum < FLT_MAX)) return kNoCode;
  const __mmask16 equal = _mm512_cmp_ps_mask(least, _mm512_set1_ps(minimum), _CMP_EQ_OQ);
  if (batches == 1) return list[__builtin_ctz(equal)];
  // The earliest batch, and in it the earliest lane.
  const __m512i places = _mm512_add_epi32(
      _mm512_slli_epi32(least_batch, 4),
      _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0));
  return list[_mm512_mask_reduce_min_epu32(equal, places)];
}

#elif defined(__AVX2__)

template <int kLevelBits>
struct TermTables {
  __m256 table[Terms<kLevelBits>::kElements];

  QUANTD_LANE void Fill(const float* x, const float* weights, float scale,
                        const LevelValues<kLevelBits>& levels) {
    __m256 values;
    if constexpr (kLevelBits == 2) {
      values = _mm256_broadcast_ps(reinterpret_cast<const __m128*>(levels.value));
    } else {
      values = _mm256_load_ps(levels.value);
    }
    const __m256 scaled = _mm256_mul_ps(_mm256_set1_ps(scale), values);
    for (int i = 0; i < Terms<kLevelBits>::kElements; ++i) {
      const __m256 difference = _mm256_sub_ps(scaled, _mm256_set1_ps(x[i]));
      table[i] = _mm256_mul_ps(_mm256_mul_ps(_mm256_set1_ps(weights[i]), difference), difference);
    }
  }

  template <int i>
  QUANTD_LANE __m256 Look(__m256i codes) const {
    const __m256i levels = i == 0 ? codes : _mm256_srli_epi32(codes, kLevelBits * i);
    // Neither lookup heeds the bits above those of a place in its table.
    if constexpr (kLevelBits == 2) return _mm256_permutevar_ps(table[i], levels);
    return _mm256_permutevar8x32_ps(table[i], levels);
  }

  QUANTD_LANE __m256 Distances(__m256i codes) const {
    __m256 sum = _mm256_add_ps(Look<0>(codes), Look<1>(codes));
    sum = _mm256_add_ps(sum, Look<2>(codes));
    sum = _mm256_add_ps(sum, Look<3>(codes));
    if constexpr (kLevelBits == 2) {
      sum = _mm256_add_ps(sum, Look<4>(codes));
      sum = _mm256_add_ps(sum, Look<5>(codes));
      sum = _mm256_add_ps(sum, Look<6>(codes));
      sum = _mm256_add_ps(sum, Look<7>(codes));
    }
    return sum;
  }
};

// The least of eight lanes; none is NaN.
QUANTD_LANE float LeastOf(__m256 v) {
  __m128 half = _mm_min_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  half = _mm_min_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_min_ss(half, _mm_movehdup_ps(half)));
}

QUANTD_LANE uint32_t FirstOf(__m256i places) {
  __m128i half = _mm_min_epi32(_mm256_castsi256_si128(places), _mm256_extracti128_si256(places, 1));
  half = _mm_min_epi32(half, _mm_shuffle_epi32(half, 0x4E));
  half = _mm_min_epi32(half, _mm_shuffle_epi32(half, 0xB1));
  return static_cast<uint32_t>(_mm_cvtsi128_si32(half));
}

template <int kLevelBits>
inline uint32_t NearestNeighbour(const Codebook& book, uint32_t point, const float* x,
                                 const float* weights, float scale,
                                 const LevelValues<kLevelBits>& levels) {
  TermTables<kLevelBits> tables;
  tables.Fill(x, weights, scale, levels);
  const uint16_t* list = book.neighbours + (point >> kBatchCountBits) * kNeighbourBatch;
  const uint32_t batches = 2 * (point & ((1u << kBatchCountBits) - 1));
  __m256 least = _mm256_set1_ps(FLT_MAX);
  __m256i place = _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0);
  __m256i least_place = place;
  for (uint32_t b = 0; b < batches; ++b) {
    const __m256i codes =
        _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(list + 8 * b)));
    const __m256 distances = tables.Distances(codes);
    const __m256 nearer = _mm256_cmp_ps(distances, least, _CMP_LT_OQ);
    least = _mm256_blendv_ps(least, distances, nearer);
    least_place = _mm256_blendv_epi8(least_place, place, _mm256_castps_si256(nearer));
    place = _mm256_add_epi32(place, _mm256_set1_epi32(8));
  }
  const float minimum = LeastOf(least);
  if (!(minimum < FLT_MAX)) return kNoCode;
  // Of the lanes with the minimum the one whose candidate stands first.
  const __m256 others = _mm256_cmp_ps(least, _mm256_set1_ps(minimum), _CMP_NEQ_UQ);
  const __m256i far = _mm256_srli_epi32(_mm256_castps_si256(others), 1);
  return list[FirstOf(_mm256_or_si256(least_place, far))];
}

#else

template <int kLevelBits>
inline uint32_t NearestNeighbour(const Codebook& book, uint32_t point, const float* x,
                                 const float* weights, float scale,
                                 const LevelValues<kLevelBits>& levels) {
  constexpr int kElements = Terms<kLevelBits>::kElements;
  constexpr int kLevels = Terms<kLevelBits>::kLevels;
  Terms<kLevelBits> terms;
  for (int i = 0; i < kElements; ++i) {
    for (int level = 0; level < kLevels; ++level) {
      const float difference = scale * levels.value[level] - x[i];
      terms.term[kLevels * i + level] = weights[i] * difference * difference;
    }
  }
  const uint16_t* list = book.neighbours + (point >> kBatchCountBits) * kNeighbourBatch;
  const uint32_t count = kNeighbourBatch * (point & ((1u << kBatchCountBits) - 1));
  float least = FLT_MAX;
  uint32_t nearest = kNoCode;
  for (uint32_t n = 0; n < count; ++n) {
    const uint32_t code = list[n];
    float distance = terms.term[code & (kLevels - 1)];
    for (int i = 1; i < kElements; ++i) {
      const uint32_t level = (code >> (kLevelBits * i)) & (kLevels - 1);
      distance += terms.term[kLevels * i + static_cast<int>(level)];
    }
    const bool nearer = distance < least;
    least = nearer ? distance : least;
    nearest = nearer ? code : nearest;
  }
  return nearest;
}

#endif

}  // namespace
}  // namespace quantd

#endif
