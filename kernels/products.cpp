#include "products.h"

#include <type_traits>

#include "numbers.h"
#include "products-words.h"
#if defined(__AMX_BF16__)
#include "products-blocks.h"
#endif

namespace quantd::QUANTD_ISA {
namespace {

constexpr int W = kWidth;
using Shape = TileShape<W>;
constexpr size_t kDepth = Shape::kDepth;
constexpr size_t kPanel = static_cast<size_t>(W) * Shape::kVectors;
// Of the second-level cache for tokens; the rest is for weights, sums and what comes ahead.
constexpr size_t kCachedBytes = 768 << 10;
// Tokens that share the words of a row.
constexpr size_t kTokensMax = 256;
static_assert(kTokensMax % kPanel == 0);
// Rows whose sums are kept from cut to cut.
constexpr size_t kRowsTogether = 120 / Shape::kGroup * Shape::kGroup;
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
  const size_t bytes = LanesFor(tokens) * WordsIn<Tokens>(columns) * sizeof(float);
  return (bytes + 63) / 64 * 64;
}

template <typename Tokens>
void Pack(const float* const* rows, size_t tokens, size_t columns, uint8_t* into) {
  const size_t words = WordsIn<Tokens>(columns);
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
  size_t words;  // Of a whole row.
  float* into;
  size_t stride;
};

// What is laid out and multiplied at a time: `rows` rows from `row` on, and of each the words
// [first, first + count).
struct Block {
  size_t row;
  size_t rows;
  size_t first;
  size_t count;
};

// What is fetched while a block is multiplied: a part by each tile. That goes beyond the last row
// too: there lie the rows that are wanted after these.
struct Fetched {
  // Of each panel, which lie `panel_bytes` apart, a run, of which each tile takes so many bytes;
  // 0: none.
  uintptr_t run;
  size_t panel_bytes;
  size_t tile_bytes;
  // And `row_count` runs of `bytes`, before the tile begins.
  uintptr_t rows;
  size_t row_bytes;
  size_t row_count;
  size_t bytes;
  size_t rows_a_tile;
  size_t step;

