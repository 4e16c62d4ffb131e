// Affine refine: what the affine types share around the fit itself: weights before, levels after.
//
//   affine-lanes.h, affine-fit.h ──▶ this ──▶ affine-six-bit.h, affine-two-bit.h, affine-blocks.h
//
// Internal linkage for the reason given in numbers.h.
#ifndef QUANTD_AFFINE_REFINE_H_
#define QUANTD_AFFINE_REFINE_H_

#include "affine-fit.h"
#include "affine-lanes.h"

namespace quantd {
namespace {

#ifndef QUANTD_SIDE
#define QUANTD_SIDE 2
#endif
// Sub-blocks that are fitted together in each lane: enough independent sums to hide the latency
// of one addition, few enough for the registers.
template <int W>
constexpr int kSideOf = W == 1 ? 1 : QUANTD_SIDE;

constexpr AffineSearch kSearchImportance = {-0.9f, 0.05f, 36};

// The blocks of one call of a kernel that lie in lanes; unused lanes repeat the last block.
template <int W>
struct Lanes {
  const float* values[W];
  const float* importance[W];  // Of the same columns; null for the plain variant.
  uint8_t* into[W];
  int count;
};

template <int W>
QUANTD_LANE Float<W> Largest(const Float<W>* values, int count) {
  Float<W> largest = Float<W>::Set(0.0f);
  for (int j = 0; j < count; ++j) largest = Max(values[j], largest);
  return largest;
}

// Levels again, from scale and minimum as they are stored; a sub-block whose scale is 0 keeps
// the levels of its fit. x, levels (kCount).
template <int kCount, int kLevels, int W>
QUANTD_LANE void Refine(const Float<W>* x, Float<W> scale, Float<W> minimum,
                        const AffineFit<W>& fit, Int<W>* levels) {
  for (int i = 0; i < kCount; ++i) {
    levels[i] = Clamp(Nearest((x[i] + minimum) / scale), 0, kLevels);
  }
  const Mask<W> stale = scale == Float<W>::Set(0.0f);
  if (!Any(stale)) return;
  for (int i = 0; i < kCount; ++i) {
    const Float<W> level = AffineLevel<kLevels>(fit.inverse * (x[i] - fit.origin));
    levels[i] = Select(stale, Truncate(level), levels[i]);
  }
}

// The square of a root mean square that importance is multiplied with.
template <int W>
QUANTD_LANE Float<W> SumOfSquares(const Float<W>* x, int count) {
  Float<W> sum = Float<W>::Set(0.0f);
  for (int i = 0; i < count; ++i) sum = sum + x[i] * x[i];
  return sum;
}

// w[i] = importance[at + i] * sqrt(sigma2 + x[i]^2); x, w (kCount).
template <int kCount, int W>
QUANTD_LANE void WeighByImportance(const Float<W>* x, const float* const* importance, int at,
                                   Float<W> sigma2, Float<W>* w) {
  LoadTiles<kCount>(importance, at, w);
  for (int i = 0; i < kCount; ++i) w[i] = w[i] * Sqrt(sigma2 + x[i] * x[i]);
}

}  // namespace
}  // namespace quantd

#endif
