// Affine fit: scale and minimum of sub-blocks by weighted least squares, and the search for them.
//
//   values of kSide sub-blocks in every lane, how they weigh ──▶ FitAffine ──▶ AffineFit[kSide]
//
// An accepted candidate moves the minimum that the later candidates start from, so the search is
// sequential; what runs beside it are other lanes and, to fill the pipes, kSide sub-blocks of
// each lane. Levels are not kept: the few who need them make them again (AffineLevel). The order
// of the operations is the promise (docs/quantization.md).
#ifndef QUANTD_AFFINE_FIT_H_
#define QUANTD_AFFINE_FIT_H_

#include "lanes.h"

namespace quantd {
namespace {

// The scales that are tried: (first + step * k + N) / range for k = 0..steps inclusive.
struct AffineSearch {
  float first;
  float step;
  int steps;
};

template <int W>
struct AffineFit {
  Float<W> scale;
  Float<W> low;      // The lowest level's value; the minimum of a block is its negative.
  Float<W> weight;   // The sum of the weights.
  Float<W> inverse;  // Level i is AffineLevel(inverse * (x[i] - origin)).
  Float<W> origin;
  Float<W> bottom;  // The lowest and the highest value.
  Float<W> high;
};

constexpr float kRoundingBias = 12582912.0f;  // 1.5 * 2^23

// Which values a level is made of, and so how: none below -1/2 (kBare) or above kLevels + 1/2
// (kFloored, kBare), any in reach (kClamped), any that LevelTable holds (kLooked), or any in reach
// up to kLevels + 1 (kPicked).
enum class Rounding { kClamped, kFloored, kBare, kLooked, kPicked };

#if defined(__AVX512F__)
// The level of biased bits by their lowest five: what is a little too large or too small finds the
// nearest level there, so one look takes the place of two clamps and more. From -8 to 23; where
// there are 31 levels, from -1 to 30.
template <class Number, int kLevels>
struct LevelTable {
  alignas(64) Number level[32] = {};
  constexpr LevelTable() {
    const int end = kLevels < 16 ? 24 : 31;
    for (int i = 0; i < end; ++i) level[i] = static_cast<Number>(i < kLevels ? i : kLevels);
  }
};
template <int kLevels>
QUANTD_LANE Float<16> LookUpLevel(Float<16> biased) {
  static constexpr LevelTable<float, kLevels> kTable;
  return {_mm512_permutex2var_ps(_mm512_load_ps(kTable.level), _mm512_castps_si512(biased.v),
                                 _mm512_load_ps(kTable.level + 16))};
}
template <int kLevels>
QUANTD_LANE Int<16> LookUpWholeLevel(Float<16> biased) {
  static constexpr LevelTable<int32_t, kLevels> kTable;
  return {_mm512_permutex2var_epi32(_mm512_load_si512(kTable.level),
                                    _mm512_castps_si512(biased.v),
                                    _mm512_load_si512(kTable.level + 16))};
}

// The 31 levels above 0 and the one too large, 32, which has the lowest bits of 0: what rounds to
// 0 or less is not looked up at all.
struct PickTable {
  alignas(64) float level[32] = {31.0f};
  constexpr PickTable() {
    for (int i = 1; i < 32; ++i) level[i] = static_cast<float>(i);
  }
};
QUANTD_LANE Float<16> PickLevel(Float<16> value, Float<16> biased) {
  static constexpr PickTable kTable;
  const M16x above = value > F16x::Set(0.5f);
  return {_mm512_maskz_permutex2var_ps(above.v, _mm512_load_ps(kTable.level),
                                       _mm512_castps_si512(biased.v),
                                       _mm512_load_ps(kTable.level + 16))};
}
template <int kLevels, int W>
constexpr bool kHasLook = W == 16 && kLevels < 16;
template <int kLevels, int W>
constexpr bool kHasPick = W == 16 && kLevels == 31;
#else
template <int kLevels, int W>
constexpr bool kHasLook = false;
template <int kLevels, int W>
constexpr bool kHasPick = false;
#endif

// A level 0..kLevels as a float. In several lanes the value must be in reach (InReach):
// there the sum with the bias still counts in ones, so clamping the sum is clamping its rounding,
// in one type. A single lane takes the way of Nearest, which is right for every value.
template <int kLevels, Rounding kRounding, int W>
QUANTD_LANE Float<W> AffineLevel(Float<W> value) {
  if constexpr (W == 1) {
    return ToFloat(Clamp(Nearest(value), 0, kLevels));
  } else {
    const Float<W> bottom = Float<W>::Set(kRoundingBias);
    const Float<W> top = Float<W>::Set(kRoundingBias + static_cast<float>(kLevels));
    Float<W> biased = value + bottom;
    if constexpr (kRounding == Rounding::kLooked) return LookUpLevel<kLevels>(biased);
    if constexpr (kRounding == Rounding::kPicked) return PickLevel(value, biased);
    if constexpr (kRounding == Rounding::kClamped) biased = Min(biased, top);
    if constexpr (kRounding != Rounding::kBare) biased = Max(biased, bottom);
    return biased - bottom;
  }
}

// The level 0..kLevels of biased bits, of values in reach.
template <int kLevels, int W>
QUANTD_LANE Int<W> ClampedLevel(Float<W> biased) {
  const Float<W> bottom = Float<W>::Set(kRoundingBias);
  const Float<W> top = Float<W>::Set(kRoundingBias + static_cast<float>(kLevels));
  return Bits(Max(Min(biased, top), bottom)) & Int<W>::Set(63);
}

// The same, of values between -8 and 23 where there is a look.
template <int kLevels, int W>
QUANTD_LANE Int<W> LevelOfBiased(Float<W> biased) {
  if constexpr (kHasLook<kLevels, W>) return LookUpWholeLevel<kLevels>(biased);
  return ClampedLevel<kLevels>(biased);
}

template <bool kAbsolute, int W>
QUANTD_LANE Float<W> Cost(Float<W> difference) {
  if constexpr (kAbsolute) return Magnitude(difference);
  return difference * difference;
}

// What the search knows of one sub-block.
template <int W>
struct AffineState {
  Float<W> bottom;  // The lowest value; `low` is at most 0 and moves.
  Float<W> low;
  Float<W> high;
  Float<W> sum_w;
  Float<W> sum_x;
  Float<W> scale;
  Float<W> error;
  Float<W> inverse;  // Of the candidate, as all that follows.
  Float<W> try_scale;
  Float<W> try_low;
  Float<W> best_inverse;
  Float<W> best_origin;
  Mask<W> live;      // Not all values are equal.
  Float<W> least_low;  // Of all that `low` has been.
  Float<W> most_low;
  Mask<W> usable;    // The candidate.
};

template <int kCount, int W>
QUANTD_LANE void FindBounds(const Float<W>* x, AffineState<W>& my) {
  const Float<W> zero = Float<W>::Set(0.0f);
  Float<W> low = x[0];
  Float<W> high = x[0];
  for (int i = 1; i < kCount; ++i) {
    low = Min(x[i], low);
    high = Max(x[i], high);
  }
  my.bottom = low;
  my.low = Select(low > zero, zero, low);
  my.high = high;
  my.live = high > my.low;
  my.least_low = my.most_low = my.low;
}

// The scale to multiply with, numerator / range.
template <int W>
QUANTD_LANE void InverseScale(float numerator, AffineState<W>& my) {
  my.inverse = Float<W>::Set(numerator) / (my.high - my.low);
}

// Whether the candidate of any of the sub-blocks brings its lowest value below `bound`, in levels.
template <int kSide, int W>
QUANTD_LANE bool Sinks(const AffineState<W>* states, float bound) {
  const auto sinks = [&](const AffineState<W>& my) {
    return my.inverse * (my.bottom - my.low) < Float<W>::Set(bound);
  };
  Mask<W> any = sinks(states[0]);
  for (int s = 1; s < kSide; ++s) any = any | sinks(states[s]);
  return Any(any);
}

// Whether no candidate's scale was infinite, zero or negative, and every value stayed in reach of
// the quick rounding, 2^22. The range is widest at the least `low` and narrowest at the most; from
// the lowest value to `low` it is the farthest, in levels, at the most too. Divisions, products
// and differences round monotonically, so what holds there held for every candidate.
template <int W>
QUANTD_LANE Mask<W> InReach(float most_numerator, const AffineState<W>& my) {
  const Float<W> zero = Float<W>::Set(0.0f);
  const Float<W> reach = Float<W>::Set(2000000.0f);
  const Float<W> widest = my.high - my.least_low;
  const Float<W> narrowest = my.high - my.most_low;
  const Float<W> most = Float<W>::Set(most_numerator) / narrowest;
  return (Float<W>::Set(0.5f) / widest > zero) & (most > zero) & (most * narrowest < reach) &
         (most * (my.most_low - my.bottom) < reach);
}

// The weights, the levels of the range itself and their error. One loop, so that the roots of
// the weights come while the rest is loaded and counted. x (kCount), w (kCount, kSide).
template <int kCount, int kLevels, bool kAbsolute, int kSide, class Weigh, int W>
QUANTD_LANE void GuessScale(const Float<W>* x, const Weigh& weigh, int at, Float<W>* w,
                            AffineState<W>& my) {
  InverseScale(static_cast<float>(kLevels), my);
  const Float<W> low = my.low;
  const Float<W> inverse = my.inverse;
  const Float<W> scale = Float<W>::Set(1.0f) / inverse;
  Float<W> error = Float<W>::Set(0.0f);
  Float<W> sum_w = error;
  Float<W> sum_x = error;
  Float<W> four[4];
  for (int i = 0; i < kCount; ++i) {
    if (i % 4 == 0) weigh(at + i, x + i, four);
    const Float<W> weight = four[i % 4];
    w[i * kSide] = weight;
    const Float<W> wx = weight * x[i];
    // The sums begin with their first terms, which may be -0.
    sum_w = i == 0 ? weight : sum_w + weight;
    sum_x = i == 0 ? wx : sum_x + wx;
    // From 0 to kLevels without a clamp: the lowest value is at least `low` here.
    const Float<W> level = AffineLevel<kLevels, Rounding::kBare>(inverse * (x[i] - low));
    error = error + weight * Cost<kAbsolute>(scale * level + low - x[i]);
  }
  my.sum_w = sum_w;
  my.sum_x = sum_x;
  my.scale = scale;
  // Nothing betters what is not searched.
  my.error = Select(my.live, error, Float<W>::Set(-__builtin_inff()));
  my.best_inverse = Select(my.live, inverse, Float<W>::Set(0.0f));
  my.best_origin = low;
}

// The candidate's levels and its least squares. x (kSide, kCount),
// w and levels (kCount, kSide), states (kSide).
template <int kCount, int kLevels, Rounding kRounding, int kSide, int W>
QUANTD_LANE void TryLevels(const Float<W>* x, const Float<W>* w, AffineState<W>* states,
                           Float<W>* levels) {
  const Float<W> zero = Float<W>::Set(0.0f);
  Float<W> inverse[kSide], low[kSide], sum_l[kSide], sum_l2[kSide], sum_xl[kSide];
  for (int s = 0; s < kSide; ++s) {
    inverse[s] = states[s].inverse;
    low[s] = states[s].low;
    sum_l[s] = sum_l2[s] = sum_xl[s] = zero;
  }
  for (int i = 0; i < kCount; ++i) {
    for (int s = 0; s < kSide; ++s) {
      const Float<W> value = x[s * kCount + i];
      const Float<W> level =
          AffineLevel<kLevels, kRounding>(inverse[s] * (value - low[s]));
      levels[i * kSide + s] = level;
      const Float<W> wl = w[i * kSide + s] * level;
      sum_l[s] = sum_l[s] + wl;
      sum_l2[s] = sum_l2[s] + wl * level;
      sum_xl[s] = sum_xl[s] + wl * value;
    }
  }
  for (int s = 0; s < kSide; ++s) {
    AffineState<W>& my = states[s];
    const Float<W> determinant = my.sum_w * sum_l2[s] - sum_l[s] * sum_l[s];
    my.usable = determinant > zero;
    my.try_scale = (my.sum_w * sum_xl[s] - my.sum_x * sum_l[s]) / determinant;
    my.try_low = (sum_l2[s] * my.sum_x - sum_l[s] * sum_xl[s]) / determinant;
    const Mask<W> above = my.try_low > zero;
    if (!Any(above)) continue;
    my.try_low = Select(above, zero, my.try_low);
    my.try_scale = Select(above, sum_xl[s] / sum_l2[s], my.try_scale);
  }
}

// Changes the lanes of `better`. A store with a mask (kStore) spares the arithmetic pipes, which
// pays with 31 levels; with fewer the other way is the quicker one.
template <bool kStore, int W>
QUANTD_LANE void Keep(Mask<W> better, Float<W> value, Float<W>& into) {
  if constexpr (kStore) {
    StoreWhere(better, value, into);
  } else {
    into = Select(better, value, into);
  }
}

// The candidate's error; where it is lower, the candidate is taken. Then the next one is begun.
template <int kCount, int kLevels, bool kAbsolute, int kSide, int W>
QUANTD_LANE void TryError(const Float<W>* x, const Float<W>* w, const Float<W>* levels,
                          float next_numerator, AffineState<W>* states) {
  Float<W> scale[kSide], low[kSide], error[kSide];
  for (int s = 0; s < kSide; ++s) {
    scale[s] = states[s].try_scale;
    low[s] = states[s].try_low;
    error[s] = Float<W>::Set(0.0f);
  }
  for (int i = 0; i < kCount; ++i) {
    for (int s = 0; s < kSide; ++s) {
      const Float<W> at = scale[s] * levels[i * kSide + s] + low[s];
      error[s] = error[s] + w[i * kSide + s] * Cost<kAbsolute>(at - x[s * kCount + i]);
    }
  }
  for (int s = 0; s < kSide; ++s) {
    AffineState<W>& my = states[s];
    const Mask<W> better = my.usable & (error[s] < my.error);
    my.error = Select(better, error[s], my.error);
    Keep<kHasPick<kLevels, W>>(better, scale[s], my.scale);
    Keep<kHasPick<kLevels, W>>(better, my.inverse, my.best_inverse);
    Keep<kHasPick<kLevels, W>>(better, my.low, my.best_origin);
    my.low = Select(better, low[s], my.low);
    my.least_low = Min(my.low, my.least_low);
    my.most_low = Max(my.low, my.most_low);
    InverseScale(next_numerator, my);
  }
}

template <int kLevels>
QUANTD_LANE float Numerator(const AffineSearch& search, int k) {
  return search.first + search.step * static_cast<float>(k) + static_cast<float>(kLevels);
}

// TryLevels with no more clamps than the sub-blocks need. No search comes to kLevels + 1.
template <int kCount, int kLevels, int kSide, int W>
QUANTD_LANE void TrySideBySide(const Float<W>* x, const Float<W>* w, float numerator,
                               AffineState<W>* states, Float<W>* levels) {
  // The highest value comes to the numerator, but for the last bits of two roundings.
  const float highest = static_cast<float>(kLevels);
  const bool capped = numerator > highest + 0.49f;
  if constexpr (kHasPick<kLevels, W>) {
    if (numerator < highest - 0.51f && !Sinks<kSide>(states, -1.49f)) {
      TryLevels<kCount, kLevels, Rounding::kLooked, kSide>(x, w, states, levels);
    } else {
      TryLevels<kCount, kLevels, Rounding::kPicked, kSide>(x, w, states, levels);
    }
  } else if constexpr (kHasLook<kLevels, W>) {
    if (!Sinks<kSide>(states, -8.0f)) {
      TryLevels<kCount, kLevels, Rounding::kLooked, kSide>(x, w, states, levels);
    } else if (capped) {
      TryLevels<kCount, kLevels, Rounding::kClamped, kSide>(x, w, states, levels);
    } else {
      TryLevels<kCount, kLevels, Rounding::kFloored, kSide>(x, w, states, levels);
    }
  } else if (capped) {
    TryLevels<kCount, kLevels, Rounding::kClamped, kSide>(x, w, states, levels);
  } else if (Sinks<kSide>(states, -0.5f)) {
    TryLevels<kCount, kLevels, Rounding::kFloored, kSide>(x, w, states, levels);
  } else {
    TryLevels<kCount, kLevels, Rounding::kBare, kSide>(x, w, states, levels);
  }
}

// x (kSide, kCount), fits (kSide); weigh(i, x + i, into) gives the weights of elements i to i + 3.
// Bit l of the answer: lane l holds a value out of reach (subnormal ranges), its fits are
// worthless and a single lane has to make them.
template <int kCount, int kLevels, bool kAbsolute, int kSide, class Weigh, int W>
[[maybe_unused]] __attribute__((noinline)) uint32_t FitAffine(const Float<W>* x,
                                                              const Weigh& weigh,
                                                              const AffineSearch& search,
                                                              AffineFit<W>* fits) {
  Float<W> w[kSide * kCount];
  Float<W> levels[kSide * kCount];
  AffineState<W> states[kSide];
  for (int s = 0; s < kSide; ++s) {
    const int at = s * kCount;
    FindBounds<kCount>(x + at, states[s]);
    GuessScale<kCount, kLevels, kAbsolute, kSide>(x + at, weigh, at, w + s, states[s]);
    InverseScale(Numerator<kLevels>(search, 0), states[s]);
  }
  for (int k = 0; k <= search.steps; ++k) {
    // After the last candidate it is begun once more, which changes nothing that is kept.
    const float next = Numerator<kLevels>(search, k < search.steps ? k + 1 : k);
    TrySideBySide<kCount, kLevels, kSide>(x, w, Numerator<kLevels>(search, k), states, levels);
    TryError<kCount, kLevels, kAbsolute, kSide>(x, w, levels, next, states);
  }

  const float most = Numerator<kLevels>(search, search.steps);
  uint32_t out_of_reach = 0;
  for (int s = 0; s < kSide; ++s) {
    const AffineState<W>& my = states[s];
    fits[s].scale = Select(my.live, my.scale, Float<W>::Set(0.0f));
    fits[s].low = my.low;
    fits[s].weight = my.sum_w;
    fits[s].inverse = my.best_inverse;
    fits[s].origin = my.best_origin;
    fits[s].bottom = my.bottom;
    fits[s].high = my.high;
    out_of_reach |= LaneBits(my.live & ~InReach(most, my));
  }
  return out_of_reach;
}

}  // namespace
}  // namespace quantd

#endif