  // For `tiles` tiles in each of `panels` panels, which go `depth` words. A tile is too short for
  // a division.
  void Divide(size_t panels, size_t tiles, size_t depth) {
    rows_a_tile = (row_count + panels * tiles - 1) / (panels * tiles);
    const size_t fetches = (depth + kAheadWords - 1) / kAheadWords;
    step = (tile_bytes + fetches - 1) / fetches;
  }
  // Tile `tile` of `tiles` in panel `panel`.
  Ahead For(size_t panel, size_t tile, size_t tiles) const {
    const size_t first = (panel * tiles + tile) * rows_a_tile;
    for (size_t r = first; r < first + rows_a_tile && r < row_count; ++r) {
      for (size_t byte = 0; byte < bytes; byte += kLine) Fetch(rows + r * row_bytes + byte, 1);
    }
    return {run + panel * panel_bytes + tile * tile_bytes, step};
  }
};

// The rows of a block, whose words are laid out, by the tokens [begin, end).
template <typename Step>
void MultiplyBlock(const Request& request, const Block& block, const float* words, size_t begin,
                   size_t end, float* sums, Fetched fetched) {
  using Set = Tiles<Step, W>;
  const size_t tiles = (block.rows + Shape::kRows - 1) / Shape::kRows;
  const auto& wide = fetched.run == 0 ? Set::kWide : Set::kWideFetching;
  fetched.Divide((end - begin + kPanel - 1) / kPanel, tiles, block.count);
  for (size_t t = begin; t < end; t += kPanel) {
    const size_t left = end - t;
    const size_t lanes = left <= W ? W : kPanel;
    const float* const panel = request.panels + t * request.words + block.first * lanes;
    Place place = {request.into + t * request.stride + block.row,
                   request.stride,
                   left < lanes ? left : lanes,
                   sums + (t - begin) * Shape::kGroup,
                   block.first == 0,
                   block.first + block.count == request.words};
    const size_t index = (t - begin) / kPanel;
    if (lanes == W) {
      Set::kNarrow[block.rows - 1](words, panel, block.count, place,
                                   fetched.For(index, 0, tiles));
      continue;
    }
    for (size_t r = 0; r < block.rows; r += Shape::kRows) {
      const size_t rows = block.rows - r < Shape::kRows ? block.rows - r : Shape::kRows;
      wide[rows - 1](words + r * kDepth, panel, block.count, place,
                     fetched.For(index, r / Shape::kRows, tiles));
      place.into += Shape::kRows;
      place.sums += Shape::kRows * kPanel;
    }
  }
}

// Where the second-level cache holds the tokens for whole rows, one group after the other goes
// through; otherwise as many groups as there is room for go through every cut together, so that a
// cut's tokens come from farther away but once for them all.
size_t RowsTogether(size_t rows, size_t words, size_t tokens) {
  if (LanesFor(tokens) * words * sizeof(float) <= kCachedBytes) return Shape::kGroup;
  const size_t parts = (rows + kRowsTogether - 1) / kRowsTogether;
  const size_t groups = (rows + Shape::kGroup - 1) / Shape::kGroup;
  return (groups + parts - 1) / parts * Shape::kGroup;
}

// Of equal length, so that none is too short to be worth its loads and stores.
size_t CutLength(size_t words) {
  const size_t cuts = (words + kDepth - 1) / kDepth;
  constexpr size_t kStep = 32;
  return ((words + cuts - 1) / cuts + kStep - 1) / kStep * kStep;
}

// The order in which products go through memory, and what they keep there.
template <typename Step, typename Tokens, typename Weights>
class Product {
 public:
  Product(const Request& request, size_t columns, const uint8_t* weights, size_t row_bytes,
          size_t rows)
      : request_(request),
        columns_(columns),
        weights_(weights),
        row_bytes_(row_bytes),
        rows_(rows),
        cut_(CutLength(request.words)) {}

  // By the tokens [begin, end), at most kTokensMax.
  void Multiply(size_t begin, size_t end) {
    begin_ = begin;
    end_ = end;
    together_ = RowsTogether(rows_, request_.words, end - begin);
    for (size_t row = 0; row < rows_; row += together_) {
      const size_t last = rows_ - row < together_ ? rows_ : row + together_;
      for (size_t first = 0; first < request_.words; first += cut_) MultiplyCut(row, last, first);
    }
  }

 private:
  // The rows [begin, end), all of which keep their sums, group by group.
  void MultiplyCut(size_t begin, size_t end, size_t first) {
    const size_t left = request_.words - first;
    for (size_t row = begin; row < end; row += Shape::kGroup) {
      const Block block = {row, end - row < Shape::kGroup ? end - row : Shape::kGroup, first,
                           left < cut_ ? left : cut_};
      for (size_t r = 0; r < block.rows; ++r) {
        Weights::Fill(weights_ + (row + r) * row_bytes_ + ByteOf(first),
                      BytesOf(block) / Weights::kBytes, words_ + r * kDepth);
      }
      const Fetched fetched = together_ > Shape::kGroup ? FetchedOf(block, begin, end)
                                                        : FetchedOf(block);
      MultiplyBlock<Step>(request_, block, words_, begin_, end_,
                          sums_ + (row - begin) * kTokensMax, fetched);
    }
  }

  // The rows of the next block, whose first one and first word these are.
  Fetched FetchedRows(const Block& block, uintptr_t first) const {
    return {0, 0, 0, first, row_bytes_, Shape::kGroup, BytesOf(block), 0, 0};
  }

  // Where the tokens stay cached.
  Fetched FetchedOf(const Block& block) const {
    const size_t next_cut = block.first + block.count;
    return FetchedRows(block, next_cut == request_.words ? At(block.row + Shape::kGroup, 0)
                                                         : At(block.row, next_cut));
  }

