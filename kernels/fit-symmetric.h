// Fit of symmetric levels: a scale for a few values, by trying 19 of them (Q3_K, Q4_0, Q5_0, Q6_K).
//
//   x, weights (kCount lanes) ──▶ FitSymmetric ──▶ scale, and the reciprocal that made the levels
//
// Internal linkage for the reason given in lanes.h. Read next: symmetric.cpp.
#ifndef QUANTD_FIT_SYMMETRIC_H_
#define QUANTD_FIT_SYMMETRIC_H_

#include "block-lanes.h"

namespace quantd {
namespace {

// Below this a block counts as zero.
constexpr float kTiny = 1e-15f;

template <int W>
struct ExtremeOf {
  Float<W> value;      // With its sign; the first of equals; 0 when all are 0 or NaN.
  Float<W> magnitude;
};

// The value with the largest magnitude.
template <int W>
QUANTD_LANE ExtremeOf<W> Extreme(const Float<W>* x, int count) {
  ExtremeOf<W> most = {Float<W>::Set(0.0f), Float<W>::Set(0.0f)};
  for (int i = 0; i < count; ++i) {
    const Float<W> magnitude = Magnitude(x[i]);
    const Mask<W> more = magnitude > most.magnitude;
    most.magnitude = Select(more, magnitude, most.magnitude);
    most.value = Select(more, x[i], most.value);
  }
  return most;
}

// The same for finite x, whose two ends need no chain of comparisons. Only where they are
// opposites does it matter which comes first.
template <int W, int kCount>
QUANTD_LANE ExtremeOf<W> ExtremeFinite(const Float<W>* x) {
  if constexpr (W == 1) {
    return Extreme<W>(x, kCount);
  } else {
    Float<W> low[2] = {x[0], x[1]};
    Float<W> high[2] = {x[0], x[1]};
    for (int i = 2; i < kCount; ++i) {
      low[i & 1] = Min(low[i & 1], x[i]);
      high[i & 1] = Max(high[i & 1], x[i]);
    }
    const Float<W> lowest = Min(low[0], low[1]);
    const Float<W> highest = Max(high[0], high[1]);
    const Float<W> below = Magnitude(lowest);
    const Float<W> above = Magnitude(highest);
    if (Any((below == above) & (above > Float<W>::Set(0.0f)))) return Extreme<W>(x, kCount);
    // Also when all are positive or all negative: the other end is then the nearer one to 0.
    const Mask<W> up = above > below;
    // Where all are 0 the extreme is +0, whatever their signs.
    return {Select(up, highest, lowest) + Float<W>::Set(0.0f), Select(up, above, below)};
  }
}

template <int W>
struct SymmetricFit {
  Float<W> scale;    // May be negative.
  Float<W> inverse;  // Levels are the nearest whole numbers of inverse * x, within -N..N-1.
  Mask<W> zero;      // The values count as zero: all stored levels are 0, not N.
};

// How a level is made. kWhole: of finite x, where no candidate can fall below -N; kLow: of finite
// x; kAny: whatever the bits say, for values that may be infinite or NaN.
enum class Rounding { kWhole, kLow, kAny };

template <int W, int kLevels, Rounding kRounding>
QUANTD_LANE Float<W> SymmetricLevel(Float<W> value) {
  if constexpr (kRounding == Rounding::kAny) {
    return NearestWithin(value, -kLevels, kLevels - 1);
  } else {
    const Float<W> level =
        Min(NearestWhole(value), Float<W>::Set(static_cast<float>(kLevels - 1)));
    if constexpr (kRounding == Rounding::kWhole) return level;
    return Max(level, Float<W>::Set(static_cast<float>(-kLevels)));
  }
}

// A fit in progress: the best of the candidates so far, in their order.
template <int W, int kCount, int kLevels>
struct SymmetricSearch {
  const Float<W>* x;
  const Float<W>* w;
  const Float<W>* wx;
  Float<W> extreme;
  Float<W> inverse;
  Float<W> scale;
  Float<W> best;

  // k = first .. first + kWays - 1.
  template <int kWays>
  QUANTD_LANE void Inverses(int first, Float<W>* into) const {
    for (int k = 0; k < kWays; ++k) {
      const float n = static_cast<float>(kLevels) + 0.1f * static_cast<float>(first + k);
      into[k] = Float<W>::Set(-n) / extreme;
    }
  }

  // Sums of weight * x * level and of weight * level * level.
  template <int kWays, Rounding kRounding>
  QUANTD_LANE void Project(const Float<W>* inverses, Float<W>* with_values,
                           Float<W>* with_levels) const {
    for (int k = 0; k < kWays; ++k) with_values[k] = with_levels[k] = Float<W>::Set(0.0f);
#pragma GCC unroll 4
    for (int i = 0; i < kCount; ++i) {
      for (int k = 0; k < kWays; ++k) {
        const Float<W> level = SymmetricLevel<W, kLevels, kRounding>(inverses[k] * x[i]);
        with_values[k] = with_values[k] + wx[i] * level;
        with_levels[k] = with_levels[k] + w[i] * level * level;
      }
    }
  }

