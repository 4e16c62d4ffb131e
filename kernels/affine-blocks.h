// Affine blocks: Q4_1 and Q5_1, 32 values with a scale and a minimum of their own.
//
//   rows ──▶ QuantizeAffineBlocks ──▶ blocks   (read next: affine-fit.h)
//
// The layout is drawn in docs/quantization.md.
#ifndef QUANTD_AFFINE_BLOCKS_H_
#define QUANTD_AFFINE_BLOCKS_H_

#include "affine-refine.h"

namespace quantd {
namespace {

// Levels (32) to the words of nibbles, before them one of fifth bits in Q5_1.
template <int kLevels, int W>
QUANTD_LANE void PackBlock(const Int<W>* levels, Int<W>* words) {
  Int<W> fours[8];
  for (int i = 0; i < 8; ++i) fours[i] = WordOf(levels + 4 * i);
  if constexpr (kLevels == 31) *words++ = FifthBits(fours);
  PackNibbleWords(fours, words);
}

template <int kLevels>
constexpr int kWordsOfBlock = kLevels == 31 ? 6 : 5;

// The weights of importance, of blocks in lanes of their own: lanes and sigma2 W a block.
template <int W>
struct WeighBlocks {
  const float* const* lanes;
  const Float<W>* sigma2;
  QUANTD_LANE void operator()(int i, const Float<W>* x, Float<W>* into) const {
    WeighByImportance(lanes + i / 32 * W, i % 32, sigma2[i / 32], x, into);
  }
};

// kSide * W blocks: lane l of side s is block s * W + l of the arrays.
template <int kLevels, int kSide, int W>
__attribute__((noinline)) uint32_t FitBlocks(const float* const* values,
                                             const float* const* importance, const float* sigma2,
                                             int count, uint8_t* const* into) {
  Float<W> x[32 * kSide];
  Float<W> means[kSide];
  for (int s = 0; s < kSide; ++s) {
    LoadElements(values + s * W, 0, 32, x + 32 * s);
    means[s] = Float<W>::Load(sigma2 + s * W);
  }
  AffineFit<W> fits[kSide];
  const uint32_t out_of_reach = FitAffine<32, kLevels, false, kSide>(
      x, WeighBlocks<W>{importance, means}, kSearchImportance, fits);
  for (int s = 0; s < kSide && s * W < count; ++s) {
    Int<W> levels[32];
    for (int i = 0; i < 32; ++i) {
      levels[i] = LevelOfFit<kLevels>(x[32 * s + i], fits[s]);
    }
    Int<W> words[kWordsOfBlock<kLevels>];
    words[0] = HalfBits(fits[s].scale) | ShiftLeft<16>(HalfBits(fits[s].low));
    PackBlock<kLevels>(levels, words + 1);
    StoreWords<kWordsOfBlock<kLevels>>(words, into + s * W);
  }
  return out_of_reach;
}

// Rows whose sums of squares stand on the stack at once.
constexpr size_t kRowsAtOnce = 64;

// The mean square of each row, in sequence along the row: sigma2 (rows, at most kRowsAtOnce).
// Two groups of lanes beside one another, for the additions of one wait for each other.
template <int W>
__attribute__((noinline)) void MeanSquares(const float* values, size_t rows, size_t columns,
                                           float* sigma2) {
  constexpr int kGroups = W == 1 ? 1 : 2;
  constexpr size_t kLanes = kGroups * W;
  for (size_t first = 0; first < rows; first += kLanes) {
    const float* lanes[kLanes];
    for (size_t l = 0; l < kLanes; ++l) {
      lanes[l] = values + columns * (first + l < rows ? first + l : rows - 1);
    }
    Float<W> sums[kGroups];
    for (int g = 0; g < kGroups; ++g) sums[g] = Float<W>::Set(0.0f);
    for (size_t c = 0; c < columns; c += 4) {
      for (int g = 0; g < kGroups; ++g) {
        Float<W> tile[4];
        LoadFour<W>(lanes + g * W, static_cast<int>(c), tile);
        for (int i = 0; i < 4; ++i) sums[g] = sums[g] + tile[i] * tile[i];
      }
    }
    alignas(64) float means[kLanes];
    for (int g = 0; g < kGroups; ++g) {
      (sums[g] / Float<W>::Set(static_cast<float>(columns))).Store(means + g * W);
    }
    for (size_t l = 0; l < kLanes && first + l < rows; ++l) sigma2[first + l] = means[l];
  }
}

// rows, at most kRowsAtOnce.
template <int kLevels>
void QuantizeByImportance(const float* values, size_t rows, size_t columns,
                          const float* importance, uint8_t* into) {
  constexpr int kSide = kSideOf<kWidth>;
  constexpr int kBlocks = kSide * kWidth;
  float row_sigma2[kRowsAtOnce];
  MeanSquares<kWidth>(values, rows, columns, row_sigma2);
  const size_t total = rows * columns / 32;
  size_t row = 0;
  size_t column = 0;
  for (size_t first = 0; first < total; first += kBlocks) {
    const float* block_values[kBlocks];
    const float* block_importance[kBlocks];
    float sigma2[kBlocks];
    uint8_t* block_into[kBlocks];
    const int count = static_cast<int>(total - first < kBlocks ? total - first : kBlocks);
    for (int b = 0; b < count; ++b) {
      const size_t block = first + static_cast<size_t>(b);
      block_values[b] = values + 32 * block;
      block_into[b] = into + 4 * kWordsOfBlock<kLevels> * block;
      block_importance[b] = importance + column;
      sigma2[b] = row_sigma2[row];
      column += 32;
      if (column == columns) {
        column = 0;
        ++row;
      }
    }
    for (int b = count; b < kBlocks; ++b) {
      block_values[b] = block_values[b - 1];
      block_into[b] = block_into[b - 1];
      block_importance[b] = block_importance[b - 1];
      sigma2[b] = sigma2[b - 1];
    }
    const uint32_t out_of_reach =
        FitBlocks<kLevels, kSide, kWidth>(block_values, block_importance, sigma2, count,
                                          block_into);
    for (int b = 0; kWidth > 1 && out_of_reach != 0 && b < count; ++b) {
      if ((out_of_reach >> (b % kWidth) & 1u) == 0) continue;
      FitBlocks<kLevels, 1, 1>(block_values + b, block_importance + b, sigma2 + b, 1,
                               block_into + b);
    }
  }
}

// Plain: the range of 32 values in N steps, with the unrounded scale. W blocks.
template <int kLevels, int W>
QUANTD_LANE void RoundBlocks(const float* const* values, uint8_t* const* into) {
  using F = Float<W>;
  F x[32];
  LoadElements(values, 0, 32, x);
  F low = F::Set(0x1.fffffep127f);
  F high = F::Set(-0x1.fffffep127f);
  for (int i = 0; i < 32; ++i) {
    low = Min(x[i], low);
    high = Max(x[i], high);
  }
  const F scale = (high - low) / F::Set(static_cast<float>(kLevels));
  const F inverse = Select(scale == F::Set(0.0f), scale, F::Set(1.0f) / scale);
  Int<W> levels[32];
  for (int i = 0; i < 32; ++i) {
    // The low byte of what does not fit (an infinite reciprocal) is 0.
    const Int<W> level = Truncate((x[i] - low) * inverse + F::Set(0.5f)) & Int<W>::Set(255);
    levels[i] = kLevels == 15 ? Min(level, Int<W>::Set(15)) : level;
  }
  Int<W> words[kWordsOfBlock<kLevels>];
  words[0] = HalfBits(scale) | ShiftLeft<16>(HalfBits(low));
  PackBlock<kLevels>(levels, words + 1);
  StoreWords<kWordsOfBlock<kLevels>>(words, into);
}

template <int kLevels>
size_t QuantizeAffineBlocks(const float* values, size_t rows, size_t columns,
                            const float* importance, uint8_t* into) {
  constexpr size_t kBytes = 4 * kWordsOfBlock<kLevels>;
  if (importance != nullptr) {
    for (size_t r = 0; r < rows; r += kRowsAtOnce) {
      const size_t count = rows - r < kRowsAtOnce ? rows - r : kRowsAtOnce;
      QuantizeByImportance<kLevels>(values + r * columns, count, columns, importance,
                                    into + r * (columns / 32) * kBytes);
    }
    return rows * columns;
  }
  const size_t total = rows * columns / 32;
  for (size_t first = 0; first < total; first += kWidth) {
    const float* lanes[kWidth];
    uint8_t* blocks[kWidth];
    const int count = static_cast<int>(total - first < kWidth ? total - first : kWidth);
    for (int l = 0; l < kWidth; ++l) {
      const size_t block = first + static_cast<size_t>(l < count ? l : count - 1);
      lanes[l] = values + 32 * block;
      blocks[l] = into + kBytes * block;
    }
    RoundBlocks<kLevels, kWidth>(lanes, blocks);
  }
  return rows * columns;
}

}  // namespace
}  // namespace quantd

#endif
