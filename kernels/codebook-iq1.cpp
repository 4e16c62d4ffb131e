// Codebook-iq1: IQ1_S and IQ1_M, eight elements to a point of the levels -1, 0 and 1, which are
// shifted up or down by an eighth.
//
//   rows, importance ──▶ codebook-split.h ──▶ points ──▶ blocks
//   (layouts and arithmetic: docs/codebooks.md)
#include "codebook-families.h"
#include "codebook-fit.h"
#include "codebook-split.h"

namespace quantd::QUANTD_ISA {
namespace {

constexpr LevelValues<2> kShifted[2] = {{{-0.875f, 0.125f, 1.125f, 0.0f}},
                                        {{-1.125f, -0.125f, 0.875f, 0.0f}}};

struct Weighed {
  const float* x;
  alignas(64) float weights[kSuperBlock];
};

struct FitOfSigns {
  float scale;
  bool zero;        // The block was skipped: no points, shift 0.
  uint32_t shifts;  // Of the parts, the last one lowest; 1 is down.
  uint16_t codes[4];
};

// kWidth blocks side by side, each of kParts parts with a shift of their own.
template <class Type>
struct SplitPanel {
  static constexpr int W = kWidth;
  static constexpr int kElements = Type::kElements;
  static constexpr int kGroups = kElements / 8;
  using SuperBlock = Weighed;
  using BlockFit = FitOfSigns;
  using F = Float<W>;
  using I = Int<W>;

  F x[kElements];
  F weights[kElements];
  const float* lane_x[W];
  const float* lane_weights[W];
  I ranks[kElements];
  F scale;
  I shifts;  // Of the parts, the last one lowest; 1 is down.
  I codes[kGroups];
  F shift[kGroups];  // +0.125 or -0.125
  uint32_t failed;   // Bit i: lane i had a group without a nearest neighbour.

  // first: the number of lane 0's block, counted from the first super-block.
  inline void Load(const Weighed* blocks, int first) {
    constexpr int kBlocks = kSuperBlock / kElements;
    for (int l = 0; l < W; ++l) {
      const Weighed& block = blocks[(first + l) / kBlocks];
      const int start = (first + l) % kBlocks * kElements;
      lane_x[l] = block.x + start;
      lane_weights[l] = block.weights + start;
    }
    LoadLanes(lane_x, kElements, x);
    LoadLanes(lane_weights, kElements, weights);
    failed = 0;
  }

  QUANTD_LANE F Largest() const {
    F most = Magnitude(x[0]);
    for (int i = 1; i < kElements; ++i) {
      const F magnitude = Magnitude(x[i]);
      most = Select(most > magnitude, most, magnitude);
    }
    return most;
  }

  // The place of each element in ascending order; of equals the first stays first.
  inline void Rank() {
    const I one = I::Set(1);
    for (int i = 0; i < kElements; ++i) ranks[i] = I::Set(0);
    for (int i = 1; i < kElements; ++i) {
      for (int j = 0; j < i; ++j) {
        const Mask<W> below = x[i] < x[j];
        ranks[j] = Select(below, ranks[j] + one, ranks[j]);
        ranks[i] = Select(below, ranks[i], ranks[i] + one);
      }
    }
  }

  // Sums in sorted order over the elements of each part; the others add nothing.
  inline void SumParts(Prefixes<W, kElements>* parts) const {
    constexpr int kPerPart = kElements / Type::kParts;
    alignas(64) int32_t places[kElements][W];
    for (int i = 0; i < kElements; ++i) ranks[i].Store(places[i]);
    for (int p = 0; p < Type::kParts; ++p) {
      alignas(64) float wx[kElements][W] = {};
      alignas(64) float w[kElements][W] = {};
      for (int i = kPerPart * p; i < kPerPart * (p + 1); ++i) {
        alignas(64) float product[W];
        alignas(64) float weight[W];
        (weights[i] * x[i]).Store(product);
        weights[i].Store(weight);
        for (int l = 0; l < W; ++l) {
          wx[places[i][l]][l] = product[l];
          w[places[i][l]][l] = weight[l];
        }
      }
      for (int r = 0; r < kElements; ++r) {
        parts[p].wx[r + 1] = F::Load(wx[r]);
        parts[p].w[r + 1] = F::Load(w[r]);
      }
      parts[p].Accumulate();
    }
  }

  // Levels by rank, and the shift of each group. Where the scale is below zero, all turns around.
  inline void Place(const Split<W>& split) {
    const Mask<W> negative = split.scale < F::Set(0.0f);
    scale = Select(negative, F::Set(0.0f) - split.scale, split.scale);
    shifts = split.Shifts();
    shifts = Select(negative, I::Set((1 << Type::kParts) - 1) - shifts, shifts);
    const I middle = split.Middle();
    const I high = split.High();
    for (int g = 0; g < kGroups; ++g) {
      codes[g] = I::Set(0);
      for (int i = 8 * g + 7; i >= 8 * g; --i) {
        I level = Select(middle > ranks[i], I::Set(0), I::Set(1));
        level = Select(high > ranks[i], level, I::Set(2));
        level = Select(negative, I::Set(2) - level, level);
        codes[g] = ShiftLeft<2>(codes[g]) | level;
      }
      const int bit = Type::kParts - 1 - g * Type::kParts / kGroups;
      const Mask<W> up = (shifts & I::Set(1 << bit)) == I::Set(0);
      shift[g] = Select(up, F::Set(kMiddle), F::Set(-kMiddle));
    }
  }

