// Positive: the fit of levels 0..N times one scale to values that are not negative.
//
//   kCount values and weights in every lane ──▶ FitPositive ──▶ levels, scale
//
// Two users: the scales and minima of a super-block are coded with it (affine.cpp), and the
// magnitudes of the codebook types. The order of the operations is the promise
// (docs/quantization.md); lanes never meet (lanes.h).
#ifndef QUANTD_POSITIVE_H_
#define QUANTD_POSITIVE_H_

#include "lanes.h"

namespace quantd {
namespace {

// The weighted squared error of scale * level. Levels of candidates are not stored, so they
// need no wrapping.
template <int kCount, int kLevels, int W>
QUANTD_LANE Float<W> PositiveError(const Float<W>* x, const Float<W>* w, Float<W> inverse) {
  const Float<W> scale = Float<W>::Set(1.0f) / inverse;
  Float<W> error = Float<W>::Set(0.0f);
  for (int i = 0; i < kCount; ++i) {
    const Int<W> level = Min(Nearest(inverse * x[i]), Int<W>::Set(kLevels));
    const Float<W> difference = x[i] - scale * ToFloat(level);
    error = error + w[i] * difference * difference;
  }
  return error;
}

// Moves one level at a time while that betters sum_xl^2 / sum_l2, for at most five sweeps. A
// lane that a sweep leaves alone would be left alone by every further one, so lanes need no end
// of their own.
template <int kCount, int kLevels, int W>
QUANTD_LANE void SweepPositive(const Float<W>* x, const Float<W>* w, Float<W>& sum_xl,
                               Float<W>& sum_l2, Int<W>* levels) {
  const Float<W> zero = Float<W>::Set(0.0f);
  for (int sweep = 0; sweep < 5; ++sweep) {
    bool changed = false;
    for (int i = 0; i < kCount; ++i) {
      const Float<W> wx = w[i] * x[i];
      const Float<W> l = ToFloat(levels[i]);
      const Float<W> rest_xl = sum_xl - wx * l;
      const Float<W> rest_l2 = sum_l2 - w[i] * l * l;
      const Int<W> level = Min(Nearest(x[i] * rest_l2 / rest_xl), Int<W>::Set(kLevels));
      const Mask<W> moves = (rest_xl > zero) & (rest_l2 > zero) & ~(level == levels[i]);
      if (!Any(moves)) continue;
      const Float<W> m = ToFloat(level);
      const Float<W> try_xl = rest_xl + wx * m;
      const Float<W> try_l2 = rest_l2 + w[i] * m * m;
      const Mask<W> better =
          moves & (try_xl * try_xl * sum_l2 > sum_xl * sum_xl * try_l2);
      levels[i] = Select(better, level & Int<W>::Set(255), levels[i]);
      sum_xl = Select(better, try_xl, sum_xl);
      sum_l2 = Select(better, try_l2, sum_l2);
      changed = changed || Any(better);
    }
    if (!changed) break;
  }
}

// x, w, levels (kCount), one block in each lane. Returns the scale.
//
// A level is stored in 8 bits and has no lower bound: that of a negative value wraps, and reads
// back as 0..255.
template <int kCount, int kLevels, int W>
[[maybe_unused]] __attribute__((noinline)) Float<W> FitPositive(const Float<W>* x,
                                                                const Float<W>* w,
                                                                Int<W>* levels) {
  const Float<W> zero = Float<W>::Set(0.0f);
  const Float<W> top = Float<W>::Set(static_cast<float>(kLevels));
  Float<W> largest = zero;
  for (int i = 0; i < kCount; ++i) largest = Select(largest > x[i], largest, x[i]);
  const Mask<W> empty = largest < Float<W>::Set(1e-15f);

  Float<W> inverse = top / largest;
  const Float<W> scale = Float<W>::Set(1.0f) / inverse;
  Float<W> error = zero;
  for (int i = 0; i < kCount; ++i) {
    const Int<W> level = Nearest(inverse * x[i]) & Int<W>::Set(255);
    const Float<W> difference = x[i] - scale * ToFloat(level);
    error = error + w[i] * difference * difference;
  }
  for (int k = -4; k <= 4; ++k) {
    if (k == 0) continue;
    const float numerator = 0.1f * static_cast<float>(k) + static_cast<float>(kLevels);
    const Float<W> try_inverse = Float<W>::Set(numerator) / largest;
    const Float<W> try_error = PositiveError<kCount, kLevels>(x, w, try_inverse);
    const Mask<W> better = try_error < error;
    error = Select(better, try_error, error);
    inverse = Select(better, try_inverse, inverse);
  }

  Float<W> sum_xl = zero;
  Float<W> sum_l2 = zero;
  for (int i = 0; i < kCount; ++i) {
    const Int<W> level = Min(Nearest(inverse * x[i]), Int<W>::Set(kLevels));
    const Float<W> l = ToFloat(level);
    levels[i] = level & Int<W>::Set(255);
    sum_xl = sum_xl + w[i] * x[i] * l;
    sum_l2 = sum_l2 + w[i] * l * l;
  }
  SweepPositive<kCount, kLevels>(x, w, sum_xl, sum_l2, levels);
  for (int i = 0; i < kCount; ++i) levels[i] = Select(empty, Int<W>::Set(0), levels[i]);
  return Select(~empty & (sum_l2 > zero), sum_xl / sum_l2, zero);
}

}  // namespace
}  // namespace quantd

#endif
