#include "products.h"

#include <type_traits>

#include "numbers.h"
#include "products-words.h"

namespace quantd::QUANTD_ISA {
namespace {

constexpr int W = kWidth;
using Shape = TileShape<W>;
constexpr size_t kDepth = Shape::kDepth;
constexpr size_t kPanel = static_cast<size_t>(W) * Shape::kVectors;
// Tokens at a time: as many as the second-level cache holds whole rows of, and room for what cuts
// of a group of rows leave.
constexpr size_t kCachedBytes = 768 << 10;
constexpr size_t kTokensMax = 256;
static_assert(kTokensMax % kPanel == 0);
// Many, so that tokens come from farther away but seldom; and of whole groups.
constexpr size_t kRowsAtATime = 480;
static_assert(kRowsAtATime % Shape::kGroup == 0);

// What pack makes of `tokens`: full panels, and one more for the rest: of one vector if that will
// do.
size_t LanesFor(size_t tokens) {
  const size_t rest = tokens % kPanel;
  return tokens - rest + (rest == 0 ? 0 : rest <= W ? W : kPanel);
}

template <typename Tokens>
size_t PackedBytes(size_t tokens, size_t columns) {
  const size_t bytes = LanesFor(tokens) * WordsIn(columns, Tokens::kColumns) * sizeof(float);
  return (bytes + 63) / 64 * 64;
}

template <typename Tokens>
void Pack(const float* const* rows, size_t tokens, size_t columns, uint8_t* into) {
  const size_t words = WordsIn(columns, Tokens::kColumns);
  float* panel = reinterpret_cast<float*>(into);
  for (size_t t = 0; t < tokens; t += kPanel) {
    const size_t left = tokens - t;
    const size_t lanes = left <= W ? W : kPanel;
    for (size_t first = 0; first < lanes; first += W) {
      const size_t here = left <= first ? 0 : left - first < W ? left - first : W;
      PackVector<Tokens, W>(rows + t + first, here, columns, lanes, panel + first);
    }
    panel += lanes * words;
  }
}

// One product, as it was asked for.
struct Request {
  const float* panels;
  size_t tokens;
  size_t words;  // In the whole of a chain.
  const uint8_t* weights;
  size_t row_bytes;
  float* into;
  size_t stride;
};

// The words [first, first + count) of all chains.
struct Cut {
  size_t first;
  size_t count;
};

// Weights that are wanted next, fetched while the multipliers are busy: rows lie too far apart for
// the CPU to guess it.
struct Ahead {
  const uint8_t* rows;
  size_t row_bytes;
  size_t count;
  size_t bytes;  // Of each row.

