// Affine fit: scale and minimum of sub-blocks by weighted least squares, and the search for them.
//
//   values and weights of kSide sub-blocks in every lane ──▶ FitAffine ──▶ AffineFit[kSide]
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
};

constexpr float kRoundingBias = 12582912.0f;  // 1.5 * 2^23

// A level 0..kLevels as a float. In several lanes the value must be within AffineReach: there the
// sum with the bias still counts in ones, so clamping the sum is clamping its rounding, in one
// type. A single lane takes the way of Nearest, which is right for every value.
template <int kLevels, int W>
QUANTD_LANE Float<W> AffineLevel(Float<W> value) {
  if constexpr (W == 1) {
    return ToFloat(Clamp(Nearest(value), 0, kLevels));
  } else {
    const Float<W> bottom = Float<W>::Set(kRoundingBias);
    const Float<W> top = Float<W>::Set(kRoundingBias + static_cast<float>(kLevels));
    return Max(Min(value + bottom, top), bottom) - bottom;
  }
}

template <int W>
QUANTD_LANE Mask<W> InReach(Float<W> value) {
  return Magnitude(value) < Float<W>::Set(4000000.0f);
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
  Float<W> best_inverse;
  Float<W> best_origin;
  Mask<W> live;      // Not all values are equal.
  Mask<W> in_reach;  // So far.
};

template <int kCount, int W>
QUANTD_LANE void MeasureSubBlock(const Float<W>* x, const Float<W>* w, AffineState<W>& state) {
  const Float<W> zero = Float<W>::Set(0.0f);
  Float<W> low = x[0];
  Float<W> high = x[0];
  Float<W> sum_w = w[0];
  Float<W> sum_x = sum_w * x[0];
  for (int i = 1; i < kCount; ++i) {
    low = Min(x[i], low);
    high = Max(x[i], high);
    sum_w = sum_w + w[i];
    sum_x = sum_x + w[i] * x[i];
  }
  state.bottom = low;
  state.low = Select(low > zero, zero, low);
  state.high = high;
  state.sum_w = sum_w;
  state.sum_x = sum_x;
  state.live = high > state.low;
}

// The scale to multiply with at numerator / range, noting whether it keeps every value in reach:
// rounding is monotone, so the lowest and the highest speak for all.
template <int W>
QUANTD_LANE Float<W> InverseScale(float numerator, AffineState<W>& state) {
  const Float<W> range = state.high - state.low;
  const Float<W> inverse = Float<W>::Set(numerator) / range;
  state.in_reach = state.in_reach & InReach(inverse * range) &
                   InReach(inverse * (state.bottom - state.low));
  return inverse;
}

// x, w (kSide * kCount), fits (kSide). Bit l of the answer: lane l holds a value out of reach
// (subnormal ranges), its fits are worthless and a single lane has to make them.
template <int kCount, int kLevels, bool kAbsolute, int kSide, int W>
[[maybe_unused]] __attribute__((noinline)) uint32_t FitAffine(const Float<W>* x,
                                                              const Float<W>* w,
                                                              const AffineSearch& search,
                                                              AffineFit<W>* fits) {
  using F = Float<W>;
  const F zero = F::Set(0.0f);
  F levels[kSide][kCount];
  AffineState<W> state[kSide];
  for (int s = 0; s < kSide; ++s) {
    AffineState<W>& my = state[s];
    MeasureSubBlock<kCount>(x + s * kCount, w + s * kCount, my);
    my.in_reach = my.live;
    const F inverse = InverseScale(static_cast<float>(kLevels), my);
    my.scale = F::Set(1.0f) / inverse;
    my.error = zero;
    for (int i = 0; i < kCount; ++i) {
      const F value = x[s * kCount + i];
      const F level = AffineLevel<kLevels>(inverse * (value - my.low));
      my.error = my.error + w[s * kCount + i] *
                                Cost<kAbsolute>(my.scale * level + my.low - value);
    }
    my.best_inverse = Select(my.live, inverse, zero);
    my.best_origin = my.low;
  }

  for (int k = 0; k <= search.steps; ++k) {
    const float numerator =
        search.first + search.step * static_cast<float>(k) + static_cast<float>(kLevels);
    F inverse[kSide], sum_l[kSide], sum_l2[kSide], sum_xl[kSide];
    for (int s = 0; s < kSide; ++s) {
      inverse[s] = InverseScale(numerator, state[s]);
      sum_l[s] = sum_l2[s] = sum_xl[s] = zero;
    }
    for (int i = 0; i < kCount; ++i) {
      for (int s = 0; s < kSide; ++s) {
        const F value = x[s * kCount + i];
        const F level = AffineLevel<kLevels>(inverse[s] * (value - state[s].low));
        levels[s][i] = level;
        const F wl = w[s * kCount + i] * level;
        sum_l[s] = sum_l[s] + wl;
        sum_l2[s] = sum_l2[s] + wl * level;
        sum_xl[s] = sum_xl[s] + wl * value;
      }
    }
    F try_scale[kSide], try_low[kSide], try_error[kSide];
    Mask<W> usable[kSide];
    for (int s = 0; s < kSide; ++s) {
      const AffineState<W>& my = state[s];
      const F determinant = my.sum_w * sum_l2[s] - sum_l[s] * sum_l[s];
      usable[s] = my.live & (determinant > zero);
      try_scale[s] = (my.sum_w * sum_xl[s] - my.sum_x * sum_l[s]) / determinant;
      try_low[s] = (sum_l2[s] * my.sum_x - sum_l[s] * sum_xl[s]) / determinant;
      const Mask<W> above = try_low[s] > zero;
      if (Any(above)) {
        try_low[s] = Select(above, zero, try_low[s]);
        try_scale[s] = Select(above, sum_xl[s] / sum_l2[s], try_scale[s]);
      }
      try_error[s] = zero;
    }
    for (int i = 0; i < kCount; ++i) {
      for (int s = 0; s < kSide; ++s) {
        const F difference = try_scale[s] * levels[s][i] + try_low[s] - x[s * kCount + i];
        try_error[s] = try_error[s] + w[s * kCount + i] * Cost<kAbsolute>(difference);
      }
    }
    for (int s = 0; s < kSide; ++s) {
      AffineState<W>& my = state[s];
      const Mask<W> better = usable[s] & (try_error[s] < my.error);
      my.error = Select(better, try_error[s], my.error);
      my.scale = Select(better, try_scale[s], my.scale);
      my.best_inverse = Select(better, inverse[s], my.best_inverse);
      my.best_origin = Select(better, my.low, my.best_origin);
      my.low = Select(better, try_low[s], my.low);
    }
  }

  uint32_t out_of_reach = 0;
  for (int s = 0; s < kSide; ++s) {
    const AffineState<W>& my = state[s];
    fits[s].scale = Select(my.live, my.scale, zero);
    fits[s].low = my.low;
    fits[s].weight = my.sum_w;
    fits[s].inverse = my.best_inverse;
    fits[s].origin = my.best_origin;
    out_of_reach |= LaneBits(my.live & ~my.in_reach);
  }
  return out_of_reach;
}

}  // namespace
}  // namespace quantd

#endif
