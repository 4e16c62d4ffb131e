// Affine refine: what the affine types share around the fit itself: weights before, levels after.
//
//   block-lanes.h, affine-fit.h ──▶ this ──▶ affine-six-bit.h, affine-two-bit.h, affine-blocks.h
//
// Internal linkage for the reason given in numbers.h.
#ifndef QUANTD_AFFINE_REFINE_H_
#define QUANTD_AFFINE_REFINE_H_

#include "affine-fit.h"
#include "block-lanes.h"

namespace quantd {
namespace {

// Sub-blocks that are fitted together in each lane: four independent sums hide the latency of
// an addition and fill the pipes while divisions run; eight no longer fit the nearest cache.
template <int W>
constexpr int kSideOf = W == 1 ? 1 : 4;

constexpr AffineSearch kSearchImportance = {-0.9f, 0.05f, 36};

// The blocks of one call of a kernel that lie in lanes; unused lanes repeat the last block,
// and write its bytes once more.
template <int W>
struct Lanes {
  const float* values[W];
  const float* importance[W];  // Of the same columns; null for the plain variant.
  uint8_t* into[W];
  int count;
};

template <int W>
QUANTD_LANE Float<W> Negative(Float<W> a) {
  return FromBits(Bits(a) ^ Int<W>::Set(INT32_MIN));
}

template <int W>
QUANTD_LANE Float<W> Largest(const Float<W>* values, int count) {
  Float<W> largest = Float<W>::Set(0.0f);
  for (int j = 0; j < count; ++j) largest = Max(values[j], largest);
  return largest;
}

// The level that a fit gives a value, in reach as AffineLevel has it.
template <int kLevels, int W>
QUANTD_LANE Int<W> LevelOfFit(Float<W> x, const AffineFit<W>& fit) {
  const Float<W> value = fit.inverse * (x - fit.origin);
  if constexpr (W == 1) return Clamp(Nearest(value), 0, kLevels);
  return ClampedLevel<kLevels>(value + Float<W>::Set(kRoundingBias));
}

// Levels again, from scale and minimum as they are stored; a sub-block whose scale is 0 keeps
// the levels of its fit. x, levels (kCount).
template <int kCount, int kLevels, int W>
QUANTD_LANE void RefineByDivision(const Float<W>* x, Float<W> scale, Float<W> minimum,
                                  const AffineFit<W>& fit, Int<W>* levels) {
  for (int i = 0; i < kCount; ++i) {
    levels[i] = Clamp(Nearest((x[i] + minimum) / scale), 0, kLevels);
  }
  const Mask<W> stale = scale == Float<W>::Set(0.0f);
  if (!Any(stale)) return;
  for (int i = 0; i < kCount; ++i) {
    levels[i] = Select(stale, LevelOfFit<kLevels>(x[i], fit), levels[i]);
  }
}

// The same by one reciprocal instead of kCount divisions. A quotient below 64 is then off by
// less than 64 * 4 * 2^-24 < 0.00002, so the level is the same unless the quotient lies that
// near to a half: whoever does sends the sub-block through the divisions, and so does a scale
// whose reciprocal is not an ordinary number.
template <int kCount, int kLevels, int W>
QUANTD_LANE void Refine(const Float<W>* x, Float<W> scale, Float<W> minimum,
                        const AffineFit<W>& fit, Int<W>* levels) {
  using F = Float<W>;
  if constexpr (W > 1) {
    const F inverse = F::Set(1.0f) / scale;
    const F bias = F::Set(kRoundingBias);
    constexpr bool kLook = kHasLook<kLevels, W>;
    F worst = F::Set(0.0f);
    for (int i = 0; i < kCount; ++i) {
      const F quotient = (x[i] + minimum) * inverse;
      const F biased = quotient + bias;
      worst = Max(Magnitude(quotient - (biased - bias)), worst);
      levels[i] = LevelOfBiased<kLevels>(biased);
    }
    const F lowest = (fit.bottom + minimum) * inverse;
    const F highest = (fit.high + minimum) * inverse;
    const Mask<W> settled = (scale > F::Set(1e-30f)) & (scale < F::Set(1e30f)) &
                            (worst < F::Set(0.49998f)) & (lowest > F::Set(kLook ? -8.0f : -64.0f)) &
                            (highest < F::Set(kLook ? 23.0f : 64.0f));
    if (!Any(~settled)) return;
  }
  RefineByDivision<kCount, kLevels>(x, scale, minimum, fit, levels);
}

// into (kCount) = lanes[l][i], and the sum of its squares, in sequence: the additions wait for each
// other, and more elements come in meanwhile.
template <int kCount, int W>
QUANTD_LANE Float<W> LoadAndSquare(const float* const* lanes, Float<W>* into) {
  Float<W> sum = Float<W>::Set(0.0f);
  for (int four = 0; four < kCount; four += 4) {
    LoadFour<W>(lanes, four, into + four);
    for (int i = four; i < four + 4; ++i) sum = sum + into[i] * into[i];
  }
  return sum;
}

// The weights of importance, importance * sqrt(sigma2 + x^2), of four elements. x, into (4).
template <int W>
QUANTD_LANE void WeighByImportance(const float* const* importance, int at, Float<W> sigma2,
                                   const Float<W>* x, Float<W>* into) {
  LoadFour<W>(importance, at, into);
  for (int i = 0; i < 4; ++i) into[i] = into[i] * Sqrt(sigma2 + x[i] * x[i]);
}

// The same, of the sub-blocks from element `at` of super-blocks, which share sigma2.
template <int W>
struct WeighSubBlocks {
  const float* const* lanes;
  int at;
  Float<W> sigma2;
  QUANTD_LANE void operator()(int i, const Float<W>* x, Float<W>* into) const {
    WeighByImportance(lanes, at + i, sigma2, x, into);
  }
};

}  // namespace
}  // namespace quantd

#endif
