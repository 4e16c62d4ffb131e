// Descent: Q3_K. Without importance its levels are found by coordinate descent, one element after
// the other; with importance by the search of fit-symmetric.h, and the scales by another one.
//
// The order of the float operations is the promise (docs/quantization.md): one binary32 rounding
// per written operation, sums from +0 in ascending order. Every lane is another super-block.
#include "families.h"
#include "fit-symmetric.h"

namespace quantd::QUANTD_ISA {
namespace {

constexpr int kCount = 16;
constexpr int kLevels = 4;
constexpr int kSweepsMax = 5;
// Sub-blocks that descend side by side: each is one long chain of operations.
template <int W>
constexpr int kWays = W == 1 ? 1 : 4;

// A sub-block's descent.
template <int W>
struct Descent {
  Float<W> x[kCount];
  Float<W> w[kCount];
  Float<W> wx[kCount];
  Float<W> levels[kCount];
  Float<W> with_values;  // Sum of weight * x * level.
  Float<W> with_levels;  // Sum of weight * level * level.
  SymmetricFit<W> fit;

  QUANTD_LANE void Start() {
    const ExtremeOf<W> extreme = ExtremeFinite<W, kCount>(x);
    fit.inverse = Float<W>::Set(static_cast<float>(-kLevels)) / extreme.value;
    fit.zero = extreme.magnitude < Float<W>::Set(kTiny);
    with_values = with_levels = Float<W>::Set(0.0f);
    for (int i = 0; i < kCount; ++i) {
      w[i] = x[i] * x[i];
      wx[i] = w[i] * x[i];
      levels[i] = NearestWithin(fit.inverse * x[i], -kLevels, kLevels - 1);
      with_values = with_values + wx[i] * levels[i];
      with_levels = with_levels + w[i] * levels[i] * levels[i];
    }
  }

  // Gives element i its best level while the others stand still; returns where it moved.
  QUANTD_LANE Mask<W> Step(int i) {
    const Float<W> nought = Float<W>::Set(0.0f);
    Float<W> xl = with_values - wx[i] * levels[i];
    Float<W> ll = with_levels - w[i] * levels[i] * levels[i];
    const Float<W> next = NearestWithin(x[i] * ll / xl, -kLevels, kLevels - 1);
    const Mask<W> able = (xl > nought) & ~(next == levels[i]);
    // Most elements stay where they are; the next one then need not wait for these sums.
    if (!Any(able)) return able;
    xl = xl + wx[i] * next;
    ll = ll + w[i] * next * next;
    const Mask<W> better = xl * xl * with_levels > with_values * with_values * ll;
    const Mask<W> moves = able & (ll > nought) & better;
    levels[i] = Select(moves, next, levels[i]);
    with_values = Select(moves, xl, with_values);
    with_levels = Select(moves, ll, with_levels);
    return moves;
  }

  QUANTD_LANE void Finish() {
    const Float<W> nought = Float<W>::Set(0.0f);
    const Mask<W> some = (with_levels > nought) & ~fit.zero;
    fit.scale = Select(some, with_values / with_levels, nought);
  }

