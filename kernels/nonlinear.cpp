// Nonlinear: IQ4_NL and IQ4_XS, whose 16 levels lie closer together near 0.
//
// The order of the float operations is the promise (docs/quantization.md): one binary32 rounding
// per written operation, sums from +0 in ascending order. Every lane is another block; which level
// is nearest is in nonlinear-levels.h.
#include "families.h"
#include "nonlinear.h"
#include "fit-symmetric.h"
#include "nonlinear-levels.h"

namespace quantd::QUANTD_ISA {
namespace {

// The search tries 127 + t, t = -7 .. 7, for the extreme.
constexpr int kSpread = 7;

// The scale, possibly negative, that explains 32 values best; w are their weights.
template <int W>
QUANTD_LANE Float<W> FitNonlinear(const Float<W>* x, const Float<W>* w) {
  const Float<W> nought = Float<W>::Set(0.0f);
  const ExtremeOf<W> extreme = ExtremeFinite<W, 32>(x);
  const auto project = [&](Float<W> inverse, Float<W>& with_values, Float<W>& with_levels) {
    with_values = with_levels = nought;
#pragma GCC unroll 4
    for (int i = 0; i < 32; ++i) {
      const Float<W> level = NearestLevel<W>(inverse * x[i]);
      const Float<W> weighted = w[i] * level;
      with_values = with_values + weighted * x[i];
      with_levels = with_levels + weighted * level;
    }
  };
  // -extreme / -127, and below -extreme / 32: a sign moved is not a rounding.
  const Float<W> first = extreme.value / Float<W>::Set(127.0f);
  Float<W> with_values;
  Float<W> with_levels;
  // A division takes long: that of the next candidate starts before this one is tried.
  Float<W> next = Float<W>::Set(-127.0f - kSpread) / extreme.value;
  project(Float<W>::Set(1.0f) / first, with_values, with_levels);
  Float<W> scale = Select(with_levels > nought, with_values / with_levels, nought);
  Float<W> best = scale * with_values;
  for (int t = -kSpread; t <= kSpread; ++t) {
    const Float<W> inverse = next;
    next = Float<W>::Set(static_cast<float>(t + 1) - 127.0f) / extreme.value;
    project(inverse, with_values, with_levels);
    const Mask<W> better =
        (with_levels > nought) & (with_values * with_values > best * with_levels);
    const Float<W> attempt = with_values / with_levels;
    scale = Select(better, attempt, scale);
    best = Select(better, attempt * with_values, best);
  }
  return Select(extreme.magnitude < Float<W>::Set(kTiny), nought, scale);
}

template <int W>
QUANTD_LANE Float<W> InverseOf(Float<W> scale) {
  const Float<W> nought = Float<W>::Set(0.0f);
  return Select(scale == nought, nought, Float<W>::Set(1.0f) / scale);
}

// w (count): x * x without importance.
template <int W>
QUANTD_LANE void Weigh(const Float<W>* x, const float* const* importance, int at,
                       Float<W> mean_square, Float<W>* w) {
  if (importance == nullptr) {
    for (int i = 0; i < 32; ++i) w[i] = x[i] * x[i];
    return;
  }
  LoadElements<W>(importance, at, 32, w);
  for (int i = 0; i < 32; ++i) w[i] = Weight(w[i], mean_square, x[i]);
}

template <int W, int kElements>
QUANTD_LANE Float<W> TwiceMeanSquare(const Float<W>* x) {
  Float<W> sum = Float<W>::Set(0.0f);
  for (int i = 0; i < kElements; ++i) sum = sum + x[i] * x[i];
  // Exact, a power of two, but for subnormals, where the order counts.
  return sum * Float<W>::Set(2.0f / kElements);
}

// Levels of 32 values as nibbles: 4 words.
template <int W>
QUANTD_LANE void StoreLevels(const Float<W>* x, Float<W> inverse, Int<W>* into) {
  Int<W> words[8];
  for (int i = 0; i < 8; ++i) {
    Int<W> levels[4];
    for (int k = 0; k < 4; ++k) levels[k] = NearestIndex<W>(inverse * x[4 * i + k]);
    words[i] = WordOf(levels);
  }
  PackNibbleWords(words, into);
}

template <int W>
QUANTD_LANE void BlocksIQ4_NL(const float* const* lanes, const float* const* importance,
                              uint8_t* const* into) {
  Float<W> x[32];
  Float<W> w[32];
  LoadElements<W>(lanes, 0, 32, x);
  Weigh<W>(x, importance, 0, TwiceMeanSquare<W, 32>(x), w);
  const Float<W> scale = FitNonlinear<W>(x, w);
  Int<W> words[4];
  StoreLevels<W>(x, InverseOf(scale), words);
  uint8_t* after[W];
  for (int l = 0; l < W; ++l) after[l] = into[l] + 2;
  StoreHalves(HalfBits(scale), 0, into);
  StoreWords<4>(words, after);
}

template <int W>
QUANTD_LANE void BlocksIQ4_XS(const float* const* lanes, const float* const* importance,
                              uint8_t* const* into) {
  Float<W> x[256];
  Float<W> scales[8];
  LoadElements<W>(lanes, 0, 256, x);
  const Float<W> mean_square = TwiceMeanSquare<W, 256>(x);
  for (int j = 0; j < 8; ++j) {
    Float<W> w[32];
    Weigh<W>(x + 32 * j, importance, 32 * j, mean_square, w);
    scales[j] = FitNonlinear<W>(x + 32 * j, w);
  }
  const Float<W> scale = Extreme<W>(scales, 8).value / Float<W>::Set(-32.0f);
  const Float<W> inverse = InverseOf(scale);
  Int<W> words[34];
  Int<W> high = Int<W>::Set(0);
  words[1] = Int<W>::Set(0);
  for (int j = 7; j >= 0; --j) {
    const Int<W> code = Clamp(Nearest(inverse * scales[j]), -32, 31);
    StoreLevels<W>(x + 32 * j, InverseOf(scale * ToFloat(code)), words + 2 + 4 * j);
    const Int<W> stored = code + Int<W>::Set(32);
    words[1] = ShiftLeft<4>(words[1]) | (stored & Int<W>::Set(15));
    high = ShiftLeft<2>(high) | ShiftRight<4>(stored);
  }
  words[0] = HalfBits(scale) | ShiftLeft<16>(high);
  StoreWords<34>(words, into);
}

}  // namespace

size_t QuantizeIQ4_NL(const float* values, size_t rows, size_t columns, const float* importance,
                      uint8_t* into) {
  const size_t blocks = rows * columns / 32;
  for (size_t first = 0; first < blocks; first += kWidth) {
    const BlockLanes<kWidth, 32, 18> at(values, importance, columns, first, blocks, into);
    BlocksIQ4_NL<kWidth>(at.values, importance == nullptr ? nullptr : at.importance, at.into);
  }
  return rows * columns;
}

size_t QuantizeIQ4_XS(const float* values, size_t rows, size_t columns, const float* importance,
                      uint8_t* into) {
  const size_t blocks = rows * columns / 256;
  for (size_t first = 0; first < blocks; first += kWidth) {
    const BlockLanes<kWidth, 256, 136> at(values, importance, columns, first, blocks, into);
    BlocksIQ4_XS<kWidth>(at.values, importance == nullptr ? nullptr : at.importance, at.into);
  }
  return rows * columns;
}

}  // namespace quantd::QUANTD_ISA
