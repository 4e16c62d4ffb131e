// Codebook-fit: what the types of IQ2 and IQ3 share, from the floats of a super-block to the scale
// and the codebook points of its blocks. IQ1 shares how rows go through panels (QuantizePanels).
//
//   super-blocks ──▶ Prepare ──▶ Magnitudes ──▶ FitPanel ──▶ Fit[]
//   (read next: codebook-iq1.cpp, codebook-iq2.cpp, codebook-iq3.cpp)
//
// A type is a struct of constants, named below as kWhat; lanes are blocks of kElements elements.
// The order of the float operations is the promise (docs/codebooks.md).
#ifndef QUANTD_CODEBOOK_FIT_H_
#define QUANTD_CODEBOOK_FIT_H_

#include "codebook-search.h"
#include "lanes.h"

namespace quantd {
namespace {

constexpr int kSuperBlock = 256;

// As many super-blocks as fill the lanes once.
template <int kElements>
constexpr int kSuperBlocksAtOnce =
    kWidth * kElements > kSuperBlock ? kWidth * kElements / kSuperBlock : 1;

// A super-block without its signs.
struct Magnitudes {
  alignas(64) float x[kSuperBlock];  // Below zero where parity turned a sign around.
  alignas(64) float weights[kSuperBlock];
  alignas(64) float roots[kSuperBlock];  // Square roots of the weights.
  uint8_t signs[kSuperBlock / 8];        // Bit i: element i of the eight is negative.
};

// Which groups are rounded once more, with the best scale, when that is above zero.
enum class Again {
  kAll,
  kAllIfOff,  // All of a block, if one was not in the codebook or no scale was taken.
  kOffGrid,   // Those that were not in the codebook.
};

// One block: a point for each group of elements.
struct Fit {
  float scale;
  bool zero;      // The block was skipped: no points, no signs.
  bool inverted;  // The scale came out negative: all signs turn around.
  uint16_t codes[8];
};

[[maybe_unused]] inline float SumOfSquares(const float* x) {
  float sum = 0.0f;
  for (int i = 0; i < kSuperBlock; ++i) sum += x[i] * x[i];
  return sum;
}

[[maybe_unused]] inline void WeighByImportance(const float* x, const float* importance,
                                               float variance, float* weights) {
  for (int i = 0; i < kSuperBlock; ++i) {
    weights[i] = importance[i] * __builtin_sqrtf(variance + x[i] * x[i]);
  }
}

// A format that stores seven signs of eight lets the last follow from an even number of negative
// ones. Where the number is odd, the element that matters least takes the wrong sign.
[[maybe_unused]] inline void MakeParityEven(Magnitudes& block) {
  alignas(64) float matter[kSuperBlock];
  for (int i = 0; i < kSuperBlock; ++i) matter[i] = block.weights[i] * block.x[i] * block.x[i];
  for (int group = 0; group < kSuperBlock / 8; ++group) {
    if (__builtin_popcount(block.signs[group]) % 2 == 0) continue;
    int least = 0;
    for (int i = 1; i < 8; ++i) {
      if (matter[8 * group + i] < matter[8 * group + least]) least = i;
    }
    block.x[8 * group + least] = -block.x[8 * group + least];
    block.signs[group] = static_cast<uint8_t>(block.signs[group] ^ 1u << least);
  }
}

template <class Type>
inline void Prepare(const float* x, const float* importance, Magnitudes& block) {
  const float sum = SumOfSquares(x);
  const float variance = (Type::kTwiceVariance ? 2.0f * sum : sum) / 256.0f;
  if (importance != nullptr) {
    WeighByImportance(x, importance, variance, block.weights);
  } else {
    for (int i = 0; i < kSuperBlock; ++i) block.weights[i] = Type::PlainWeight(variance, x[i]);
  }
  for (int i = 0; i < kSuperBlock; ++i) block.roots[i] = __builtin_sqrtf(block.weights[i]);
  const Float<kWidth> zero = Float<kWidth>::Set(0.0f);
  for (int word = 0; word < kSuperBlock / 32; ++word) {
    uint32_t signs = 0;
    for (int i = 0; i < 32; i += kWidth) {
      const Float<kWidth> values = Float<kWidth>::Load(x + 32 * word + i);
      const Mask<kWidth> negative = values < zero;
      signs |= LaneBits(negative) << i;
      Select(negative, FromBits(Bits(values) ^ Int<kWidth>::Set(INT32_MIN)), values)
          .Store(block.x + 32 * word + i);
    }
    memcpy(block.signs + 4 * word, &signs, sizeof signs);
  }
  if constexpr (Type::kEvenParity) MakeParityEven(block);
}

// kWidth blocks side by side.
template <class Type>
struct Panel {
  static constexpr int W = kWidth;
  static constexpr int kElements = Type::kElements;
  static constexpr int kPerGroup = Terms<Type::kLevelBits>::kElements;
  static constexpr int kGroups = kElements / kPerGroup;
  using SuperBlock = Magnitudes;
  using BlockFit = Fit;

