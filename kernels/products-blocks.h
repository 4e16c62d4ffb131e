// Blocks: the products of mode B by the tiles of AMX, whose one instruction is a block of DET-1.md §6
// for 16 rows by 16 tokens.
//
//   rows of weights ──LayOut──▶ [block][16 rows][32 columns];  panels [pair][tokens] ──▶ sums ──▶ rows
//
// tdpbf16ps sums the even columns and the odd ones of a block each by itself from +0, adds the two
// sums, and adds that to what the tile held: with subnormals as zeros, which there are none of.
#ifndef QUANTD_PRODUCTS_BLOCKS_H_
#define QUANTD_PRODUCTS_BLOCKS_H_

#include <stddef.h>
#include <string.h>

#include "products-words.h"

namespace quantd {
namespace {

constexpr size_t kSide = 16;         // Rows or tokens of a tile.
constexpr size_t kLineBytes = 64;    // Of a tile: one row of a block, or the tokens of a pair.
constexpr size_t kTileBytes = kSide * kLineBytes;
constexpr size_t kTileWords = kTileBytes / sizeof(float);
// Rows that are laid out together, and tokens of a panel: two tiles of each make four of sums.
constexpr size_t kPairedRows = 2 * kSide;
constexpr size_t kPairedTokens = 2 * kSide;
static_assert(kPairedTokens == kSide * TileShape<kSide>::kVectors, "panels are packed in this width");
// Tokens that share what was laid out.
constexpr size_t kSharingTokens = 256;
// Laid out together, of two tiles each.
constexpr size_t kLaidBlocks = 48;

// What ldtilecfg reads: all eight tiles are whole ones. A constant, for GCC's own header tells the
// compiler of the first eight bytes alone, and it leaves out the others of a variable.
struct TileShapes {
  uint8_t palette;
  uint8_t reserved[15];
  uint16_t line_bytes[16];
  uint8_t lines[16];
};
static_assert(sizeof(TileShapes) == 64);
constexpr uint16_t kB = kLineBytes;
constexpr uint8_t kL = kSide;
alignas(64) constexpr TileShapes kWholeTiles = {
    1, {}, {kB, kB, kB, kB, kB, kB, kB, kB}, {kL, kL, kL, kL, kL, kL, kL, kL}};

// The tiles of the thread, shaped for blocks for as long as this lives.
class TileRegisters {
 public:
  TileRegisters() { _tile_loadconfig(&kWholeTiles); }
  ~TileRegisters() { _tile_release(); }
  TileRegisters(const TileRegisters&) = delete;
  TileRegisters& operator=(const TileRegisters&) = delete;
};

// Lines that are fetched into the second-level cache while blocks are multiplied: the rows that are
// laid out next.
class FetchedRows {
 public:
  FetchedRows(const uint8_t* first, size_t row_bytes, size_t bytes)
      : at_(reinterpret_cast<uintptr_t>(first)), row_bytes_(row_bytes), bytes_(bytes) {}

  QUANTD_LANE void Some(size_t lines) {
    for (size_t i = 0; i < lines && row_ < kPairedRows; ++i) {
      _mm_prefetch(reinterpret_cast<const char*>(at_ + row_ * row_bytes_ + byte_), _MM_HINT_T1);
      byte_ += kLineBytes;
      if (byte_ >= bytes_) {
        byte_ = 0;
        ++row_;
      }
    }
  }