  // Codes that the codebook lacks become the nearest of their neighbours. Says in which of the
  // lanes named there were such.
  inline I Snap(const Codebook& book, uint32_t lanes) {
    alignas(64) float scales[W];
    alignas(64) float sides[kGroups][W];
    alignas(64) int32_t points[kGroups][W];
    alignas(64) int32_t snapped[W] = {};
    scale.Store(scales);
    for (int g = 0; g < kGroups; ++g) {
      codes[g].Store(points[g]);
      shift[g].Store(sides[g]);
    }
    for (; lanes != 0; lanes &= lanes - 1) {
      const int l = __builtin_ctz(lanes);
      for (int g = 0; g < kGroups; ++g) {
        const uint32_t point = book.points[points[g][l]];
        if (point == 0) continue;
        const uint32_t code =
            NearestNeighbour(book, point, lane_x[l] + 8 * g, lane_weights[l] + 8 * g, scales[l],
                             kShifted[sides[g][l] < 0.0f ? 1 : 0]);
        snapped[l] = 1;
        if (code == kNoCode) {
          failed |= 1u << l;
        } else {
          points[g][l] = static_cast<int32_t>(code);
        }
      }
    }
    for (int g = 0; g < kGroups; ++g) codes[g] = I::Load(points[g]);
    return I::Load(snapped);
  }

  // The best scale for the points, where there is one above zero.
  inline void Rescale(Mask<W> wanted) {
    const F zero = F::Set(0.0f);
    F xq = zero;
    F qq = zero;
    for (int g = 0; g < kGroups; ++g) {
      I rest = codes[g];
      for (int i = 8 * g; i < 8 * g + 8; ++i) {
        const F q = ToFloat((rest & I::Set(3)) - I::Set(1)) + shift[g];
        rest = ShiftRight<2>(rest);
        xq = xq + weights[i] * q * x[i];
        qq = qq + weights[i] * q * q;
      }
    }
    scale = Select(wanted & (xq > zero) & (qq > zero), xq / qq, scale);
  }
};

template <class Type>
void FitSigns(const Codebook& book, SplitPanel<Type>& panel, FitOfSigns* fits) {
  constexpr int W = kWidth;
  constexpr int kGroups = SplitPanel<Type>::kGroups;
  Mask<W> fitted = ~(panel.Largest() < Float<W>::Set(Type::kTiny));
  for (int l = 0; l < W; ++l) fits[l] = {0.0f, true, 0, {}};
  if (!Any(fitted)) return;
  panel.Rank();
  Prefixes<W, Type::kElements> parts[Type::kParts];
  panel.SumParts(parts);
  const Split<W> split = Type::FindSplit(parts);
  fitted = fitted & split.IsFound();
  panel.Place(split);
  const Int<W> snapped = panel.Snap(book, LaneBits(fitted));
  panel.Rescale(snapped == Int<W>::Set(1));

  const uint32_t lanes = LaneBits(fitted);
  alignas(64) float scales[W];
  alignas(64) int32_t shifts[W];
  alignas(64) int32_t codes[kGroups][W];
  panel.scale.Store(scales);
  panel.shifts.Store(shifts);
  for (int g = 0; g < kGroups; ++g) panel.codes[g].Store(codes[g]);
  for (uint32_t bits = lanes; bits != 0; bits &= bits - 1) {
    const int l = __builtin_ctz(bits);
    fits[l].zero = false;
    fits[l].scale = scales[l];
    fits[l].shifts = static_cast<uint32_t>(shifts[l]);
    for (int g = 0; g < kGroups; ++g) fits[l].codes[g] = static_cast<uint16_t>(codes[g][l]);
  }
}

// The three bits of a block's scale: odd multiples of the super-block's.
uint32_t ThreeBitScale(float inverse, float scale) {
  return static_cast<uint32_t>(Clamp(Nearest(0.5f * (inverse * scale - 1.0f)), 0, 7));
}

float LargestOf(const FitOfSigns* fits, int count) {
  float most = 0.0f;
  for (int i = 0; i < count; ++i) most = fits[i].scale > most ? fits[i].scale : most;
  return most;
}

struct TypeS {
  static constexpr int kElements = 32;
  static constexpr int kParts = 1;
  static constexpr float kTiny = 1e-12f;
  static constexpr size_t kBytes = 50;

  template <int W>
  static Split<W> FindSplit(const Prefixes<W, kElements>* parts) {
    return SplitShared(*parts);
  }

