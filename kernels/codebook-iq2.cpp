// Codebook-iq2: IQ2_XXS, IQ2_XS and IQ2_S, eight elements to a point of three levels.
//
//   rows, importance ──▶ codebook-fit.h ──▶ blocks   (layouts and arithmetic: docs/codebooks.md)
#include "codebook-families.h"
#include "codebook-fit.h"
#include "positive.h"

namespace quantd::QUANTD_ISA {
namespace {

template <int W>
QUANTD_LANE Mask<W> AtLeast(Float<W> largest, float limit) {
  return ~(largest < Float<W>::Set(limit));
}

struct Iq2 {
  static constexpr int kLevelBits = 2;
  static constexpr int kLevelMax = 2;
  static constexpr LevelValues<2> kValues = {{1.0f, 3.0f, 5.0f, 7.0f}};
  static constexpr float kSpan = 5.0f;
  static constexpr float kStep = 0.1f;

  static float PlainWeight(float variance, float x) { return 0.25f * variance + x * x; }
};

// The signs of a group, of which the last follows from the others.
uint32_t SevenSigns(const Magnitudes& block, int group, const Fit& fit) {
  const uint32_t signs = fit.inverted ? ~block.signs[group] : block.signs[group];
  return signs & 127;
}

void StoreU32(uint8_t* into, uint32_t value) { memcpy(into, &value, sizeof value); }

struct TypeXxs : Iq2 {
  static constexpr int kElements = 32;
  static constexpr int kSteps = 6;
  static constexpr Again kAgain = Again::kAll;
  static constexpr bool kEvenParity = true;
  static constexpr bool kTwiceVariance = false;
  static constexpr size_t kBytes = 66;

  template <class AnyPanel, int W>
  static void Start(AnyPanel& panel, Mask<W>& active, Float<W>& scale, Float<W>& span) {
    Int<W> levels[kElements];  // Only the scale is of use.
    scale = FitPositive<kElements, 4>(panel.x, panel.weights, levels);
    // Infinite weights: the levels above would be what is left, and no codebook has those.
    panel.failed |= LaneBits(~(scale == scale));
    span = scale * Float<W>::Set(3.0f);
    active = ~(span <= Float<W>::Set(0.0f));
  }

  static void Store(const Codebook& book, const Magnitudes& block, const Fit* fits,
                    uint8_t* into) {
    memset(into, 0, kBytes);
    const float most = LargestScale(fits, 8);
    if (most == 0.0f) return;
    const float scale = most / 31.0f;
    StoreHalf(into, scale);
    const float inverse = 1.0f / scale;
    for (int b = 0; b < 8; ++b) {
      uint32_t signs = 0;
      for (int g = 0; g < 4 && !fits[b].zero; ++g) {
        into[2 + 8 * b + g] = static_cast<uint8_t>(book.indices[fits[b].codes[g]]);
        signs |= SevenSigns(block, 4 * b + g, fits[b]) << (7 * g);
      }
      StoreU32(into + 6 + 8 * b, signs | ScaleCode(inverse, fits[b].scale) << 28);
    }
  }
};

struct Blocks16 : Iq2 {
  static constexpr int kElements = 16;
  static constexpr int kSteps = 9;
  static constexpr Again kAgain = Again::kOffGrid;

  template <class AnyPanel, int W>
  static void StartAbove(float limit, const AnyPanel& panel, Mask<W>& active, Float<W>& scale,
                         Float<W>& span) {
    span = panel.Largest();
    active = AtLeast(span, limit);
    scale = span / Float<W>::Set(kSpan);
  }

  // Sixteen scales to eight bytes, even blocks low.
  static void StoreScales(float inverse, const Fit* fits, uint8_t* into) {
    for (int b = 0; b < 16; b += 2) {
      into[b / 2] = static_cast<uint8_t>(ScaleCode(inverse, fits[b].scale) |
                                         ScaleCode(inverse, fits[b + 1].scale) << 4);
    }
  }
};

struct TypeXs : Blocks16 {
  static constexpr bool kEvenParity = true;
  static constexpr bool kTwiceVariance = false;
  static constexpr size_t kBytes = 74;

  template <class AnyPanel, int W>
  static void Start(const AnyPanel& panel, Mask<W>& active, Float<W>& scale, Float<W>& span) {
    StartAbove(1e-15f, panel, active, scale, span);
  }

  static void Store(const Codebook& book, const Magnitudes& block, const Fit* fits,
                    uint8_t* into) {
    memset(into, 0, kBytes);
    const float most = LargestScale(fits, 16);
    if (most == 0.0f) return;
    const float scale = most / 31.0f;
    StoreHalf(into, scale);
    for (int g = 0; g < 32; ++g) {
      const Fit& fit = fits[g / 2];
      if (fit.zero) continue;
      const uint32_t index = book.indices[fit.codes[g % 2]];
      StoreU16(into + 2 + 2 * g, static_cast<uint16_t>(index | SevenSigns(block, g, fit) << 9));
    }
    StoreScales(1.0f / scale, fits, into + 66);
  }
};

struct TypeS : Blocks16 {
  static constexpr bool kEvenParity = false;
  static constexpr bool kTwiceVariance = true;
  static constexpr size_t kBytes = 82;

  template <class AnyPanel, int W>
  static void Start(const AnyPanel& panel, Mask<W>& active, Float<W>& scale, Float<W>& span) {
    StartAbove(1e-8f, panel, active, scale, span);
  }

  static void Store(const Codebook& book, const Magnitudes& block, const Fit* fits,
                    uint8_t* into) {
    memset(into, 0, kBytes);
    for (int g = 0; g < 32; ++g) {
      const Fit& fit = fits[g / 2];
      if (fit.zero) continue;
      const uint32_t index = book.indices[fit.codes[g % 2]];
      into[2 + g] = static_cast<uint8_t>(index);
      into[34 + g] = static_cast<uint8_t>(fit.inverted ? ~block.signs[g] : block.signs[g]);
      into[66 + g / 4] = static_cast<uint8_t>(into[66 + g / 4] | index >> 8 << (2 * (g % 4)));
    }
    const float most = LargestScale(fits, 16);
    if (most == 0.0f) return;
    const float scale = most / 31.0f;
    // What is stored is a little less than what the codes of the scales are made with.
    StoreHalf(into, scale * 0.9875f);
    StoreScales(1.0f / scale, fits, into + 74);
  }
};

}  // namespace

size_t QuantizeIQ2_XXS(const float* values, size_t rows, size_t columns, const float* importance,
                       uint8_t* into) {
  return QuantizeRowsOf<TypeXxs>(Iq2XxsCodebook(), values, rows, columns, importance, into);
}

size_t QuantizeIQ2_XS(const float* values, size_t rows, size_t columns, const float* importance,
                      uint8_t* into) {
  return QuantizeRowsOf<TypeXs>(Iq2XsCodebook(), values, rows, columns, importance, into);
}

size_t QuantizeIQ2_S(const float* values, size_t rows, size_t columns, const float* importance,
                     uint8_t* into) {
  return QuantizeRowsOf<TypeS>(Iq2SCodebook(), values, rows, columns, importance, into);
}

}  // namespace quantd::QUANTD_ISA
