// Nonlinear levels: the nearest of the 16 levels of IQ4_NL and IQ4_XS.
//
//   a float ──▶ NearestIndex ──▶ 0..15;   |float| <= 136 ──▶ NearestLevel ──▶ the level itself
//
// Halfway between two levels the upper one is taken. The promise compares two differences,
// v - lower < upper - v. Near a midpoint both are exact, and rounding keeps their order farther
// away, so a comparison with the midpoint says the same (tested with every float there is).
//
// Internal linkage for the reason given in lanes.h. Read next: nonlinear.cpp.
#ifndef QUANTD_NONLINEAR_LEVELS_H_
#define QUANTD_NONLINEAR_LEVELS_H_

#include "lanes.h"

namespace quantd {
namespace {

constexpr float kNonlinear[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                  1,    13,   25,  38,  53,  69,  89,  113};

// From this on level i + 1 is at least as near as level i.
constexpr float Midpoint(int i) { return (kNonlinear[i] + kNonlinear[i + 1]) * 0.5f; }

// NaN, which a subnormal scale makes of 0, is 15.
template <int W>
QUANTD_LANE Int<W> NearestIndex(Float<W> value) {
  Int<W> index = Int<W>::Set(15);
#pragma GCC unroll 15
  for (int i = 0; i < 15; ++i) {
    const Int<W> one = Select(value < Float<W>::Set(Midpoint(i)), Int<W>::Set(1), Int<W>::Set(0));
    index = index - one;
  }
  return index;
}

// |value| <= 136.
template <int W>
QUANTD_LANE Float<W> NearestLevel(Float<W> value) {
  Float<W> level = Float<W>::Set(kNonlinear[0]);
#pragma GCC unroll 15
  for (int i = 0; i < 15; ++i) {
    level = Select(value < Float<W>::Set(Midpoint(i)), level, Float<W>::Set(kNonlinear[i + 1]));
  }
  return level;
}

#if defined(__AVX512F__)

// Cell c is what rounds to 8 c, c = -17 .. 14: no two midpoints lie in one cell. kEdges holds the
// cell's midpoint or infinity, kBelow the level below it, each at c modulo 32.
struct NonlinearCells {
  alignas(64) float edges[32];
  alignas(64) float below[32];
};

constexpr NonlinearCells MakeNonlinearCells() {
  NonlinearCells cells = {};
  for (int c = -17; c < 15; ++c) {
    const float low = 8.0f * static_cast<float>(c) - 4.0f;
    int index = 0;
    while (index < 15 && Midpoint(index) <= low) ++index;
    const bool inside = index < 15 && Midpoint(index) <= low + 8.0f;
    cells.edges[c & 31] = inside ? Midpoint(index) : __builtin_inff();
    cells.below[c & 31] = kNonlinear[index];
  }
  return cells;
}

constexpr NonlinearCells kNonlinearCells = MakeNonlinearCells();

template <>
QUANTD_LANE Float<16> NearestLevel<16>(Float<16> value) {
  // The sum's last bit is worth 8, so its low five bits are the cell modulo 32. There is room for
  // 32 cells and the range has more: what is above the last level joins its cell.
  const __m512 within = _mm512_min_ps(value.v, _mm512_set1_ps(113.0f));
  const __m512i cell = _mm512_castps_si512(_mm512_add_ps(within, _mm512_set1_ps(100663296.0f)));
  const __m512 edge =
      _mm512_permutex2var_ps(_mm512_load_ps(kNonlinearCells.edges), cell,
                             _mm512_load_ps(kNonlinearCells.edges + 16));
  const __mmask16 above = _mm512_cmp_ps_mask(within, edge, _CMP_GE_OQ);
  // Above a cell's midpoint is what lies below the next cell's.
  const __m512i at = _mm512_mask_add_epi32(cell, above, cell, _mm512_set1_epi32(1));
  return {_mm512_permutex2var_ps(_mm512_load_ps(kNonlinearCells.below), at,
                                 _mm512_load_ps(kNonlinearCells.below + 16))};
}

#elif defined(__AVX2__)

// A search in four halvings. After n of them `at` is minus what has been decided, and a
// permutation reads the low three bits of it: entry -at & 7 of each table.
struct NonlinearHalvings {
  alignas(32) float second[8];
  alignas(32) float third[8];
  alignas(32) float fourth[8];
  alignas(32) float lower[8];
  alignas(32) float step[8];
};

constexpr NonlinearHalvings MakeNonlinearHalvings() {
  NonlinearHalvings tables = {};
  for (int n = 0; n < 8; ++n) {
    tables.second[-n & 7] = Midpoint(n < 2 ? 8 * n + 3 : 3);
    tables.third[-n & 7] = Midpoint(n < 4 ? 4 * n + 1 : 1);
    tables.fourth[-n & 7] = Midpoint(2 * n);
    tables.lower[-n & 7] = kNonlinear[2 * n];
    tables.step[-n & 7] = kNonlinear[2 * n + 1] - kNonlinear[2 * n];
  }
  return tables;
}

constexpr NonlinearHalvings kNonlinearHalvings = MakeNonlinearHalvings();

template <>
QUANTD_LANE Float<8> NearestLevel<8>(Float<8> value) {
  const NonlinearHalvings& tables = kNonlinearHalvings;
  const auto reaches = [&](__m256 edge) {
    return _mm256_castps_si256(_mm256_cmp_ps(value.v, edge, _CMP_GE_OQ));
  };
  __m256i at = reaches(_mm256_set1_ps(Midpoint(7)));
  const __m256i second = reaches(_mm256_permutevar8x32_ps(_mm256_load_ps(tables.second), at));
  at = _mm256_add_epi32(_mm256_add_epi32(at, at), second);
  const __m256i third = reaches(_mm256_permutevar8x32_ps(_mm256_load_ps(tables.third), at));
  at = _mm256_add_epi32(_mm256_add_epi32(at, at), third);
  const __m256i fourth = reaches(_mm256_permutevar8x32_ps(_mm256_load_ps(tables.fourth), at));
  const __m256 step = _mm256_permutevar8x32_ps(_mm256_load_ps(tables.step), at);
  return {_mm256_add_ps(_mm256_permutevar8x32_ps(_mm256_load_ps(tables.lower), at),
                        _mm256_and_ps(step, _mm256_castsi256_ps(fourth)))};
}

#endif

}  // namespace
}  // namespace quantd

#endif
