// Affine, six bits: Q4_K and Q5_K, eight sub-blocks of 32 with 6-bit scales and minima.
//
//   W super-blocks in lanes ──▶ SixBitType<N>::Make ──▶ their blocks   (read next: affine-fit.h)
//
// The layout is drawn in docs/quantization.md.
#ifndef QUANTD_AFFINE_SIX_BIT_H_
#define QUANTD_AFFINE_SIX_BIT_H_

#include "affine-refine.h"
#include "positive.h"

namespace quantd {
namespace {

// The plain weights: the root mean square of the sub-block plus the magnitude. means (a
// sub-block each).
template <int W>
struct WeighByMean {
  const Float<W>* means;
  QUANTD_LANE void operator()(int i, const Float<W>* x, Float<W>* into) const {
    for (int j = 0; j < 4; ++j) into[j] = means[i / 32] + Magnitude(x[j]);
  }
};

// x (kSide * 32), means (kSide). The sums of the sub-blocks run beside one another.
template <int kSide, int W>
QUANTD_LANE void FindMeans(const Float<W>* x, Float<W>* means) {
  for (int s = 0; s < kSide; ++s) means[s] = Float<W>::Set(0.0f);
  for (int i = 0; i < 32; ++i) {
    for (int s = 0; s < kSide; ++s) means[s] = means[s] + x[32 * s + i] * x[32 * s + i];
  }
  for (int s = 0; s < kSide; ++s) means[s] = Sqrt(means[s] * Float<W>::Set(0x1p-5f));
}

// 6-bit codes of eight scales or minima, of which the largest becomes 63. Returns the step
// between codes.
template <int W>
QUANTD_LANE Float<W> EncodeSixBits(const Float<W>* fits, Int<W>* codes) {
  const Float<W> zero = Float<W>::Set(0.0f);
  const Float<W> most = Float<W>::Set(63.0f);
  const Float<W> largest = Largest(fits, 8);
  const Float<W> inverse = Select(largest > zero, most / largest, zero);
  for (int j = 0; j < 8; ++j) {
    codes[j] = Min(Nearest(inverse * fits[j]) & Int<W>::Set(255), Int<W>::Set(63));
  }
  return largest / most;
}

// 6-bit codes of eight scales and eight minima to three words: the first four of each stand whole
// in the low bits of the bytes of words 0 (scales) and 1 (minima); the others' low nibbles share
// the bytes of word 2, and their high bits top up words 0 and 1.
// Codes above 63 run into their neighbours' bits, as they do in the reference.
template <int W>
QUANTD_LANE void PackSixBitWords(const Int<W>* scales, const Int<W>* minima, Int<W>* words) {
  const Int<W> byte = Int<W>::Set(255);
  const Int<W> nibble = Int<W>::Set(15);
  words[0] = words[1] = words[2] = Int<W>::Set(0);
  for (int j = 3; j >= 0; --j) {
    const Int<W> scale = scales[j] | ShiftLeft<6>(ShiftRight<4>(scales[j + 4]));
    const Int<W> minimum = minima[j] | ShiftLeft<6>(ShiftRight<4>(minima[j + 4]));
    const Int<W> both = (scales[j + 4] & nibble) | ShiftLeft<4>(minima[j + 4] & nibble);
    words[0] = ShiftLeft<8>(words[0]) | (scale & byte);
    words[1] = ShiftLeft<8>(words[1]) | (minimum & byte);
    words[2] = ShiftLeft<8>(words[2]) | both;
  }
}

// The way back: what a reader of the block sees.
template <int W>
QUANTD_LANE void UnpackSixBitWords(Int<W> words[3], Int<W>* scales, Int<W>* minima) {
  for (int j = 0; j < 4; ++j) {
    const Int<W> six = Int<W>::Set(63);
    const Int<W> nibble = Int<W>::Set(15);
    const Int<W> high = Int<W>::Set(0x30);
    scales[j] = words[0] & six;
    minima[j] = words[1] & six;
    scales[j + 4] = (words[2] & nibble) | (ShiftRight<2>(words[0]) & high);
    minima[j + 4] = (ShiftRight<4>(words[2]) & nibble) | (ShiftRight<2>(words[1]) & high);
    for (int i = 0; i < 3; ++i) words[i] = ShiftRight<8>(words[i]);
  }
}

template <int kLevels>
constexpr AffineSearch kSearchSixBit = {-1.0f, 0.1f, 20};
template <>
constexpr AffineSearch kSearchSixBit<31> = {-0.5f, 0.1f, 15};

// Two sub-blocks' levels (64) to eight words of nibbles, and the fifth bits to the words of those.
template <int kLevels, int W>
QUANTD_LANE void PackPair(const Int<W>* levels, Int<W>* nibbles, Int<W>* fifths) {
  const Int<W> nibble = Int<W>::Set(15);
  const Int<W> one = Int<W>::Set(1);
  for (int word = 0; word < 8; ++word) {
    Int<W> packed = Int<W>::Set(0);
    Int<W> bits = Int<W>::Set(0);
    for (int byte = 3; byte >= 0; --byte) {
      const Int<W> low = levels[4 * word + byte];
      const Int<W> high = levels[32 + 4 * word + byte];
      const Int<W> pair = kLevels == 15 ? low | ShiftLeft<4>(high)
                                         : (low & nibble) | ShiftLeft<4>(high & nibble);
      packed = ShiftLeft<8>(packed) | pair;
      if constexpr (kLevels == 31) {
        const Int<W> fifth = (ShiftRight<4>(low) & one) | (ShiftRight<3>(high) & Int<W>::Set(2));
        bits = ShiftLeft<8>(bits) | fifth;
      }
    }
    nibbles[word] = packed;
    // Pairs come last first: bits 2g and 2g + 1 of a byte belong to pair g.
    if constexpr (kLevels == 31) fifths[word] = ShiftLeft<2>(fifths[word]) | bits;
  }
}

// Loads W super-blocks and fits their sub-blocks. x (256), fits (8).
template <int kLevels, int W>
QUANTD_LANE uint32_t FitSixBit(const Lanes<W>& lanes, Float<W>* x, AffineFit<W>* fits) {
  constexpr int kSide = kSideOf<W>;
  const bool plain = lanes.importance[0] == nullptr;
  Float<W> sigma2;
  if (plain) {
    LoadElements(lanes.values, 0, 256, x);
  } else {
    const Float<W> squares = LoadAndSquare<256>(lanes.values, x);
    sigma2 = Float<W>::Set(2.0f) * squares * Float<W>::Set(0x1p-8f);
  }
  uint32_t out_of_reach = 0;
  for (int j = 0; j < 8; j += kSide) {
    const Float<W>* values = x + 32 * j;
    if (plain) {
      Float<W> means[kSide];
      FindMeans<kSide>(values, means);
      out_of_reach |= FitAffine<32, kLevels, false, kSide>(
          values, WeighByMean<W>{means}, kSearchSixBit<kLevels>, fits + j);
    } else {
      out_of_reach |= FitAffine<32, kLevels, false, kSide>(
          values, WeighSubBlocks<W>{lanes.importance, 32 * j, sigma2}, kSearchImportance,
          fits + j);
    }
  }
  return out_of_reach;
}

// Bit l of the answer: lane l has to be made alone.
template <int kLevels>
struct SixBitType {
  static constexpr int kFifths = kLevels == 31 ? 8 : 0;
  static constexpr int kWords = 4 + kFifths + 32;