  void Fetch(size_t wanted) {
    for (; wanted > 0 && count > 0; --wanted, --count, rows += row_bytes) {
      for (size_t i = 0; i < bytes; i += 64) __builtin_prefetch(rows + i);
    }
  }
};

// `group` rows from `row` on, whose words are laid out, by the tokens [begin, end).
template <typename Step>
void MultiplyGroup(const Request& request, Cut cut, const float* words, size_t row, size_t group,
                   size_t begin, size_t end, float* chains, Ahead ahead) {
  using Set = Tiles<Step, W>;
  const size_t tiles = (end - begin + kPanel - 1) / kPanel * (Shape::kGroup / Shape::kRows);
  const size_t fetched = (ahead.count + tiles - 1) / tiles;
  for (size_t t = begin; t < end; t += kPanel) {
    const size_t left = end - t;
    const size_t lanes = left <= W ? W : kPanel;
    const float* const panel = request.panels + t * request.words + cut.first * lanes;
    Place place = {request.into + t * request.stride + row,
                   request.stride,
                   left < lanes ? left : lanes,
                   chains + (t - begin) * Shape::kGroup,
                   cut.first == 0,
                   cut.first + cut.count == request.words};
    if (lanes == W) {
      ahead.Fetch(ahead.count);
      Set::kNarrow[group - 1](words, panel, cut.count, place);
      continue;
    }
    for (size_t r = 0; r < group; r += Shape::kRows) {
      ahead.Fetch(fetched);
      const size_t rows = group - r < Shape::kRows ? group - r : Shape::kRows;
      Set::kWide[rows - 1](words + r * kDepth, panel, cut.count, place);
      place.into += Shape::kRows;
      place.chains += Shape::kRows * kPanel;
    }
  }
}

// Cuts of equal length, so that none is too short to be worth its loads and stores.
size_t CutLength(size_t words) {
  const size_t cuts = (words + kDepth - 1) / kDepth;
  constexpr size_t kStep = 16;
  return ((words + cuts - 1) / cuts + kStep - 1) / kStep * kStep;
}

// Whole panels, one at least.
size_t TokensAtATime(size_t words) {
  const size_t fit = kCachedBytes / (words * sizeof(float)) / kPanel * kPanel;
  return fit < kPanel ? kPanel : fit > kTokensMax ? kTokensMax : fit;
}

template <typename Step, typename Tokens, typename Weights>
void Multiply(const uint8_t* packed, size_t tokens, size_t columns, const uint8_t* weights,
              size_t row_bytes, size_t count, float* into, size_t stride) {
  alignas(64) float words[Shape::kGroup * kDepth];
  alignas(64) float chains[Shape::kGroup * kTokensMax];
  const size_t all = WordsIn(columns, Tokens::kColumns);
  const Request request = {reinterpret_cast<const float*>(packed), tokens, all, weights, row_bytes,
                           into, stride};
  const size_t length = CutLength(all);
  const size_t step = TokensAtATime(all);
  for (size_t t = 0; t < tokens; t += step) {
    const size_t end = tokens - t < step ? tokens : t + step;
    for (size_t n = 0; n < count; n += Shape::kGroup) {
      const size_t group = count - n < Shape::kGroup ? count - n : Shape::kGroup;
      for (size_t first = 0; first < all; first += length) {
        const Cut cut = {first, all - first < length ? all - first : length};
        const size_t column = first * Tokens::kColumns;
        const size_t left = columns - column;
        const size_t wide = cut.count * Tokens::kColumns;
        for (size_t r = 0; r < group; ++r) {
          Weights::Fill(weights + (n + r) * row_bytes + column * Weights::kBytes,
                        left < wide ? left : wide, words + r * kDepth);
        }
        const bool more = first + cut.count < all;
        const size_t next = more ? n : n + Shape::kGroup;
        const size_t next_column = more ? column + wide : 0;
        const size_t rows_left = next < count ? count - next : 0;
        const size_t columns_left = columns - next_column;
        const Ahead ahead = {weights + next * row_bytes + next_column * Weights::kBytes, row_bytes,
                             rows_left < Shape::kGroup ? rows_left : Shape::kGroup,
                             (columns_left < wide ? columns_left : wide) * Weights::kBytes};
        MultiplyGroup<Step>(request, cut, words, n, group, t, end, chains, ahead);
      }
    }
  }
}

#if defined(__AVX512BF16__)
using ModeBTokens = PairTokens;
using ModeBWeights = PairWeights;
using ModeBStep = PairStep;
#else
using ModeBTokens = RoundedTokens;
using ModeBWeights = Bf16Weights;
using ModeBStep = std::conditional_t<W == 1, ExactStep, FusedStep>;
#endif

// 2^-55 as the upper half of a float.
constexpr uint16_t kFlushBelowHalf = 0x2400;

}  // namespace

// Constant, so that no code of this instruction set runs before it is asked for.
constinit const Products kProducts[kWeightTypes] = {
    {kPanel, kRowsAtATime, PackedBytes<PlainTokens>, Pack<PlainTokens>,
     Multiply<FusedStep, PlainTokens, F32Weights>},
    {kPanel, kRowsAtATime, PackedBytes<PlainTokens>, Pack<PlainTokens>,
     Multiply<FusedStep, PlainTokens, F16Weights>},
    {kPanel, kRowsAtATime, PackedBytes<ModeBTokens>, Pack<ModeBTokens>,
     Multiply<ModeBStep, ModeBTokens, ModeBWeights>},
};

bool NeedsFlush(const uint8_t* weights, size_t count) {
  // In pieces, so that the first find ends it and the loop over each stays one of vectors.
  constexpr size_t kPiece = 4096;
  for (size_t begin = 0; begin < count; begin += kPiece) {
    const size_t end = count - begin < kPiece ? count : begin + kPiece;
    uint16_t found = 0;
    for (size_t i = begin; i < end; ++i) {
      const uint16_t magnitude = LoadU16(weights + 2 * i) & 0x7FFF;
      // 0 becomes the largest number.
      found |= static_cast<uint16_t>(magnitude - 1) < kFlushBelowHalf - 1 ? 1 : 0;
    }
    if (found != 0) return true;
  }
  return false;
}

void Flush(const uint8_t* weights, size_t count, uint8_t* into) {
  for (size_t i = 0; i < count; ++i) {
    const uint16_t weight = LoadU16(weights + 2 * i);
    StoreU16(into + 2 * i, (weight & 0x7FFF) < kFlushBelowHalf ? 0 : weight);
  }
}

}  // namespace quantd::QUANTD_ISA