  Float<W> x[kElements];
  Float<W> weights[kElements];
  Float<W> products[kElements];  // weights * x
  const float* lane_x[W];
  const float* lane_roots[W];
  Int<W> codes[kGroups];    // The current points.
  Int<W> on_grid[kGroups];  // 1 where rounding alone led to the point.
  uint32_t failed;          // Bit i: lane i had a group without a nearest neighbour.

  // first: the number of lane 0's block, counted from the first super-block.
  inline void Load(const Magnitudes* blocks, int first) {
    constexpr int kBlocks = kSuperBlock / kElements;
    const float* lane_weights[W];
    for (int l = 0; l < W; ++l) {
      const Magnitudes& block = blocks[(first + l) / kBlocks];
      const int start = (first + l) % kBlocks * kElements;
      lane_x[l] = block.x + start;
      lane_weights[l] = block.weights + start;
      lane_roots[l] = block.roots + start;
    }
    LoadLanes(lane_x, kElements, x);
    LoadLanes(lane_weights, kElements, weights);
    for (int i = 0; i < kElements; ++i) products[i] = weights[i] * x[i];
    failed = 0;
  }

  QUANTD_LANE Float<W> Largest() const {
    Float<W> most = x[0];
    for (int i = 1; i < kElements; ++i) most = Select(most > x[i], most, x[i]);
    return most;
  }

  // The levels of a group that are nearest when 1 / inverse is the scale, as a code.
  QUANTD_LANE Int<W> Round(int group, Float<W> inverse) const {
    Int<W> code = Int<W>::Set(0);
    for (int i = kPerGroup - 1; i >= 0; --i) {
      const Float<W> scaled = inverse * x[kPerGroup * group + i] - Float<W>::Set(1.0f);
      const Int<W> level = Clamp(Nearest(Float<W>::Set(0.5f) * scaled), 0, Type::kLevelMax);
      code = ShiftLeft<Type::kLevelBits>(code) | level;
    }
    return code;
  }

  // Codes that the codebook lacks become the nearest of their neighbours, in the lanes named.
  inline void Snap(const Codebook& book, Float<W> scale, Mask<W> lanes) {
    alignas(64) float scales[W];
    scale.Store(scales);
    for (int g = 0; g < kGroups; ++g) {
      const Int<W> point = Gather(reinterpret_cast<const int32_t*>(book.points), codes[g]);
      const Mask<W> lacking = lanes & ~(point == Int<W>::Set(0));
      on_grid[g] = Select(lacking, Int<W>::Set(0), Int<W>::Set(1));
      alignas(64) int32_t points[W];
      alignas(64) int32_t found[W];
      point.Store(points);
      codes[g].Store(found);
      for (uint32_t bits = LaneBits(lacking); bits != 0; bits &= bits - 1) {
        const int l = __builtin_ctz(bits);
        const uint32_t code = NearestNeighbour(
            book, static_cast<uint32_t>(points[l]), lane_x[l] + kPerGroup * g,
            lane_roots[l] + kPerGroup * g, scales[l], Type::kValues);
        if (code == kNoCode) {
          failed |= 1u << l;
        } else {
          found[l] = static_cast<int32_t>(code);
        }
      }
      codes[g] = Int<W>::Load(found);
    }
  }

