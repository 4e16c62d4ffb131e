// Tiles: the innermost loop of the products, and what it needs of lanes beyond lanes.h.
//
//   words of weights [row][k] × words of tokens [k][lanes] ──▶ R × V vectors of chains ──▶ rows
//
// A word is what one step takes of one row or token: a binary32 number, or for vdpbf16ps a pair of
// bfloat16 numbers; nothing here looks into it. A tile keeps R rows × V vectors of tokens in
// registers while k ascends. What is cut in k goes on from the number it left, so that a cut changes
// no bit; in mode B, whose chains are short, that number is a sum which lies in memory anyway.
#ifndef QUANTD_PRODUCTS_TILE_H_
#define QUANTD_PRODUCTS_TILE_H_

#include <stddef.h>
#include <string.h>

#include <array>
#include <utility>

#include "lanes.h"

namespace quantd {
namespace {

// How many rows and vectors make a tile, so that all chains stay in registers, and enough of them
// run side by side to hide how long a step takes. `kGroup` rows by one vector serve few tokens.
// `kDepth` words of k at a time: of a panel and of a group of rows together they stay in the nearest
// cache.
template <int W>
struct TileShape;
template <>
struct TileShape<1> {
  static constexpr int kRows = 4;
  static constexpr int kVectors = 4;
  static constexpr int kGroup = 4;
  static constexpr size_t kDepth = 256;
};
template <>
struct TileShape<4> {
  static constexpr int kRows = 8;
  static constexpr int kVectors = 2;
  static constexpr int kGroup = 16;
  static constexpr size_t kDepth = 256;
};
template <>
struct TileShape<8> {
  static constexpr int kRows = 6;
  static constexpr int kVectors = 2;
  static constexpr int kGroup = 12;
  static constexpr size_t kDepth = 256;
};
template <>
struct TileShape<16> {
  static constexpr int kRows = 12;
  static constexpr int kVectors = 2;
  static constexpr int kGroup = 24;
  static constexpr size_t kDepth = 128;
};

// ---- one step of a chain ----

// a = fma(w, x, a), with one rounding.
struct FusedStep {
  // Words of a chain that a sum takes up, or 0 where one chain is all.
  static constexpr size_t kChain = 0;
  QUANTD_LANE static Float<1> Add(Float<1> w, Float<1> x, Float<1> a) {
    return {__builtin_fmaf(w.v, x.v, a.v)};
  }
#if defined(__AVX512F__)
  QUANTD_LANE static F16x Add(F16x w, F16x x, F16x a) { return {_mm512_fmadd_ps(w.v, x.v, a.v)}; }
#elif defined(__AVX2__)
  QUANTD_LANE static F8x Add(F8x w, F8x x, F8x a) { return {_mm256_fmadd_ps(w.v, x.v, a.v)}; }
#elif defined(__aarch64__) && defined(__ARM_NEON)
  QUANTD_LANE static F4x Add(F4x w, F4x x, F4x a) { return {vfmaq_f32(a.v, w.v, x.v)}; }
#endif
};

// Of a block of mode B its even columns, then the odd ones: a word each.
struct FusedBlockStep : FusedStep {
  static constexpr size_t kChain = 16;
};

// The same where the product is exact, without asking the C library for it.
struct ExactBlockStep {
  static constexpr size_t kChain = 16;
  QUANTD_LANE static Float<1> Add(Float<1> w, Float<1> x, Float<1> a) { return a + w * x; }
};

#if defined(__AVX512BF16__)
// Both products of a pair: the upper half, then the lower one.
struct PairBlockStep {
  static constexpr size_t kChain = 8;
  QUANTD_LANE static F16x Add(F16x w, F16x x, F16x a) {
    return {_mm512_dpbf16_ps(a.v, (__m512bh)w.v, (__m512bh)x.v)};
  }
};
#endif

// ---- squares of W × W numbers, turned over ----

QUANTD_LANE void Transpose(Float<1> (&)[1]) {}

#if defined(__AVX512F__)
QUANTD_LANE void Transpose(F16x (&r)[16]) {
  __m512 a[16];
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    a[2 * i] = _mm512_unpacklo_ps(r[2 * i].v, r[2 * i + 1].v);
    a[2 * i + 1] = _mm512_unpackhi_ps(r[2 * i].v, r[2 * i + 1].v);
  }
  __m512 b[16];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const __m512d low0 = _mm512_castps_pd(a[4 * i]);
    const __m512d low1 = _mm512_castps_pd(a[4 * i + 2]);
    const __m512d high0 = _mm512_castps_pd(a[4 * i + 1]);
    const __m512d high1 = _mm512_castps_pd(a[4 * i + 3]);
    b[4 * i] = _mm512_castpd_ps(_mm512_unpacklo_pd(low0, low1));
    b[4 * i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low0, low1));
    b[4 * i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(high0, high1));
    b[4 * i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(high0, high1));
  }
  // b[4 i + j] holds column 4 q + j of rows 4 i … 4 i + 3 in its quarter q.
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    const __m512 even01 = _mm512_shuffle_f32x4(b[j], b[4 + j], 0x88);
    const __m512 odd01 = _mm512_shuffle_f32x4(b[j], b[4 + j], 0xDD);
    const __m512 even23 = _mm512_shuffle_f32x4(b[8 + j], b[12 + j], 0x88);
    const __m512 odd23 = _mm512_shuffle_f32x4(b[8 + j], b[12 + j], 0xDD);
    r[j].v = _mm512_shuffle_f32x4(even01, even23, 0x88);
    r[4 + j].v = _mm512_shuffle_f32x4(odd01, odd23, 0x88);
    r[8 + j].v = _mm512_shuffle_f32x4(even01, even23, 0xDD);
    r[12 + j].v = _mm512_shuffle_f32x4(odd01, odd23, 0xDD);
  }
}
#elif defined(__AVX2__)
QUANTD_LANE void Transpose(F8x (&r)[8]) {
  __m256 a[8];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    a[2 * i] = _mm256_unpacklo_ps(r[2 * i].v, r[2 * i + 1].v);
    a[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i].v, r[2 * i + 1].v);
  }
  __m256 b[8];