  // Levels as they are stored: 4 words.
  QUANTD_LANE void Store(Int<W>* into) const {
    for (int i = 0; i < 4; ++i) {
      Int<W> four[4];
      for (int k = 0; k < 4; ++k) {
        const Int<W> level = Truncate(levels[4 * i + k]) + Int<W>::Set(kLevels);
        four[k] = Select(fit.zero, Int<W>::Set(0), level);
      }
      into[i] = WordOf(four);
    }
  }
};

// A sweep without a move changes nothing, so lanes that are done may be swept on with the others.
template <int W>
QUANTD_LANE void Descend(Descent<W>* ways) {
  for (int sweep = 0; sweep < kSweepsMax; ++sweep) {
    Mask<W> moved = Float<W>::Set(1.0f) < Float<W>::Set(0.0f);
    for (int i = 0; i < kCount; ++i) {
      for (int s = 0; s < kWays<W>; ++s) moved = moved | ways[s].Step(i);
    }
    if (!Any(moved)) return;
  }
}

// What the search for the levels of the 16 sub-blocks leaves behind.
template <int W>
struct SubBlocks {
  Float<W> scales[16];
  Int<W> levels[64];  // Words; they stand where the stored scale is 0.
};

template <int W>
QUANTD_LANE void DescendAll(const float* const* lanes, Float<W>* x, SubBlocks<W>& into) {
  Descent<W> ways[kWays<W>];
  for (int j = 0; j < 16; j += kWays<W>) {
    for (int s = 0; s < kWays<W>; ++s) {
      LoadElements<W>(lanes, 16 * (j + s), 16, ways[s].x);
      ways[s].Start();
    }
    Descend<W>(ways);
    for (int s = 0; s < kWays<W>; ++s) {
      ways[s].Finish();
      ways[s].Store(into.levels + 4 * (j + s));
      into.scales[j + s] = ways[s].fit.scale;
      for (int i = 0; i < kCount; ++i) x[16 * (j + s) + i] = ways[s].x[i];
    }
  }
}

// codes: 6 bits each, offset by 32. Returns the block's scale, a half.
template <int W>
QUANTD_LANE Int<W> EncodeScales(const Float<W>* scales, Int<W>* codes) {
  const Float<W> extreme = Extreme<W>(scales, 16).value;
  const Mask<W> none = extreme == Float<W>::Set(0.0f);
  const Float<W> inverse = Float<W>::Set(-32.0f) / extreme;
  for (int j = 0; j < 16; ++j) {
    const Int<W> code = Clamp(WrapToInt8(Nearest(inverse * scales[j])), -32, 31);
    codes[j] = Select(none, Int<W>::Set(0), code + Int<W>::Set(32));
  }
  return Select(none, Int<W>::Set(0), HalfBits(Float<W>::Set(1.0f) / inverse));
}

// With importance: the levels by search, and the scales by a search weighted with the sums of the
// weights below them.
template <int W>
QUANTD_LANE Int<W> SearchAll(const Float<W>* x, const float* const* importance, Int<W>* codes,
                             SubBlocks<W>& into) {
  Float<W> sum = Float<W>::Set(0.0f);
  for (int i = 0; i < 256; ++i) sum = sum + x[i] * x[i];
  const Float<W> mean_square = Float<W>::Set(2.0f) * sum / Float<W>::Set(256.0f);
  Float<W> sums[16];
  for (int j = 0; j < 16; ++j) {
    Float<W> w[16];
    Float<W> wx[16];
    LoadElements<W>(importance, 16 * j, 16, w);
    sums[j] = Float<W>::Set(0.0f);
    for (int i = 0; i < 16; ++i) {
      w[i] = Weight(w[i], mean_square, x[16 * j + i]);
      wx[i] = w[i] * x[16 * j + i];
      sums[j] = sums[j] + w[i];
    }
    const SymmetricFit<W> fit = FitSymmetric<W, 16, kLevels, true>(x + 16 * j, w, wx);
    into.scales[j] = fit.scale;
    StoredLevels<W, kLevels>(x + 16 * j, fit, into.levels + 4 * j);
  }
  Float<W> products[16];
  for (int j = 0; j < 16; ++j) products[j] = sums[j] * into.scales[j];
  const SymmetricFit<W> fit = FitSymmetric<W, 16, 32, false>(into.scales, sums, products);
  for (int j = 0; j < 16; ++j) codes[j] = StoredLevel<W, 32>(into.scales[j], fit);
  return HalfBits(fit.scale);
}

// 256 levels of 3 bits: the third bits in 8 words, the pairs below them in 16.
template <int W>
QUANTD_LANE void PackThreeBitLevels(const Int<W>* levels, Int<W>* third, Int<W>* pairs) {
  const Int<W> one = Int<W>::Set(0x01010101);
  const Int<W> pair = Int<W>::Set(0x03030303);
  for (int l = 0; l < 8; ++l) {
    Int<W> bits = Int<W>::Set(0);
    for (int run = 7; run >= 0; --run) {
      bits = ShiftLeft<1>(bits) | (ShiftRight<2>(levels[8 * run + l]) & one);
    }
    third[l] = bits;
  }
  for (int half = 0; half < 2; ++half) {
    for (int l = 0; l < 8; ++l) {
      const Int<W>* e = levels + 32 * half + l;
      pairs[8 * half + l] = ((e[0] & pair) | ShiftLeft<2>(e[8] & pair)) |
                            (ShiftLeft<4>(e[16] & pair) | ShiftLeft<6>(e[24] & pair));
    }
  }
}

// Sixteen 6-bit codes to 3 words: the low nibbles of j and j + 8 share byte j; the high two bits
// of code j lie at bit 2 * (j / 4) of byte 8 + j % 4.
template <int W>
QUANTD_LANE void PackCodes(const Int<W>* codes, Int<W>* into) {
  Int<W> words[4];
  Int<W> high = Int<W>::Set(0);
  for (int q = 3; q >= 0; --q) {
    words[q] = WordOf(codes + 4 * q);
    high = ShiftLeft<2>(high) | (ShiftRight<4>(words[q]) & Int<W>::Set(0x03030303));
  }
  into[0] = Nibbles(words[0], words[2]);
  into[1] = Nibbles(words[1], words[3]);
  into[2] = high;
}

template <int W>
QUANTD_LANE void BlocksQ3_K(const float* const* lanes, const float* const* importance,
                            uint8_t* const* into) {
  Float<W> x[256];
  SubBlocks<W> blocks;
  Int<W> codes[16];
  Int<W> half;
  if (importance == nullptr) {
    DescendAll<W>(lanes, x, blocks);
    half = EncodeScales<W>(blocks.scales, codes);
  } else {
    LoadElements<W>(lanes, 0, 256, x);
    half = SearchAll<W>(x, importance, codes, blocks);
  }
  const Float<W> block_scale = FloatOfHalf(half);
  for (int j = 0; j < 16; ++j) {
    const Float<W> scale = block_scale * ToFloat(codes[j] - Int<W>::Set(32));
    RefineLevels<W, kLevels>(x + 16 * j, scale, blocks.levels + 4 * j);
  }
  Int<W> words[27];
  PackThreeBitLevels(blocks.levels, words, words + 8);
  PackCodes(codes, words + 24);
  StoreWords<27>(words, into);
  StoreHalves(half, 108, into);
}

}  // namespace

size_t QuantizeQ3_K(const float* values, size_t rows, size_t columns, const float* importance,
                    uint8_t* into) {
  const size_t blocks = rows * columns / 256;
  for (size_t first = 0; first < blocks; first += kWidth) {
    const BlockLanes<kWidth, 256, 110> at(values, importance, columns, first, blocks, into);
    BlocksQ3_K<kWidth>(at.values, importance == nullptr ? nullptr : at.importance, at.into);
  }
  return rows * columns;
}

}  // namespace quantd::QUANTD_ISA