  // The sums of weight * x * q and weight * q * q, in ascending order.
  QUANTD_LANE void Sum(Float<W>& xq, Float<W>& qq) const {
    xq = Float<W>::Set(0.0f);
    qq = Float<W>::Set(0.0f);
    for (int g = 0; g < kGroups; ++g) {
      Int<W> rest = codes[g];
      for (int i = kPerGroup * g; i < kPerGroup * (g + 1); ++i) {
        const Int<W> level = rest & Int<W>::Set((1 << Type::kLevelBits) - 1);
        rest = ShiftRight<Type::kLevelBits>(rest);
        const Float<W> q = ToFloat(level + level + Int<W>::Set(1));
        xq = xq + products[i] * q;
        qq = qq + weights[i] * q * q;
      }
    }
  }
};

// The best scale of some, and the points it gives.
template <class Type>
struct Best {
  static constexpr int W = kWidth;
  static constexpr int kGroups = Panel<Type>::kGroups;

  Float<W> scale;
  Float<W> score;
  Int<W> codes[kGroups];
  Int<W> on_grid[kGroups];
};

// Tries scales on either side of the first one and keeps what fits best.
template <class Type>
inline void TryScales(const Codebook& book, Panel<Type>& panel, Float<kWidth> span,
                      Mask<kWidth> active, Best<Type>& best) {
  using F = Float<kWidth>;
  for (int t = -Type::kSteps; t <= Type::kSteps; ++t) {
    const float numerator = Type::kSpan + static_cast<float>(t) * Type::kStep;
    const F inverse = F::Set(numerator) / span;
    for (int g = 0; g < Best<Type>::kGroups; ++g) panel.codes[g] = panel.Round(g, inverse);
    panel.Snap(book, F::Set(1.0f) / inverse, active);
    F xq, qq;
    panel.Sum(xq, qq);
    const Mask<kWidth> better =
        active & (qq > F::Set(0.0f)) & (xq * xq > best.score * qq);
    if (!Any(better)) continue;
    best.scale = Select(better, xq / qq, best.scale);
    best.score = Select(better, best.scale * xq, best.score);
    for (int g = 0; g < Best<Type>::kGroups; ++g) {
      best.codes[g] = Select(better, panel.codes[g], best.codes[g]);
      best.on_grid[g] = Select(better, panel.on_grid[g], best.on_grid[g]);
    }
  }
}

// Rounds once more, with the best scale, the groups that the type names; then the scale follows
// from the points.
template <class Type>
inline void FitAgain(const Codebook& book, Panel<Type>& panel, Mask<kWidth> active,
                     Best<Type>& best) {
  using F = Float<kWidth>;
  using I = Int<kWidth>;
  const F zero = F::Set(0.0f);
  Mask<kWidth> again = active & (best.scale > zero);
  if constexpr (Type::kAgain != Again::kAll) {
    Mask<kWidth> any_off = best.on_grid[0] == I::Set(0);
    for (int g = 1; g < Best<Type>::kGroups; ++g) {
      any_off = any_off | (best.on_grid[g] == I::Set(0));
    }
    again = again & any_off;
  }
  if (!Any(again)) return;
  const F inverse = F::Set(1.0f) / best.scale;
  for (int g = 0; g < Best<Type>::kGroups; ++g) {
    Mask<kWidth> anew = again;
    if constexpr (Type::kAgain == Again::kOffGrid) anew = anew & (best.on_grid[g] == I::Set(0));
    // What stays is a point of the codebook already.
    panel.codes[g] = Select(anew, panel.Round(g, inverse), best.codes[g]);
  }
  panel.Snap(book, best.scale, again);
  F xq, qq;
  panel.Sum(xq, qq);
  best.scale = Select(again & (qq > zero), xq / qq, best.scale);
  for (int g = 0; g < Best<Type>::kGroups; ++g) best.codes[g] = panel.codes[g];
}

template <class Type>
inline void FitPanel(const Codebook& book, Panel<Type>& panel, Fit* fits) {
  using F = Float<kWidth>;
  Best<Type> best;
  Mask<kWidth> active;
  F span;  // What the numerators of the scales are divided by.
  Type::Start(panel, active, best.scale, span);
  best.score = F::Set(0.0f);
  for (int g = 0; g < Best<Type>::kGroups; ++g) {
    best.codes[g] = Int<kWidth>::Set(0);
    best.on_grid[g] = Int<kWidth>::Set(Type::kAgain == Again::kAllIfOff ? 0 : 1);
  }
  if (Any(active)) {
    TryScales(book, panel, span, active, best);
    FitAgain(book, panel, active, best);
  }

  const uint32_t fitted = LaneBits(active);
  alignas(64) float scales[kWidth];
  alignas(64) int32_t codes[Best<Type>::kGroups][kWidth];
  best.scale.Store(scales);
  for (int g = 0; g < Best<Type>::kGroups; ++g) best.codes[g].Store(codes[g]);
  for (int l = 0; l < kWidth; ++l) {
    fits[l].zero = (fitted >> l & 1) == 0;
    const float scale = fits[l].zero ? 0.0f : scales[l];
    fits[l].inverted = scale < 0.0f;
    fits[l].scale = fits[l].inverted ? -scale : scale;
    for (int g = 0; g < Best<Type>::kGroups; ++g) {
      fits[l].codes[g] = static_cast<uint16_t>(codes[g][l]);
    }
  }
}

// The largest scale of a super-block, from 0.
[[maybe_unused]] inline float LargestScale(const Fit* fits, int count) {
  float most = 0.0f;
  for (int i = 0; i < count; ++i) most = fits[i].scale > most ? fits[i].scale : most;
  return most;
}

// The four bits of a block's scale: odd multiples of the super-block's.
[[maybe_unused]] inline uint32_t ScaleCode(float inverse, float scale) {
  return static_cast<uint32_t>(Clamp(Nearest(0.5f * (inverse * scale - 1.0f)), 0, 15));
}

// Rows of super-blocks; the index of the first element of the first one that has no fit, or the
// number of elements. A panel's blocks are made by kPrepare and fitted by kFit.
template <class Type, class PanelOf, auto kPrepare, auto kFit>
inline size_t QuantizePanels(const Codebook& book, const float* values, size_t rows,
                             size_t columns, const float* importance, uint8_t* into) {
  constexpr int kAtOnce = kSuperBlocksAtOnce<Type::kElements>;
  constexpr int kBlocks = kSuperBlock / Type::kElements;
  const size_t per_row = columns / kSuperBlock;
  const size_t count = rows * per_row;
  typename PanelOf::SuperBlock blocks[kAtOnce];
  typename PanelOf::BlockFit fits[kAtOnce * kBlocks];
  PanelOf panel;
  for (size_t start = 0; start < count; start += kAtOnce) {
    for (int s = 0; s < kAtOnce; ++s) {
      // Lanes beyond the end do the last super-block's work again.
      const size_t b = start + s < count ? start + s : count - 1;
      const size_t column = b % per_row * kSuperBlock;
      kPrepare(values + kSuperBlock * b, importance == nullptr ? nullptr : importance + column,
               blocks[s]);
    }
    size_t failed = kAtOnce;
    for (int first = kAtOnce * kBlocks - kWidth; first >= 0; first -= kWidth) {
      panel.Load(blocks, first);
      kFit(book, panel, fits + first);
      if (panel.failed != 0) {
        failed = static_cast<size_t>((first + __builtin_ctz(panel.failed)) / kBlocks);
      }
    }
    for (size_t s = 0; s < kAtOnce && start + s < count; ++s) {
      if (s == failed) return kSuperBlock * (start + s);
      Type::Store(book, blocks[s], fits + kBlocks * s, into + Type::kBytes * (start + s));
    }
  }
  return kSuperBlock * count;
}

template <class Type>
inline size_t QuantizeRowsOf(const Codebook& book, const float* values, size_t rows,
                             size_t columns, const float* importance, uint8_t* into) {
  return QuantizePanels<Type, Panel<Type>, Prepare<Type>, FitPanel<Type>>(
      book, values, rows, columns, importance, into);
}

}  // namespace
}  // namespace quantd

#endif