  static void Store(const Codebook& book, const Weighed&, const FitOfSigns* fits, uint8_t* into) {
    memset(into, 0, kBytes);
    const float most = LargestOf(fits, 8);
    const float scale = most / 15.0f;
    const float inverse = 1.0f / scale;
    // What is stored is a little more than what the codes of the scales are made with.
    if (most != 0.0f) StoreHalf(into, scale * 1.125f);
    for (int b = 0; b < 8; ++b) {
      uint32_t high = 0;
      for (int g = 0; g < 4 && !fits[b].zero; ++g) {
        const uint32_t index = book.indices[fits[b].codes[g]];
        into[2 + 4 * b + g] = static_cast<uint8_t>(index);
        high |= index >> 8 << (3 * g);
      }
      if (most != 0.0f) {
        high |= (ThreeBitScale(inverse, fits[b].scale) | fits[b].shifts << 3) << 12;
      }
      StoreU16(into + 34 + 2 * b, static_cast<uint16_t>(high));
    }
  }
};

struct TypeM {
  static constexpr int kElements = 16;
  static constexpr int kParts = 2;
  static constexpr float kTiny = 1e-7f;
  static constexpr size_t kBytes = 56;

  template <int W>
  static Split<W> FindSplit(const Prefixes<W, kElements>* parts) {
    return SplitHalves(parts);
  }

  // The scale of a super-block once the codes of its blocks' scales are known.
  static float Refit(const Weighed& block, const FitOfSigns* fits, const uint32_t* codes,
                     float scale) {
    float xq = 0.0f;
    float qq = 0.0f;
    for (int i = 0; i < kSuperBlock; ++i) {
      const FitOfSigns& fit = fits[i / 16];
      const uint32_t level = fit.codes[i / 8 % 2] >> (2 * (i % 8)) & 3;
      const float* values = kShifted[fit.shifts >> (1 - i / 8 % 2) & 1].value;
      const float q = values[level] * static_cast<float>(2 * codes[i / 16] + 1);
      xq += block.weights[i] * q * block.x[i];
      qq += block.weights[i] * q * q;
    }
    return qq > 0.0f ? xq / qq : scale;
  }

  static void Store(const Codebook& book, const Weighed& block, const FitOfSigns* fits,
                    uint8_t* into) {
    memset(into, 0, kBytes);
    for (int b = 0; b < 16; ++b) {
      if (fits[b].zero) continue;
      const uint32_t first = book.indices[fits[b].codes[0]];
      const uint32_t second = book.indices[fits[b].codes[1]];
      into[2 * b] = static_cast<uint8_t>(first);
      into[2 * b + 1] = static_cast<uint8_t>(second);
      into[32 + b] = static_cast<uint8_t>(first >> 8 | second >> 8 << 4);
    }
    const float most = LargestOf(fits, 16);
    if (most == 0.0f) return;
    const float scale = most / 15.0f;
    const float inverse = 1.0f / scale;
    uint32_t words[4] = {};
    uint32_t codes[16];
    for (int b = 0; b < 16; ++b) {
      codes[b] = ThreeBitScale(inverse, fits[b].scale);
      words[b / 4] |= codes[b] << (3 * (b % 4));
      const uint32_t shifts = fits[b].shifts;
      const uint32_t marks = (shifts >> 1 & 1) << 3 | (shifts & 1) << 7;
      into[32 + b] = static_cast<uint8_t>(into[32 + b] | marks);
    }
    // The scale has no field of its own: its nibbles are the top ones of the four words.
    const uint32_t half = HalfFromFloat(Refit(block, fits, codes, scale) * 1.1125f);
    for (int i = 0; i < 4; ++i) {
      const uint32_t nibble = half >> (4 * i) & 15;
      StoreU16(into + 48 + 2 * i, static_cast<uint16_t>(words[i] | nibble << 12));
    }
  }
};

void Weigh(const float* x, const float* importance, Weighed& block) {
  block.x = x;
  if (importance != nullptr) {
    WeighByImportance(x, importance, 2.0f * SumOfSquares(x) / 256.0f, block.weights);
  } else {
    for (int i = 0; i < kSuperBlock; ++i) block.weights[i] = x[i] * x[i];
  }
}

template <class Type>
size_t QuantizeSigns(const float* values, size_t rows, size_t columns, const float* importance,
                     uint8_t* into) {
  return QuantizePanels<Type, SplitPanel<Type>, Weigh, FitSigns<Type>>(
      Iq1Codebook(), values, rows, columns, importance, into);
}

}  // namespace

size_t QuantizeIQ1_S(const float* values, size_t rows, size_t columns, const float* importance,
                     uint8_t* into) {
  return QuantizeSigns<TypeS>(values, rows, columns, importance, into);
}

size_t QuantizeIQ1_M(const float* values, size_t rows, size_t columns, const float* importance,
                     uint8_t* into) {
  return QuantizeSigns<TypeM>(values, rows, columns, importance, into);
}

}  // namespace quantd::QUANTD_ISA
