// Symmetric: blocks with a scale and no minimum. Levels run from -N to N - 1.
//
// The order of the float operations is the promise (docs/quantization.md): one binary32 rounding
// per written operation, sums from +0 in ascending order. Every lane is another block; the search
// for a scale is in fit-symmetric.h.
#include "families.h"
#include "fit-symmetric.h"

namespace quantd::QUANTD_ISA {
namespace {

// ---- Q4_0, Q5_0, Q8_0 ----

// N = 8: d, nibbles. N = 16: d, fifth bits, nibbles.
template <int kLevels>
constexpr int kBytesOf = kLevels == 8 ? 18 : 22;

template <int W, int kLevels>
QUANTD_LANE void StoreSymmetric(Float<W> scale, const Int<W>* levels, uint8_t* const* into) {
  Int<W> words[5];
  words[0] = FifthBits(levels);
  PackNibbleWords(levels, words + 1);
  StoreHalves(HalfBits(scale), 0, into);
  uint8_t* after[W];
  for (int l = 0; l < W; ++l) after[l] = into[l] + 2;
  if constexpr (kLevels == 8) {
    StoreWords<4>(words + 1, after);
  } else {
    StoreWords<5>(words, after);
  }
}

// The extreme maps to -N with the unrounded scale.
template <int W, int kLevels>
QUANTD_LANE void RoundSymmetric(const float* const* lanes, uint8_t* const* into) {
  Float<W> x[32];
  LoadElements<W>(lanes, 0, 32, x);
  // A block of zeros has the scale 0 / -N = -0, which is stored as such.
  const Float<W> scale =
      ExtremeFinite<W, 32>(x).value / Float<W>::Set(static_cast<float>(-kLevels));
  const Float<W> nought = Float<W>::Set(0.0f);
  const Float<W> inverse = Select(scale == nought, nought, Float<W>::Set(1.0f) / scale);
  const Float<W> middle = Float<W>::Set(static_cast<float>(kLevels) + 0.5f);
  Int<W> words[8];
  for (int i = 0; i < 8; ++i) {
    Int<W> levels[4];
    for (int k = 0; k < 4; ++k) {
      // What does not fit 32 bits (the inverse of a subnormal scale is infinite) becomes 0.
      const Int<W> level = Truncate(x[4 * i + k] * inverse + middle) & Int<W>::Set(0xFF);
      levels[k] = Min(level, Int<W>::Set(2 * kLevels - 1));
    }
    words[i] = WordOf(levels);
  }
  StoreSymmetric<W, kLevels>(scale, words, into);
}

template <int W, int kLevels>
QUANTD_LANE void FitSymmetricBlock(const float* const* lanes, const float* const* importance,
                                   Float<W> mean_square, uint8_t* const* into) {
  Float<W> x[32];
  Float<W> w[32];
  Float<W> wx[32];
  LoadElements<W>(lanes, 0, 32, x);
  LoadElements<W>(importance, 0, 32, w);
  for (int i = 0; i < 32; ++i) {
    w[i] = Weight(w[i], mean_square, x[i]);
    wx[i] = w[i] * x[i];
  }
  const SymmetricFit<W> fit = FitSymmetric<W, 32, kLevels, true>(x, w, wx);
  Int<W> words[8];
  for (int i = 0; i < 8; ++i) {
    Int<W> levels[4];
    for (int k = 0; k < 4; ++k) levels[k] = StoredLevel<W, kLevels>(x[4 * i + k], fit);
    words[i] = WordOf(levels);
  }
  StoreSymmetric<W, kLevels>(fit.scale, words, into);
}

// The mean of the squares of each of W rows, in one sum that runs along the row.
template <int W>
QUANTD_LANE void MeanSquares(const float* values, size_t rows, size_t columns, float* into) {
  const float* lanes[W];
  for (int l = 0; l < W; ++l) {
    const size_t row = static_cast<size_t>(l) < rows ? static_cast<size_t>(l) : rows - 1;
    lanes[l] = values + row * columns;
  }
  Float<W> sum = Float<W>::Set(0.0f);
  for (size_t column = 0; column < columns; column += 4) {
    Float<W> x[4];
    LoadFour<W>(lanes, 0, x);
    for (int i = 0; i < 4; ++i) sum = sum + x[i] * x[i];
    for (int l = 0; l < W; ++l) lanes[l] += 4;
  }
  (sum / Float<W>::Set(static_cast<float>(columns))).Store(into);
}

// W rows at a time: a block's weights depend on its whole row.
template <int W, int kLevels>
QUANTD_LANE void FitRows(const float* values, size_t rows, size_t columns,
                         const float* importance, uint8_t* into) {
  const size_t per_row = columns / 32;
  for (size_t row = 0; row < rows; row += W) {
    const size_t count = rows - row < W ? rows - row : W;
    const float* group = values + row * columns;
    uint8_t* out = into + row * per_row * kBytesOf<kLevels>;
    alignas(64) float means[W];
    MeanSquares<W>(group, count, columns, means);
    const size_t blocks = count * per_row;
    for (size_t first = 0; first < blocks; first += W) {
      const BlockLanes<W, 32, kBytesOf<kLevels>> at(group, importance, columns, first, blocks,
                                                    out);
      alignas(64) float mean_squares[W];
      for (int l = 0; l < W; ++l) mean_squares[l] = means[at.row[l]];
      FitSymmetricBlock<W, kLevels>(at.values, at.importance, Float<W>::Load(mean_squares),
                                    at.into);
    }
  }
}

template <int W, int kLevels>
QUANTD_LANE void SymmetricRows(const float* values, size_t rows, size_t columns,
                               const float* importance, uint8_t* into) {
  if (importance != nullptr) return FitRows<W, kLevels>(values, rows, columns, importance, into);
  const size_t blocks = rows * columns / 32;
  for (size_t first = 0; first < blocks; first += W) {
    const BlockLanes<W, 32, kBytesOf<kLevels>> at(values, nullptr, columns, first, blocks, into);
    RoundSymmetric<W, kLevels>(at.values, at.into);
  }
}

// The nearest integer, halves away from zero: just less than a half away, then cut. The sum is
// rounded too, and that is what makes exactly a half go up (tested with every float there is).
template <int W>
QUANTD_LANE Int<W> RoundAway(Float<W> value) {
  const Int<W> sign = Bits(value) & Int<W>::Set(INT32_MIN);
  return Truncate(value + FromBits(sign | Int<W>::Set(0x3EFFFFFF)));
}

template <int W>
QUANTD_LANE void BlocksQ8_0(const float* const* lanes, uint8_t* const* into) {
  Float<W> x[32];
  LoadElements<W>(lanes, 0, 32, x);
  Float<W> most[2] = {Magnitude(x[0]), Magnitude(x[1])};
  for (int i = 2; i < 32; ++i) most[i & 1] = Max(most[i & 1], Magnitude(x[i]));
  const Float<W> scale = Max(most[0], most[1]) / Float<W>::Set(127.0f);
  const Float<W> nought = Float<W>::Set(0.0f);
  const Float<W> inverse = Select(scale == nought, nought, Float<W>::Set(1.0f) / scale);
  Int<W> words[8];
  for (int i = 0; i < 8; ++i) {
    Int<W> levels[4];
    for (int k = 0; k < 4; ++k) {
      levels[k] = RoundAway(x[4 * i + k] * inverse) & Int<W>::Set(0xFF);
    }
    words[i] = WordOf(levels);
  }
  uint8_t* after[W];
  for (int l = 0; l < W; ++l) after[l] = into[l] + 2;
  StoreHalves(HalfBits(scale), 0, into);
  StoreWords<8>(words, after);
}

// ---- Q6_K ----

// 6-bit levels: low nibbles in 32 words, high pairs in 16; in each run of 128, elements l, l + 32,
// l + 64 and l + 96 share bytes.
template <int W>
QUANTD_LANE void PackSixBitLevels(const Int<W>* levels, Int<W>* low, Int<W>* high) {
  const Int<W> pair = Int<W>::Set(0x03030303);
  for (int half = 0; half < 2; ++half) {
    for (int l = 0; l < 8; ++l) {
      const Int<W>* e = levels + 32 * half + l;
      low[16 * half + l] = Nibbles(e[0], e[16]);
      low[16 * half + 8 + l] = Nibbles(e[8], e[24]);
      high[8 * half + l] =
          ((ShiftRight<4>(e[0]) & pair) | ShiftLeft<2>(ShiftRight<4>(e[8]) & pair)) |
          (ShiftLeft<4>(ShiftRight<4>(e[16]) & pair) | ShiftLeft<6>(ShiftRight<4>(e[24]) & pair));
    }
  }
}

template <int W>
QUANTD_LANE void BlocksQ6_K(const float* const* lanes, const float* const* importance,
                            uint8_t* const* into) {
  Float<W> x[256];
  Float<W> scales[16];
  Int<W> levels[64];
  for (int j = 0; j < 16; ++j) {
    Float<W> w[16];
    Float<W> wx[16];
    LoadElements<W>(lanes, 16 * j, 16, x + 16 * j);
    if (importance != nullptr) LoadElements<W>(importance, 16 * j, 16, w);
    for (int i = 0; i < 16; ++i) {
      if (importance == nullptr) w[i] = x[16 * j + i] * x[16 * j + i];
      wx[i] = w[i] * x[16 * j + i];
    }
    const SymmetricFit<W> fit = FitSymmetric<W, 16, 32, true>(x + 16 * j, w, wx);
    scales[j] = fit.scale;
    StoredLevels<W, 32>(x + 16 * j, fit, levels + 4 * j);
  }
  const ExtremeOf<W> extreme = Extreme<W>(scales, 16);
  const Float<W> inverse = Float<W>::Set(-128.0f) / extreme.value;
  const Int<W> half = HalfBits(Float<W>::Set(1.0f) / inverse);
  const Float<W> block_scale = FloatOfHalf(half);
  Int<W> codes[16];
  for (int j = 0; j < 16; ++j) {
    const Int<W> code =
        WrapToInt8(Min(Nearest(inverse * scales[j]), Int<W>::Set(127)));
    codes[j] = code & Int<W>::Set(0xFF);
    RefineLevels<W, 32>(x + 16 * j, block_scale * ToFloat(code), levels + 4 * j);
  }
  Int<W> words[52];
  PackSixBitLevels(levels, words, words + 32);
  for (int i = 0; i < 4; ++i) words[48 + i] = WordOf(codes + 4 * i);
  StoreWords<52>(words, into);
  StoreHalves(half, 208, into);
  const uint32_t zero = LaneBits(extreme.magnitude < Float<W>::Set(kTiny));
  for (int l = 0; zero >> l != 0; ++l) {
    if ((zero >> l & 1) != 0) memset(into[l], 0, 210);
  }
}

}  // namespace

size_t QuantizeQ4_0(const float* values, size_t rows, size_t columns, const float* importance,
                    uint8_t* into) {
  SymmetricRows<kWidth, 8>(values, rows, columns, importance, into);
  return rows * columns;
}

size_t QuantizeQ5_0(const float* values, size_t rows, size_t columns, const float* importance,
                    uint8_t* into) {
  SymmetricRows<kWidth, 16>(values, rows, columns, importance, into);
  return rows * columns;
}

size_t QuantizeQ8_0(const float* values, size_t rows, size_t columns, const float*,
                    uint8_t* into) {
  const size_t blocks = rows * columns / 32;
  for (size_t first = 0; first < blocks; first += kWidth) {
    const BlockLanes<kWidth, 32, 34> at(values, nullptr, columns, first, blocks, into);
    BlocksQ8_0<kWidth>(at.values, at.into);
  }
  return rows * columns;
}

size_t QuantizeQ6_K(const float* values, size_t rows, size_t columns, const float* importance,
                    uint8_t* into) {
  const size_t blocks = rows * columns / 256;
  for (size_t first = 0; first < blocks; first += kWidth) {
    const BlockLanes<kWidth, 256, 210> at(values, importance, columns, first, blocks, into);
    BlocksQ6_K<kWidth>(at.values, importance == nullptr ? nullptr : at.importance, at.into);
  }
  return rows * columns;
}

}  // namespace quantd::QUANTD_ISA
