// Affine, two bits: Q2_K, sixteen sub-blocks of 16 with 4-bit scales and minima.
//
//   W super-blocks in lanes ──▶ TwoBitType::Make ──▶ their blocks   (read next: affine-fit.h)
//
// The layout is drawn in docs/quantization.md.
#ifndef QUANTD_AFFINE_TWO_BIT_H_
#define QUANTD_AFFINE_TWO_BIT_H_

#include "affine-refine.h"
#include "positive.h"

namespace quantd {
namespace {

constexpr AffineSearch kSearchQ2_K = {-0.5f, 0.1f, 15};

// 4-bit codes of sixteen scales or minima, of which the largest becomes 15. Returns the step
// between codes.
template <int W>
QUANTD_LANE Float<W> EncodeFourBits(const Float<W>* fits, Int<W>* codes) {
  const Float<W> zero = Float<W>::Set(0.0f);
  const Float<W> most = Float<W>::Set(15.0f);
  const Float<W> largest = Largest(fits, 16);
  const Mask<W> some = largest > zero;
  const Float<W> inverse = most / largest;
  for (int j = 0; j < 16; ++j) {
    codes[j] = Select(some, Nearest(inverse * fits[j]) & Int<W>::Set(255), Int<W>::Set(0));
  }
  return Select(some, largest / most, zero);
}

struct WeighByMagnitude {
  template <int W>
  QUANTD_LANE void operator()(int, const Float<W>* x, Float<W>* into) const {
    for (int j = 0; j < 4; ++j) into[j] = Magnitude(x[j]);
  }
};

struct TwoBitType {
  static constexpr int kWords = 21;

  template <int W>
  QUANTD_LANE static uint32_t Fit(const Float<W>* x, Float<W> squares, const Lanes<W>& lanes,
                                  AffineFit<W>* fits) {
    constexpr int kSide = kSideOf<W>;
    const bool plain = lanes.importance[0] == nullptr;
    const Float<W> sigma2 = squares * Float<W>::Set(0x1p-8f);
    uint32_t out_of_reach = 0;
    for (int j = 0; j < 16; j += kSide) {
      const Float<W>* values = x + 16 * j;
      if (plain) {
        out_of_reach |=
            FitAffine<16, 3, true, kSide>(values, WeighByMagnitude{}, kSearchQ2_K, fits + j);
      } else {
        out_of_reach |= FitAffine<16, 3, false, kSide>(
            values, WeighSubBlocks<W>{lanes.importance, 16 * j, sigma2}, kSearchImportance,
            fits + j);
      }
    }
    return out_of_reach;
  }

  template <int W>
  static __attribute__((noinline)) uint32_t Make(const Lanes<W>& lanes) {
    Float<W> x[256];
    const Float<W> squares = LoadAndSquare<256>(lanes.values, x);
    AffineFit<W> fits[16];
    const uint32_t out_of_reach = Fit(x, squares, lanes, fits);

    Float<W> scales[16];
    Float<W> minima[16];
    Float<W> weights[16];
    for (int j = 0; j < 16; ++j) {
      scales[j] = fits[j].scale;
      minima[j] = Negative(fits[j].low);
      weights[j] = fits[j].weight;
    }
    Int<W> scale_codes[16];
    Int<W> minimum_codes[16];
    Float<W> step;
    Float<W> minimum_step;
    if (lanes.importance[0] == nullptr) {
      step = EncodeFourBits(scales, scale_codes);
      minimum_step = EncodeFourBits(minima, minimum_codes);
    } else {
      step = FitPositive<16, 15>(scales, weights, scale_codes);
      minimum_step = FitPositive<16, 15>(minima, weights, minimum_codes);
    }
    Int<W> words[kWords];
    for (int word = 0; word < 4; ++word) {
      words[word] = Int<W>::Set(0);
      for (int byte = 3; byte >= 0; --byte) {
        const int j = 4 * word + byte;
        // What a reader sees: a code above 15 runs into its neighbour's bits.
        const Int<W> both =
            (scale_codes[j] | ShiftLeft<4>(minimum_codes[j])) & Int<W>::Set(255);
        words[word] = ShiftLeft<8>(words[word]) | both;
        scale_codes[j] = both & Int<W>::Set(15);
        minimum_codes[j] = ShiftRight<4>(both);
      }
    }
    const Int<W> d = HalfBits(step);
    const Int<W> dmin = HalfBits(minimum_step);
    words[20] = d | ShiftLeft<16>(dmin);
    const Float<W> scale = FloatOfHalf(d);
    const Float<W> minimum = FloatOfHalf(dmin);
    for (int half = 0; half < 2; ++half) {
      Int<W>* packed = words + 4 + 8 * half;
      for (int word = 0; word < 8; ++word) packed[word] = Int<W>::Set(0);
      // The last of the four runs of 32 lies in the highest bits.
      for (int j = 8 * half + 7; j >= 8 * half; --j) {
        Int<W> levels[16];
        Refine<16, 3>(x + 16 * j, scale * ToFloat(scale_codes[j]),
                      minimum * ToFloat(minimum_codes[j]), fits[j], levels);
        for (int word = 0; word < 4; ++word) {
          Int<W> bits = Int<W>::Set(0);
          for (int byte = 3; byte >= 0; --byte) bits = ShiftLeft<8>(bits) | levels[4 * word + byte];
          Int<W>& into = packed[4 * (j % 2) + word];
          into = ShiftLeft<2>(into) | bits;
        }
      }
    }
    StoreWords<kWords>(words, lanes.into);
    return out_of_reach;
  }
};

}  // namespace
}  // namespace quantd

#endif