  template <int W>
  static __attribute__((noinline)) uint32_t Make(const Lanes<W>& lanes) {
    Float<W> x[256];
    AffineFit<W> fits[8];
    const uint32_t out_of_reach = FitSixBit<kLevels>(lanes, x, fits);

    Float<W> scales[8];
    Float<W> minima[8];
    Float<W> weights[8];
    for (int j = 0; j < 8; ++j) {
      scales[j] = fits[j].scale;
      minima[j] = Negative(fits[j].low);
      weights[j] = fits[j].weight;
    }
    Int<W> scale_codes[8];
    Int<W> minimum_codes[8];
    Int<W> words[kWords];
    Float<W> step;
    Float<W> minimum_step;
    if (lanes.importance[0] == nullptr) {
      step = EncodeSixBits(scales, scale_codes);
      minimum_step = EncodeSixBits(minima, minimum_codes);
    } else {
      step = FitPositive<8, 63>(scales, weights, scale_codes);
      minimum_step = FitPositive<8, 63>(minima, weights, minimum_codes);
      for (int j = 0; j < 8 && kLevels == 31; ++j) {
        scale_codes[j] = Min(scale_codes[j], Int<W>::Set(63));
        minimum_codes[j] = Min(minimum_codes[j], Int<W>::Set(63));
      }
    }
    const Int<W> d = HalfBits(step);
    const Int<W> dmin = HalfBits(minimum_step);
    words[0] = d | ShiftLeft<16>(dmin);
    PackSixBitWords(scale_codes, minimum_codes, words + 1);
    Int<W> packed[3] = {words[1], words[2], words[3]};
    UnpackSixBitWords(packed, scale_codes, minimum_codes);

    for (int i = 4; i < 4 + kFifths; ++i) words[i] = Int<W>::Set(0);
    const Float<W> scale = FloatOfHalf(d);
    const Float<W> minimum = FloatOfHalf(dmin);
    for (int pair = 3; pair >= 0; --pair) {
      Int<W> levels[64];
      for (int s = 0; s < 2; ++s) {
        const int j = 2 * pair + s;
        Refine<32, kLevels>(x + 32 * j, scale * ToFloat(scale_codes[j]),
                            minimum * ToFloat(minimum_codes[j]), fits[j], levels + 32 * s);
      }
      PackPair<kLevels>(levels, words + 4 + kFifths + 8 * pair, words + 4);
    }
    StoreWords<kWords>(words, lanes.into);
    return out_of_reach;
  }
};

}  // namespace
}  // namespace quantd

#endif