#pragma GCC unroll 2
  for (int i = 0; i < 2; ++i) {
    b[4 * i] = _mm256_shuffle_ps(a[4 * i], a[4 * i + 2], 0x44);
    b[4 * i + 1] = _mm256_shuffle_ps(a[4 * i], a[4 * i + 2], 0xEE);
    b[4 * i + 2] = _mm256_shuffle_ps(a[4 * i + 1], a[4 * i + 3], 0x44);
    b[4 * i + 3] = _mm256_shuffle_ps(a[4 * i + 1], a[4 * i + 3], 0xEE);
  }
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    r[j].v = _mm256_permute2f128_ps(b[j], b[4 + j], 0x20);
    r[4 + j].v = _mm256_permute2f128_ps(b[j], b[4 + j], 0x31);
  }
}
#elif defined(__aarch64__) && defined(__ARM_NEON)
QUANTD_LANE void Transpose(F4x (&r)[4]) {
  const float32x4x2_t low = vzipq_f32(r[0].v, r[2].v);
  const float32x4x2_t high = vzipq_f32(r[1].v, r[3].v);
  const float32x4x2_t first = vzipq_f32(low.val[0], high.val[0]);
  const float32x4x2_t second = vzipq_f32(low.val[1], high.val[1]);
  r[0].v = first.val[0];
  r[1].v = first.val[1];
  r[2].v = second.val[0];
  r[3].v = second.val[1];
}
#endif

// The first N numbers of a vector into memory that ends there.
template <int N, int W>
QUANTD_LANE void StoreFirst(Float<W> vector, float* into) {
  if constexpr (N == W) return vector.Store(into);
#if defined(__AVX512F__)
  if constexpr (W == 16) return _mm512_mask_storeu_ps(into, (1u << N) - 1, vector.v);
#endif
  alignas(64) float whole[W];
  vector.Store(whole);
  memcpy(into, whole, N * sizeof(float));
}

// ---- tiles ----

// Memory that is wanted soon, fetched while the multipliers are busy: at every eighth word some lines
// from `at` on, which moves by `step`. Little by little, for much at once fills the queues to memory
// and stops the tile; and without a branch, for one that is guessed wrong costs as much as the words
// between.
struct Ahead {
  uintptr_t at;
  size_t step;
};
constexpr size_t kAheadWords = 8;
constexpr size_t kAheadLines = 3;
constexpr size_t kLine = 64;

// Past the end of an array too, which does no harm.
QUANTD_LANE void Fetch(uintptr_t at, size_t lines) {
#pragma GCC unroll 4
  for (size_t line = 0; line < lines; ++line) {
    __builtin_prefetch(reinterpret_cast<const void*>(at + line * kLine));
  }
}

struct Place {
  float* into;  // Of the tile's first token and row.
  size_t stride;
  size_t tokens;  // Of those in the vectors; the others are nobody's.
  float* sums;  // R × V vectors: what a cut leaves for the next one.
  bool begins;  // They begin here at +0,
  bool ends;    // and end here: they go to their place, row by row turned to token by token.
};

// How many of the rows from `first` on a square of W takes.
template <int R, int W>
constexpr int SquareRows(int first) {
  return R - first < W ? R - first : W;
}