 private:
  uintptr_t at_;
  size_t row_bytes_;
  size_t bytes_;
  size_t row_ = 0;
  size_t byte_ = 0;
};

// The columns [first, first + count) of up to 32 rows, two tiles for each block; zeros where there is
// no row and no column.
inline void LayOut(const uint8_t* weights, size_t row_bytes, size_t rows, size_t first, size_t count,
                   uint8_t* into) {
  for (size_t k = 0; k < count; k += kBlockColumns) {
    const __mmask32 there = count - k < kBlockColumns ? (1u << (count - k)) - 1 : ~0u;
    for (size_t r = 0; r < kPairedRows; ++r, into += kLineBytes) {
      const uint8_t* const from = weights + r * row_bytes + 2 * (first + k);
      _mm512_store_si512(into, _mm512_maskz_loadu_epi16(r < rows ? there : 0, from));
    }
  }
}

// One tile of sums, [row][token], to its place.
QUANTD_LANE void StoreTile(const float* sums, size_t rows, size_t tokens, float* into,
                           size_t stride) {
  F16x square[kSide];
#pragma GCC unroll 16
  for (size_t r = 0; r < kSide; ++r) square[r] = F16x::Load(sums + r * kSide);
  Transpose(square);
  const __mmask16 there = rows < kSide ? (1u << rows) - 1 : 0xFFFF;
#pragma GCC unroll 16
  for (size_t t = 0; t < kSide; ++t) {
    if (t < tokens) _mm512_mask_storeu_ps(into + t * stride, there, square[t].v);
  }
}

// 32 rows by 32 or 16 tokens: sums, four tiles or two, go on over `blocks` blocks.
template <bool kBothTokens>
void MultiplyTiles(const uint8_t* laid, const float* panel, size_t blocks, bool begins, float* sums,
                   FetchedRows& fetched, size_t lines) {
  constexpr size_t kLanes = kBothTokens ? kPairedTokens : kSide;
  constexpr size_t kPanelStride = kLanes * sizeof(float);
  if (begins) {
    _tile_zero(0);
    _tile_zero(2);
    if constexpr (kBothTokens) {
      _tile_zero(1);
      _tile_zero(3);
    }
  } else {
    _tile_loadd(0, sums, kLineBytes);
    _tile_loadd(2, sums + 2 * kTileWords, kLineBytes);
    if constexpr (kBothTokens) {
      _tile_loadd(1, sums + kTileWords, kLineBytes);
      _tile_loadd(3, sums + 3 * kTileWords, kLineBytes);
    }
  }
  for (size_t block = 0; block < blocks; ++block) {
    const float* const tokens = panel + block * kSide * kLanes;
    _tile_loadd(4, laid, kLineBytes);
    _tile_loadd(6, tokens, kPanelStride);
    _tile_dpbf16ps(0, 4, 6);
    if constexpr (kBothTokens) {
      _tile_loadd(7, tokens + kSide, kPanelStride);
      _tile_dpbf16ps(1, 4, 7);
    }
    _tile_loadd(5, laid + kTileBytes, kLineBytes);
    _tile_dpbf16ps(2, 5, 6);
    if constexpr (kBothTokens) _tile_dpbf16ps(3, 5, 7);
    fetched.Some(lines);
    laid += 2 * kTileBytes;
  }
  _tile_stored(0, sums, kLineBytes);
  _tile_stored(2, sums + 2 * kTileWords, kLineBytes);
  if constexpr (kBothTokens) {
    _tile_stored(1, sums + kTileWords, kLineBytes);
    _tile_stored(3, sums + 3 * kTileWords, kLineBytes);
  }
}

// Products::multiply over panels of BlockTokens, kPairedTokens wide.
class BlockProduct {
 public:
  BlockProduct(const float* panels, size_t columns, const uint8_t* weights, size_t row_bytes,
               size_t rows, float* into, size_t stride)
      : panels_(panels),
        columns_(columns),
        words_(WordsIn<BlockTokens>(columns)),
        weights_(weights),
        row_bytes_(row_bytes),
        rows_(rows),
        into_(into),
        stride_(stride) {
    const size_t blocks = words_ / kSide;
    const size_t cuts = (blocks + kLaidBlocks - 1) / kLaidBlocks;
    cut_ = (blocks + cuts - 1) / cuts * kBlockColumns;
  }

  // By the tokens [begin, end), at most kSharingTokens.
  void Multiply(size_t begin, size_t end) {
    for (size_t row = 0; row < rows_; row += kPairedRows) {
      for (size_t first = 0; first < columns_; first += cut_) MultiplyCut(row, first, begin, end);
    }
  }

 private:
  void MultiplyCut(size_t row, size_t first, size_t begin, size_t end) {
    const size_t count = columns_ - first < cut_ ? columns_ - first : cut_;
    const size_t rows = rows_ - row < kPairedRows ? rows_ - row : kPairedRows;
    const bool ends = first + count == columns_;
    LayOut(weights_ + row * row_bytes_, row_bytes_, rows, first, count, laid_);
    const size_t blocks = (count + kBlockColumns - 1) / kBlockColumns;
    const size_t panels = (end - begin + kPairedTokens - 1) / kPairedTokens;
    const size_t next_row = ends ? row + kPairedRows : row;
    FetchedRows fetched(weights_ + next_row * row_bytes_ + 2 * (ends ? 0 : first + count),
                        row_bytes_, 2 * count);
    const size_t lines = (kPairedRows + panels - 1) / panels;
    float* sums = sums_;
    for (size_t t = begin; t < end; t += kPairedTokens, sums += 4 * kTileWords) {
      const size_t tokens = end - t < kPairedTokens ? end - t : kPairedTokens;
      const bool both = tokens > kSide;
      const float* const panel =
          panels_ + t * words_ + first / 2 * (both ? kPairedTokens : kSide);
      (both ? MultiplyTiles<true> : MultiplyTiles<false>)(laid_, panel, blocks, first == 0, sums,
                                                          fetched, lines);
      if (ends) Store(sums, row, rows, t, tokens);
    }
  }

  void Store(const float* sums, size_t row, size_t rows, size_t token, size_t tokens) {
    for (size_t r = 0; r < rows; r += kSide) {
      for (size_t t = 0; t < tokens; t += kSide) {
        const float* const tile = sums + (r / kSide * 2 + t / kSide) * kTileWords;
        StoreTile(tile, rows - r, tokens - t, into_ + (token + t) * stride_ + row + r, stride_);
      }
    }
  }

  const float* const panels_;
  const size_t columns_;
  const size_t words_;
  const uint8_t* const weights_;
  const size_t row_bytes_;
  const size_t rows_;
  float* const into_;
  const size_t stride_;
  size_t cut_ = 0;
  alignas(64) uint8_t laid_[kLaidBlocks * 2 * kTileBytes];
  alignas(64) float sums_[kSharingTokens / kPairedTokens * 4 * kTileWords];
};

inline void MultiplyBlocks(const uint8_t* packed, size_t tokens, size_t columns,
                           const uint8_t* weights, size_t row_bytes, size_t count, float* into,
                           size_t stride) {
  const TileRegisters registers;
  const float* const panels = reinterpret_cast<const float*>(packed);
  BlockProduct product(panels, columns, weights, row_bytes, count, into, stride);
  for (size_t t = 0; t < tokens; t += kSharingTokens) {
    product.Multiply(t, tokens - t < kSharingTokens ? tokens : t + kSharingTokens);
  }
}

}  // namespace
}  // namespace quantd

#endif
