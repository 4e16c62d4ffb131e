// Codebook-iq3: IQ3_XXS and IQ3_S, four elements to a point of eight levels.
//
//   rows, importance ──▶ codebook-fit.h ──▶ blocks   (layouts and arithmetic: docs/codebooks.md)
#include "codebook-families.h"
#include "codebook-fit.h"

namespace quantd::QUANTD_ISA {
namespace {

struct Iq3 {
  static constexpr int kLevelBits = 3;
  static constexpr int kLevelMax = 7;
  static constexpr LevelValues<3> kValues = {{1.0f, 3.0f, 5.0f, 7.0f, 9.0f, 11.0f, 13.0f, 15.0f}};
  static constexpr int kElements = 32;
  static constexpr float kSpan = 15.0f;
  static constexpr float kStep = 0.2f;
  static constexpr bool kTwiceVariance = true;

  static float PlainWeight(float, float x) { return x * x; }
};

struct TypeXxs : Iq3 {
  static constexpr int kSteps = 15;
  static constexpr Again kAgain = Again::kOffGrid;
  static constexpr bool kEvenParity = true;
  static constexpr size_t kBytes = 98;

  template <class AnyPanel, int W>
  static void Start(const AnyPanel& panel, Mask<W>& active, Float<W>& scale, Float<W>& span) {
    span = panel.Largest();
    active = ~(span < Float<W>::Set(1e-8f));
    scale = span / Float<W>::Set(kSpan);
  }

  static void Store(const Codebook& book, const Magnitudes& block, const Fit* fits,
                    uint8_t* into) {
    memset(into, 0, kBytes);
    const float most = LargestScale(fits, 8);
    if (most == 0.0f) return;
    const float scale = most / 31.0f;
    // What is stored is a little more than what the codes of the scales are made with.
    StoreHalf(into, scale * 1.0125f);
    const float inverse = 1.0f / scale;
    for (int b = 0; b < 8; ++b) {
      const Fit& fit = fits[b];
      uint32_t word = ScaleCode(inverse, fit.scale) << 28;
      for (int g = 0; g < 8 && !fit.zero; ++g) {
        into[2 + 8 * b + g] = static_cast<uint8_t>(book.indices[fit.codes[g]]);
      }
      for (int g = 0; g < 4 && !fit.zero; ++g) {
        const uint32_t signs = block.signs[4 * b + g] ^ (fit.inverted ? 255u : 0u);
        word |= (signs & 127) << (7 * g);
      }
      memcpy(into + 66 + 4 * b, &word, sizeof word);
    }
  }
};

struct TypeS : Iq3 {
  static constexpr int kSteps = 9;
  static constexpr Again kAgain = Again::kAllIfOff;
  static constexpr bool kEvenParity = false;
  static constexpr size_t kBytes = 110;

  template <class AnyPanel, int W>
  static void Start(const AnyPanel& panel, Mask<W>& active, Float<W>& scale, Float<W>& span) {
    span = panel.Largest();
    active = ~(span == Float<W>::Set(0.0f));
    scale = span / Float<W>::Set(kSpan);
  }

  static void Store(const Codebook& book, const Magnitudes& block, const Fit* fits,
                    uint8_t* into) {
    memset(into, 0, kBytes);
    // The reference does not count zero blocks when it places indices and signs, though it does
    // for the ninth bits and the scales. Its readers do not know; the bytes are what we promise.
    int place = 0;
    for (int b = 0; b < 8; ++b) {
      if (fits[b].zero) continue;
      for (int g = 0; g < 8; ++g) {
        const uint32_t index = book.indices[fits[b].codes[g]];
        into[2 + 8 * place + g] = static_cast<uint8_t>(index);
        into[66 + b] = static_cast<uint8_t>(into[66 + b] | index >> 8 << g);
      }
      memcpy(into + 74 + 4 * place, block.signs + 4 * b, 4);
      ++place;
    }
    const float most = LargestScale(fits, 8);
    if (most == 0.0f) return;
    const float scale = most / 31.0f;
    // What is stored is a little more than what the codes of the scales are made with.
    StoreHalf(into, scale * 1.033f);
    const float inverse = 1.0f / scale;
    for (int b = 0; b < 8; b += 2) {
      into[106 + b / 2] = static_cast<uint8_t>(ScaleCode(inverse, fits[b].scale) |
                                               ScaleCode(inverse, fits[b + 1].scale) << 4);
    }
  }
};

}  // namespace

size_t QuantizeIQ3_XXS(const float* values, size_t rows, size_t columns, const float* importance,
                       uint8_t* into) {
  return QuantizeRowsOf<TypeXxs>(Iq3XxsCodebook(), values, rows, columns, importance, into);
}

size_t QuantizeIQ3_S(const float* values, size_t rows, size_t columns, const float* importance,
                     uint8_t* into) {
  return QuantizeRowsOf<TypeS>(Iq3SCodebook(), values, rows, columns, importance, into);
}

}  // namespace quantd::QUANTD_ISA