  // Where they do not: their next cut, a share of it by each of these rows, and the next block.
  Fetched FetchedOf(const Block& block, size_t begin, size_t end) const {
    const size_t next = block.first + block.count;
    const size_t next_cut = next < request_.words ? next : 0;
    const size_t next_group = block.row + Shape::kGroup;
    const size_t next_begin = next_cut == 0 ? end : begin;
    Fetched fetched = FetchedRows(
        block, next_group < end ? At(next_group, block.first) : At(next_begin, next_cut));
    const size_t tiles = (end - begin + Shape::kRows - 1) / Shape::kRows;
    const float* const panel = request_.panels + begin_ * request_.words + next_cut * kPanel;
    fetched.tile_bytes = cut_ * kPanel * sizeof(float) / tiles;
    fetched.panel_bytes = request_.words * kPanel * sizeof(float);
    fetched.run = reinterpret_cast<uintptr_t>(panel) +
                  (block.row - begin) / Shape::kRows * fetched.tile_bytes;
    return fetched;
  }

  static size_t ByteOf(size_t word) { return word * Tokens::kColumns * Weights::kBytes; }
  // Of each row of a block.
  size_t BytesOf(const Block& block) const {
    const size_t left = columns_ * Weights::kBytes - ByteOf(block.first);
    const size_t wide = ByteOf(block.count);
    return left < wide ? left : wide;
  }
  uintptr_t At(size_t row, size_t word) const {
    return reinterpret_cast<uintptr_t>(weights_) + row * row_bytes_ + ByteOf(word);
  }

  const Request request_;
  const size_t columns_;
  const uint8_t* const weights_;
  const size_t row_bytes_;
  const size_t rows_;
  const size_t cut_;
  size_t begin_ = 0;
  size_t end_ = 0;
  size_t together_ = 0;
  alignas(64) float words_[Shape::kGroup * kDepth];
  alignas(64) float sums_[kRowsTogether * kTokensMax];
};

template <typename Step, typename Tokens, typename Weights>
void Multiply(const uint8_t* packed, size_t tokens, size_t columns, const uint8_t* weights,
              size_t row_bytes, size_t count, float* into, size_t stride) {
  const Request request = {reinterpret_cast<const float*>(packed), tokens,
                           WordsIn<Tokens>(columns), into, stride};
  Product<Step, Tokens, Weights> product(request, columns, weights, row_bytes, count);
  for (size_t t = 0; t < tokens; t += kTokensMax) {
    product.Multiply(t, tokens - t < kTokensMax ? tokens : t + kTokensMax);
  }
}

#if defined(__AMX_BF16__)
using ModeBTokens = BlockTokens;
constexpr auto kMultiplyModeB = MultiplyBlocks;
#elif defined(__AVX512BF16__)
using ModeBTokens = PairTokens;
constexpr auto kMultiplyModeB = Multiply<PairBlockStep, PairTokens, PairWeights>;
#else
using ModeBTokens = RoundedTokens;
using ModeBStep = std::conditional_t<W == 1, ExactBlockStep, FusedBlockStep>;
constexpr auto kMultiplyModeB = Multiply<ModeBStep, RoundedTokens, Bf16Weights>;
#endif

// 2^-55 as the upper half of a float.
constexpr uint16_t kFlushBelowHalf = 0x2400;

}  // namespace

// Constants, so that no code of this instruction set runs before it is asked for.
#if !defined(__AVX512BF16__)
constinit const Products kF32Products = {kPanel, kRowsAtATime, PackedBytes<PlainTokens>,
                                         Pack<PlainTokens>,
                                         Multiply<FusedStep, PlainTokens, F32Weights>};
constinit const Products kF16Products = {kPanel, kRowsAtATime, PackedBytes<PlainTokens>,
                                         Pack<PlainTokens>,
                                         Multiply<FusedStep, PlainTokens, F16Weights>};
#endif
constinit const Products kBf16Products = {kPanel, kRowsAtATime, PackedBytes<ModeBTokens>,
                                          Pack<ModeBTokens>, kMultiplyModeB};

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