  template <int kWays, Rounding kRounding>
  QUANTD_LANE void Try(const Float<W>* inverses) {
    Float<W> with_values[kWays];
    Float<W> with_levels[kWays];
    Project<kWays, kRounding>(inverses, with_values, with_levels);
    for (int k = 0; k < kWays; ++k) {
      const Mask<W> better = (with_levels[k] > Float<W>::Set(0.0f)) &
                             (with_values[k] * with_values[k] > best * with_levels[k]);
      const Float<W> attempt = with_values[k] / with_levels[k];
      inverse = Select(better, inverses[k], inverse);
      scale = Select(better, attempt, scale);
      best = Select(better, attempt * with_values[k], best);
    }
  }
};

// x, w, wx = w * x (kCount each); kFinite: every x is finite.
//
// The extreme of x maps to -(N + 0.1 k), k = -9 .. 9, so no |inverse * x| rounds to more than
// N + 1, and to no more than N while k <= 4.
template <int W, int kCount, int kLevels, bool kFinite>
QUANTD_LANE SymmetricFit<W> FitSymmetric(const Float<W>* x, const Float<W>* w,
                                         const Float<W>* wx) {
  constexpr Rounding kInside = kFinite ? Rounding::kWhole : Rounding::kAny;
  constexpr Rounding kBeyond = kFinite ? Rounding::kLow : Rounding::kAny;
  const Float<W> nought = Float<W>::Set(0.0f);
  const ExtremeOf<W> extreme =
      kFinite ? ExtremeFinite<W, kCount>(x) : Extreme<W>(x, kCount);
  SymmetricSearch<W, kCount, kLevels> search = {x,      w,      wx,    extreme.value,
                                                nought, nought, nought};
  // A division takes long: those of the next candidates start before these are tried.
  Float<W> now[3];
  Float<W> next[3];
  search.template Inverses<1>(0, now);
  search.template Inverses<3>(-9, next);
  search.inverse = now[0];
  Float<W> with_values;
  Float<W> with_levels;
  search.template Project<1, kInside>(now, &with_values, &with_levels);
  search.scale = Select(~(with_levels == nought), with_values / with_levels, nought);
  search.best = search.scale * with_values;
  for (int k = -6; k <= 4; k += 3) {
    for (int i = 0; i < 3; ++i) now[i] = next[i];
    // 0 is done already: -3, -2, -1 are followed by 1, 2, 3.
    search.template Inverses<3>(k < 0 ? k : k + 1, next);
    search.template Try<3, kInside>(now);
  }
  for (int i = 0; i < 3; ++i) now[i] = next[i];
  search.template Inverses<3>(7, next);
  search.template Try<3, kBeyond>(now);
  search.template Try<3, kBeyond>(next);
  const Mask<W> zero = extreme.magnitude < Float<W>::Set(kTiny);
  return {Select(zero, nought, search.scale), search.inverse, zero};
}

// The stored level of x: 0..2N-1.
template <int W, int kLevels>
QUANTD_LANE Int<W> StoredLevel(Float<W> x, const SymmetricFit<W>& fit) {
  const Int<W> level = Clamp(Nearest(fit.inverse * x), -kLevels, kLevels - 1);
  return Select(fit.zero, Int<W>::Set(0), level + Int<W>::Set(kLevels));
}

// The stored levels of 16 values: 4 words.
template <int W, int kLevels>
QUANTD_LANE void StoredLevels(const Float<W>* x, const SymmetricFit<W>& fit, Int<W>* into) {
  for (int i = 0; i < 4; ++i) {
    Int<W> four[4];
    for (int k = 0; k < 4; ++k) four[k] = StoredLevel<W, kLevels>(x[4 * i + k], fit);
    into[i] = WordOf(four);
  }
}

// Levels of 16 finite x again, from the scale as it is stored; where that is 0 those that stand
// in `levels` (4 words) stay.
template <int W, int kLevels>
QUANTD_LANE void RefineLevels(const Float<W>* x, Float<W> scale, Int<W>* levels) {
  const Mask<W> stale = scale == Float<W>::Set(0.0f);
  for (int i = 0; i < 4; ++i) {
    Int<W> four[4];
    for (int k = 0; k < 4; ++k) {
      four[k] = Clamp(Nearest(x[4 * i + k] / scale), -kLevels, kLevels - 1) + Int<W>::Set(kLevels);
    }
    levels[i] = Select(stale, levels[i], WordOf(four));
  }
}

// Weights from importance: importance * sqrt(mean_square + x * x).
template <int W>
QUANTD_LANE Float<W> Weight(Float<W> importance, Float<W> mean_square, Float<W> x) {
  return importance * Sqrt(mean_square + x * x);
}

}  // namespace
}  // namespace quantd

#endif