template <int W, int R, int V, int kFirst = 0>
QUANTD_LANE void StoreChains(const Place& place, const Float<W> (&a)[R][V]) {
  if constexpr (kFirst < R) {
    constexpr int kCount = SquareRows<R, W>(kFirst);
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      Float<W> square[W];
#pragma GCC unroll 16
      for (int r = 0; r < W; ++r) {
        square[r] = r < kCount ? a[kFirst + (r < kCount ? r : 0)][v] : Float<W>::Set(0.0f);
      }
      Transpose(square);
      float* into = place.into + static_cast<size_t>(v) * W * place.stride + kFirst;
      const size_t here = static_cast<size_t>(v) * W;
#pragma GCC unroll 16
      for (size_t l = 0; l < W; ++l) {
        if (here + l < place.tokens) StoreFirst<kCount, W>(square[l], into + l * place.stride);
      }
    }
    StoreChains<W, R, V, kFirst + W>(place, a);
  }
}

template <int W, int R, int V>
QUANTD_LANE void ClearVectors(Float<W> (&a)[R][V]) {
#pragma GCC unroll 24
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) a[r][v] = Float<W>::Set(0.0f);
  }
}

template <int W, int R, int V>
QUANTD_LANE void LoadVectors(const float* from, Float<W> (&a)[R][V]) {
#pragma GCC unroll 24
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) a[r][v] = Float<W>::Load(from + (r * V + v) * W);
  }
}

template <int W, int R, int V>
QUANTD_LANE void StoreVectors(const Float<W> (&a)[R][V], float* into) {
#pragma GCC unroll 24
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) a[r][v].Store(into + (r * V + v) * W);
  }
}

// a = from + a
template <int W, int R, int V>
QUANTD_LANE void AddVectors(const float* from, Float<W> (&a)[R][V]) {
#pragma GCC unroll 24
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) a[r][v] = Float<W>::Load(from + (r * V + v) * W) + a[r][v];
  }
}

// The words [k, end) of R rows of TileShape<W>::kDepth words and of V vectors of tokens.
template <typename Step, int W, int R, int V, bool kFetches>
QUANTD_LANE void RunWords(const float* weights, const float* tokens, size_t k, size_t end,
                          [[maybe_unused]] Ahead& ahead, Float<W> (&a)[R][V]) {
  while (k < end) {
    size_t stop = end;
    if constexpr (kFetches) {
      if (end - k > kAheadWords) stop = k + kAheadWords;
      Fetch(ahead.at, kAheadLines);
      ahead.at += ahead.step;
    }
    for (; k < stop; ++k) {
      Float<W> x[V];
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) x[v] = Float<W>::Load(tokens + (k * V + v) * W);
#pragma GCC unroll 24
      for (int r = 0; r < R; ++r) {
        const Float<W> w = Float<W>::Set(weights[r * TileShape<W>::kDepth + k]);
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) a[r][v] = Step::Add(w, x[v], a[r][v]);
      }
    }
  }
}

// `depth` words, more than none: for mode B those of whole blocks.
template <typename Step, int W, int R, int V, bool kFetches>
void RunTile(const float* weights, const float* tokens, size_t depth, const Place& place,
             Ahead ahead) {
  Float<W> a[R][V];
  if constexpr (Step::kChain == 0) {
    if (place.begins) {
      ClearVectors(a);
    } else {
      LoadVectors(place.sums, a);
    }
    RunWords<Step, W, R, V, kFetches>(weights, tokens, 0, depth, ahead, a);
  } else {
    alignas(64) float even[R * V * W];
    size_t k = 0;
    do {
      const size_t odd = k + Step::kChain;
      ClearVectors(a);
      RunWords<Step, W, R, V, kFetches>(weights, tokens, k, odd, ahead, a);
      StoreVectors(a, even);
      ClearVectors(a);
      RunWords<Step, W, R, V, kFetches>(weights, tokens, odd, odd + Step::kChain, ahead, a);
      AddVectors(even, a);
      // The first is added to +0, which changes nothing: no chain is -0.
      if (k > 0 || !place.begins) AddVectors(place.sums, a);
      k += 2 * Step::kChain;
      if (k < depth) StoreVectors(a, place.sums);
    } while (k < depth);
  }
  if (place.ends) return StoreChains<W, R, V>(place, a);
  StoreVectors(a, place.sums);
}

using Tile = void (*)(const float* weights, const float* tokens, size_t depth, const Place& place,
                      Ahead ahead);

template <typename Step, int W, int V, bool kFetches, int... R>
constexpr std::array<Tile, sizeof...(R)> ListTiles(std::integer_sequence<int, R...>) {
  return {RunTile<Step, W, R + 1, V, kFetches>...};
}

// The tiles of one step, by their rows less one.
template <typename Step, int W>
struct Tiles {
  using Shape = TileShape<W>;
  static constexpr auto kWide =
      ListTiles<Step, W, Shape::kVectors, false>(std::make_integer_sequence<int, Shape::kRows>());
  static constexpr auto kWideFetching =
      ListTiles<Step, W, Shape::kVectors, true>(std::make_integer_sequence<int, Shape::kRows>());
  static constexpr auto kNarrow =
      ListTiles<Step, W, 1, false>(std::make_integer_sequence<int, Shape::kGroup>());
};

}  // namespace
}  // namespace quantd

#endif
