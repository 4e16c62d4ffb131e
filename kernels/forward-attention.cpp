// Forward attention: one head of one chunk, DET-1.md §8.
//
//   queries ──▶ panels (column, query) ──▶ scores (key, query) ──▶ e, S ──▶ values ──▶ into
//
// Up to 64 queries at a time, side by side in lanes: each has its own chain over the columns of a
// key, and later its own softmax down the keys. For the values lanes are columns, and e is what is
// broadcast. Keys that no query of a tile sees are stepped over; where some do and others do not,
// e is 0, which the page says is the same.
#include "forward-lanes.h"
#include "forward-ops.h"
#include "products-tile.h"

namespace quantd::QUANTD_ISA {
namespace {

constexpr int W = kWidth;
// A block of queries, which a job of attention begins at a multiple of.
constexpr size_t kQueries = 64;
// Tiles of scores: vectors of queries by keys. Tiles of values: queries by vectors of columns.
// Both leave a CPU of as many registers as each set has enough for the operands.
constexpr int kScoreVectors = W == 16 || W == 8 ? 2 : 4;
constexpr int kScoreKeys = W == 16 ? 12 : W == 1 ? 2 : 6;
constexpr int kValueQueries = W == 16 ? 8 : W == 1 ? 2 : 4;
constexpr int kValueVectors = W == 4 ? 4 : 2;
constexpr size_t kGroup = static_cast<size_t>(kScoreVectors) * W;
constexpr size_t kTileColumns = static_cast<size_t>(kValueVectors) * W;
// Columns of keys at a time: a tile of them and a panel stay in the nearest cache.
constexpr size_t kColumns = 128;
// Keys whose values are added at a time, for the same reason.
constexpr size_t kValueKeys = 128;
// A tile of values may end behind the block; what it makes there is not stored.
constexpr size_t kScoreStride = kQueries + 16;
constexpr size_t kOutputFloats = kScoreStride * kTileColumns;

struct Range {
  size_t start;
  size_t end;
};

// A block of queries [first, first + count) and where its numbers lie.
struct Block {
  const AttentionHead& head;
  size_t first;
  size_t count;
  float* panels;  // kQueries / kGroup panels (width, kGroup).
  float* scores;  // (keys, kScoreStride), beginning with the first key that the block sees.
  float* tile;    // Columns of some keys (kScoreKeys, kColumns).
  float* values;   // Columns of the values of some keys (kValueKeys, kTileColumns).
  float* outputs;  // The same columns of the chains of the block (kScoreStride, kTileColumns).
  Range keys;
};

// The keys that some of the queries [first, last] sees.
QUANTD_LANE Range KeysOf(const AttentionHead& head, size_t first, size_t last) {
  const bool cut = head.window != 0 && first >= head.window;
  return {cut ? first - head.window + 1 : 0, last + 1};
}

QUANTD_LANE size_t Smaller(size_t a, size_t b) { return a < b ? a : b; }

// Lanes without a query of their own repeat the last: they cost the same, and are finite.
QUANTD_LANE void PackQueries(const Block& block) {
  const AttentionHead& head = block.head;
  for (size_t start = 0; start < kQueries; start += W) {
    const float* rows[W];
    for (int l = 0; l < W; ++l) {
      const size_t q = Smaller(start + static_cast<size_t>(l), block.count - 1);
      rows[l] = head.queries + (block.first + q) * head.query_stride;
    }
    float* const panel = block.panels + start / kGroup * kGroup * head.width + start % kGroup;
    size_t c = 0;
    for (; c + W <= head.width; c += W) {
      Float<W> square[W];
      for (int l = 0; l < W; ++l) square[l] = Float<W>::Load(rows[l] + c);
      Transpose(square);
      for (size_t i = 0; i < W; ++i) square[i].Store(panel + (c + i) * kGroup);
    }
    for (; c < head.width; ++c) {
      for (int l = 0; l < W; ++l) panel[c * kGroup + static_cast<size_t>(l)] = rows[l][c];
    }
  }
}

// Keys of a tile, side by side: where they lie, rows may be a power of two apart, which caches bear
// badly. Rows behind the last key repeat it; nobody reads their scores.
QUANTD_LANE void PackKeys(const Block& block, size_t key, size_t column, size_t count) {
  const AttentionHead& head = block.head;
  for (int k = 0; k < kScoreKeys; ++k) {
    const size_t row = Smaller(key + static_cast<size_t>(k), block.keys.end - 1);
    const float* const from = head.keys + row * head.key_stride + column;
    float* const into = block.tile + k * kColumns;
    ForColumns(count, [=]<int V>(Width<V>, size_t i) { Float<V>::Load(from + i).Store(into + i); });
  }
}

// Goes on with the chains of kScoreKeys keys and a group of queries by `count` columns.
QUANTD_LANE void ScoreTile(const float* panel, const float* keys, size_t count, bool begins,
                           float* scores) {
  Float<W> sums[kScoreKeys][kScoreVectors];
#pragma GCC unroll 16
  for (int k = 0; k < kScoreKeys; ++k) {
#pragma GCC unroll 4
    for (int v = 0; v < kScoreVectors; ++v) {
      const Float<W> before = Float<W>::Load(scores + k * kScoreStride + v * W);
      sums[k][v] = begins ? Float<W>::Set(0.0f) : before;
    }
  }
  for (size_t c = 0; c < count; ++c) {
    Float<W> queries[kScoreVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kScoreVectors; ++v) {
      queries[v] = Float<W>::Load(panel + c * kGroup + static_cast<size_t>(v) * W);
    }
#pragma GCC unroll 16
    for (int k = 0; k < kScoreKeys; ++k) {
      const Float<W> key = Float<W>::Set(keys[static_cast<size_t>(k) * kColumns + c]);
#pragma GCC unroll 4
      for (int v = 0; v < kScoreVectors; ++v) sums[k][v] = Fma(key, queries[v], sums[k][v]);
    }
  }
#pragma GCC unroll 16
  for (int k = 0; k < kScoreKeys; ++k) {
#pragma GCC unroll 4
    for (int v = 0; v < kScoreVectors; ++v) sums[k][v].Store(scores + k * kScoreStride + v * W);
  }
}

// The columns [column, column + count) of the scores of all queries and kScoreKeys keys.
QUANTD_LANE void ScoreKeys(const Block& block, size_t key, size_t column, size_t count) {
  const AttentionHead& head = block.head;
  PackKeys(block, key, column, count);
  float* const scores = block.scores + (key - block.keys.start) * kScoreStride;
  for (size_t start = 0; start < block.count; start += kGroup) {
    const size_t last = block.first + Smaller(start + kGroup, block.count) - 1;
    const Range seen = KeysOf(head, block.first + start, last);
    if (key >= seen.end || key + kScoreKeys <= seen.start) continue;
    ScoreTile(block.panels + start * head.width + column * kGroup, block.tile, count, column == 0,
              scores + start);
  }
}

QUANTD_LANE void ScoreBlock(const Block& block) {
  for (size_t column = 0; column < block.head.width; column += kColumns) {
    const size_t count = Smaller(kColumns, block.head.width - column);
    for (size_t key = block.keys.start; key < block.keys.end; key += kScoreKeys) {
      ScoreKeys(block, key, column, count);
    }
  }
}

// Which of W queries, the first of which is `query`, see a key.
struct Sight {
  Int<W> query;
  Int<W> oldest;  // The first key that each one sees.
  QUANTD_LANE Sight(size_t first, size_t window) {
    int32_t positions[W];
    int32_t starts[W];
    for (int l = 0; l < W; ++l) {
      const size_t position = first + static_cast<size_t>(l);
      positions[l] = static_cast<int32_t>(position);
      starts[l] = static_cast<int32_t>(window != 0 && position >= window ? position - window + 1 : 0);
    }
    query = Int<W>::Load(positions);
    oldest = Int<W>::Load(starts);
  }
  QUANTD_LANE Mask<W> Hides(size_t key) const {
    const Int<W> position = Int<W>::Set(static_cast<int32_t>(key));
    return (position > query) | (oldest > position);
  }
};

// Scores of W queries become e; `sums` gets S.
QUANTD_LANE void SoftmaxLanes(const Block& block, size_t start, float* sums) {
  const AttentionHead& head = block.head;
  const Sight sight(block.first + start, head.window);
  const size_t last = block.first + Smaller(start + W, block.count) - 1;
  const Range keys = KeysOf(head, block.first + start, last);
  float* const scores = block.scores + start;
  const auto at = [&](size_t key) { return scores + (key - block.keys.start) * kScoreStride; };
  const Float<W> zero = Float<W>::Set(0.0f);
  const Float<W> scale = Float<W>::Set(head.scale);
  Float<W> most = Float<W>::Set(-__builtin_inff());
  for (size_t key = keys.start; key < keys.end; ++key) {
    Float<W> score = Float<W>::Load(at(key));
    if (head.scale != 1.0f) {
      score = score * scale;
      score.Store(at(key));
    }
    most = Select(sight.Hides(key), most, Max(most, score));
  }
  Float<W> lanes[kSumLanes];
  for (int l = 0; l < kSumLanes; ++l) lanes[l] = zero;
  for (size_t key = block.keys.start; key < keys.start; ++key) zero.Store(at(key));
  for (size_t key = keys.start; key < keys.end; ++key) {
    const Float<W> e = Select(sight.Hides(key), zero, Exp(Float<W>::Load(at(key)) - most));
    e.Store(at(key));
    lanes[key % kSumLanes] = lanes[key % kSumLanes] + e;
  }
  for (size_t key = keys.end; key < block.keys.end; ++key) zero.Store(at(key));
  for (int half = kSumLanes / 2; half > 0; half /= 2) {
    for (int l = 0; l < half; ++l) lanes[l] = lanes[l] + lanes[l + half];
  }
  lanes[0].Store(sums + start);
}

// The columns [column, column + count) of the values of some keys; what is behind them is not read.
QUANTD_LANE void PackValues(const Block& block, Range keys, size_t column, size_t count) {
  float* into = block.values;
  for (size_t key = keys.start; key < keys.end; ++key, into += kTileColumns) {
    const float* const from = block.head.values + key * block.head.key_stride + column;
    ForColumns(count, [=]<int V>(Width<V>, size_t i) { Float<V>::Load(from + i).Store(into + i); });
  }
}

// Goes on with the chains of kValueQueries queries and kTileColumns columns by `count` keys.
QUANTD_LANE void ValueTile(const float* e, const float* values, size_t count, float* outputs) {
  Float<W> sums[kValueQueries][kValueVectors];
#pragma GCC unroll 16
  for (int q = 0; q < kValueQueries; ++q) {
#pragma GCC unroll 4
    for (int v = 0; v < kValueVectors; ++v) {
      sums[q][v] = Float<W>::Load(outputs + q * kTileColumns + v * W);
    }
  }
  for (size_t key = 0; key < count; ++key) {
    Float<W> columns[kValueVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kValueVectors; ++v) {
      columns[v] = Float<W>::Load(values + key * kTileColumns + static_cast<size_t>(v) * W);
    }
#pragma GCC unroll 16
    for (int q = 0; q < kValueQueries; ++q) {
      const Float<W> weight = Float<W>::Set(e[key * kScoreStride + static_cast<size_t>(q)]);
#pragma GCC unroll 4
      for (int v = 0; v < kValueVectors; ++v) sums[q][v] = Fma(weight, columns[v], sums[q][v]);
    }
  }
#pragma GCC unroll 16
  for (int q = 0; q < kValueQueries; ++q) {
#pragma GCC unroll 4
    for (int v = 0; v < kValueVectors; ++v) sums[q][v].Store(outputs + q * kTileColumns + v * W);
  }
}

// Adds the values of some keys to the outputs of all queries.
QUANTD_LANE void AddKeys(const Block& block, Range packed) {
  const AttentionHead& head = block.head;
  for (size_t start = 0; start < block.count; start += kValueQueries) {
    const size_t last = block.first + Smaller(start + kValueQueries, block.count) - 1;
    const Range seen = KeysOf(head, block.first + start, last);
    const size_t from = seen.start > packed.start ? seen.start : packed.start;
    const size_t end = Smaller(seen.end, packed.end);
    if (from >= end) continue;
    ValueTile(block.scores + (from - block.keys.start) * kScoreStride + start,
              block.values + (from - packed.start) * kTileColumns, end - from,
              block.outputs + start * kTileColumns);
  }
}

// The columns [column, column + count) of what the block puts out.
QUANTD_LANE void StoreOutputs(const Block& block, const float* sums, size_t column, size_t count) {
  for (size_t q = 0; q < block.count; ++q) {
    const float* const from = block.outputs + q * kTileColumns;
    float* const into = block.head.into + (block.first + q) * block.head.into_stride + column;
    ForColumns(count, [=]<int V>(Width<V>, size_t i) {
      const Float<V> sum = Float<V>::Load(from + i) + Float<V>::Set(0.0f);
      (sum / Float<V>::Set(sums[q])).Store(into + i);
    });
  }
}

QUANTD_LANE void AddValues(const Block& block, const float* sums) {
  const AttentionHead& head = block.head;
  for (size_t column = 0; column < head.width; column += kTileColumns) {
    const size_t count = Smaller(kTileColumns, head.width - column);
    for (size_t i = 0; i < kOutputFloats; ++i) block.outputs[i] = 0.0f;
    for (size_t key = block.keys.start; key < block.keys.end; key += kValueKeys) {
      const Range packed = {key, Smaller(key + kValueKeys, block.keys.end)};
      PackValues(block, packed, column, count);
      AddKeys(block, packed);
    }
    StoreOutputs(block, sums, column, count);
  }
}

constexpr size_t kValueFloats = kValueKeys * kTileColumns;
constexpr size_t kTileFloats = kScoreKeys * kColumns;
size_t PanelFloats(size_t width) { return kQueries * width; }
size_t ScoreFloats(size_t positions) { return (positions + kScoreKeys) * kScoreStride; }

}  // namespace

size_t AttentionScratch(size_t positions, size_t width) {
  return PanelFloats(width) + ScoreFloats(positions) + kTileFloats + kValueFloats +
         kOutputFloats;
}

void Attention(const AttentionHead& head, size_t first, size_t count, float* scratch) {
  for (size_t done = 0; done < count; done += kQueries) {
    const size_t start = first + done;
    const size_t queries = Smaller(kQueries, count - done);
    float* const scores = scratch + PanelFloats(head.width);
    float* const tile = scores + ScoreFloats(head.positions);
    float* const values = tile + kTileFloats;
    float* const outputs = values + kValueFloats;
    const Range keys = KeysOf(head, start, start + queries - 1);
    const Block block = {head, start, queries, scratch, scores, tile, values, outputs, keys};
    PackQueries(block);
    alignas(64) float sums[kQueries];
    ScoreBlock(block);
    for (size_t lanes = 0; lanes < queries; lanes += W) SoftmaxLanes(block, lanes, sums);
    AddValues(block, sums);
  }
}

}  // namespace quantd::QUANTD_ISA
