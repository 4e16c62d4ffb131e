// Codebook-split: where IQ1 cuts the sorted elements of a block into its three levels.
//
//   elements in sorted order ──▶ SplitShared, SplitHalves ──▶ Split   (read next: codebook-iq1.cpp)
//
// Every pair of cuts is tried with every way to shift the levels, by sums of prefixes. The order
// of the loops decides between equals; lanes are blocks.
#ifndef QUANTD_CODEBOOK_SPLIT_H_
#define QUANTD_CODEBOOK_SPLIT_H_

#include <float.h>

#include "lanes.h"

namespace quantd {
namespace {

// The levels -1, 0, 1 are shifted up (0) or down (1) by an eighth.
constexpr float kLow[2] = {-0.875f, -1.125f};
constexpr float kHigh[2] = {1.125f, 0.875f};
constexpr float kMiddle = 0.125f;  // Down: the same below zero.

template <int W>
struct Split {
  Float<W> scale;
  Float<W> score;
  // Which of those tried it is, below zero if none: the shifts of the block's parts (two bits, the
  // last part lowest), the ranks at which the highest level and the middle one begin (6 bits each).
  Int<W> choice;

  QUANTD_LANE static Split None() {
    return {Float<W>::Set(0.0f), Float<W>::Set(-FLT_MAX), Int<W>::Set(-1)};
  }

  QUANTD_LANE Mask<W> IsFound() const { return choice > Int<W>::Set(-1); }
  QUANTD_LANE Int<W> Shifts() const { return choice & Int<W>::Set(3); }
  QUANTD_LANE Int<W> High() const { return ShiftRight<2>(choice) & Int<W>::Set(63); }
  QUANTD_LANE Int<W> Middle() const { return ShiftRight<8>(choice) & Int<W>::Set(63); }

  QUANTD_LANE Mask<W> IsBetter(Float<W> xq, Float<W> qq) const {
    return (qq > Float<W>::Set(0.0f)) & (xq * xq > score * qq);
  }

  QUANTD_LANE void Try(Float<W> xq, Float<W> qq, int middle, int high, int shifts) {
    const Mask<W> better = IsBetter(xq, qq);
    if (!Any(better)) return;
    scale = Select(better, xq / qq, scale);
    score = Select(better, scale * xq, score);
    choice = Select(better, Int<W>::Set(middle << 8 | high << 2 | shifts), choice);
  }
};

// Sums over the elements of lower rank: element r + 1 of each is the sum of the first r + 1.
template <int W, int kCount>
struct Prefixes {
  Float<W> wx[kCount + 1];
  Float<W> w[kCount + 1];

  // In: the elements in sorted order, element r at r + 1.
  QUANTD_LANE void Accumulate() {
    wx[0] = Float<W>::Set(0.0f);
    w[0] = Float<W>::Set(0.0f);
    for (int r = 0; r < kCount; ++r) {
      wx[r + 1] = wx[r] + wx[r + 1];
      w[r + 1] = w[r] + w[r + 1];
    }
  }
};

// One shift for the whole block.
template <int W, int kCount>
inline Split<W> SplitShared(const Prefixes<W, kCount>& sums) {
  using F = Float<W>;
  // What the elements below a cut, and those from it on, add to the sums of either shift.
  F low_x[2][kCount + 1];
  F low_q[2][kCount + 1];
  F high_x[2][kCount + 1];
  F high_q[2][kCount + 1];
  for (int s = 0; s < 2; ++s) {
    const F low = F::Set(kLow[s]);
    const F high = F::Set(kHigh[s]);
    for (int i = 0; i <= kCount; ++i) {
      low_x[s][i] = sums.wx[i] * low;
      low_q[s][i] = sums.w[i] * low * low;
      high_x[s][i] = (sums.wx[kCount] - sums.wx[i]) * high;
      high_q[s][i] = (sums.w[kCount] - sums.w[i]) * high * high;
    }
  }
  Split<W> best = Split<W>::None();
  const F middle = F::Set(kMiddle);
  for (int i = 0; i <= kCount; ++i) {
    for (int j = i; j <= kCount; ++j) {
      const F middle_x = (sums.wx[j] - sums.wx[i]) * middle;
      const F middle_q = (sums.w[j] - sums.w[i]) * middle * middle;
      const F up_x = low_x[0][i] + middle_x + high_x[0][j];
      const F up_q = low_q[0][i] + middle_q + high_q[0][j];
      const F down_x = low_x[1][i] - middle_x + high_x[1][j];
      const F down_q = low_q[1][i] + middle_q + high_q[1][j];
      if (!Any(best.IsBetter(up_x, up_q) | best.IsBetter(down_x, down_q))) continue;
      best.Try(up_x, up_q, i, j, 0);
      best.Try(down_x, down_q, i, j, 1);
    }
  }
  return best;
}

// A shift for each half of the block; halves[h] sums that half's elements alone.
template <int W, int kCount>
inline Split<W> SplitHalves(const Prefixes<W, kCount>* halves) {
  using F = Float<W>;
  // Differences of squares of neighbouring levels.
  constexpr float kLowLessMiddle[2] = {0.75f, 1.25f};
  constexpr float kMiddleLessHigh[2] = {-1.25f, -0.75f};
  F all_x[2][2];
  F all_q[2][2];
  F middle_q[2][2][kCount + 1];
  for (int h = 0; h < 2; ++h) {
    for (int s = 0; s < 2; ++s) {
      all_x[h][s] = halves[h].wx[kCount] * F::Set(kHigh[s]);
      all_q[h][s] = halves[h].w[kCount] * F::Set(kHigh[s]) * F::Set(kHigh[s]);
      for (int j = 0; j <= kCount; ++j) {
        middle_q[h][s][j] = F::Set(kMiddleLessHigh[s]) * halves[h].w[j];
      }
    }
  }
  Split<W> best = Split<W>::None();
  for (int i = 0; i <= kCount; ++i) {
    F low_q[2][2];
    for (int h = 0; h < 2; ++h) {
      for (int s = 0; s < 2; ++s) {
        low_q[h][s] = F::Set(kLowLessMiddle[s]) * halves[h].w[i] + all_q[h][s];
      }
    }
    for (int j = i; j <= kCount; ++j) {
      F x[2][2];
      F q[2][2];
      for (int h = 0; h < 2; ++h) {
        const F below = halves[h].wx[i] + halves[h].wx[j];
        for (int s = 0; s < 2; ++s) {
          x[h][s] = all_x[h][s] - below;
          q[h][s] = low_q[h][s] + middle_q[h][s][j];
        }
      }
      F xq[4];
      F qq[4];
      for (int k = 0; k < 4; ++k) {
        xq[k] = x[0][k / 2] + x[1][k % 2];
        qq[k] = q[0][k / 2] + q[1][k % 2];
      }
      const Mask<W> better = best.IsBetter(xq[0], qq[0]) | best.IsBetter(xq[1], qq[1]) |
                             best.IsBetter(xq[2], qq[2]) | best.IsBetter(xq[3], qq[3]);
      if (!Any(better)) continue;
      for (int k = 0; k < 4; ++k) best.Try(xq[k], qq[k], i, j, k);
    }
  }
  return best;
}

}  // namespace
}  // namespace quantd

#endif
