// Executor, experts: each token through the few that the router chose for it. DET-1.md §10.
//
//   routing ──▶ rows sorted by expert, chunk, token ──▶ batches ──▶ gate, up, down ──▶ sums of tokens
//
// A batch is as many whole (expert, chunk) pairs as its memory holds: many experts where each has
// few tokens, so that there are turns for every thread, or part of one. Each of its phases is one
// loop of the team. Batches come in ascending order of experts, and so do a token's sums.
#ifndef QUANTD_EXECUTOR_EXPERTS_H_
#define QUANTD_EXECUTOR_EXPERTS_H_

#include "wave.h"

namespace quantd {

class ExpertSteps {
 public:
  // Memory for every step of this kind in the layer.
  ExpertSteps(Arena& arena, const Wave& wave);

  void Run(RunningWave& wave, const ExpertsStep& step);

 private:
  // Rows of one chunk that go to one expert; `first` among all sorted rows.
  struct Pair {
    uint32_t expert;
    uint32_t chunk;
    size_t first;
    size_t count;
  };
  // Rows of one expert in a batch; `first` among the batch's rows, pairs from `pair` on.
  struct Segment {
    uint32_t expert;
    size_t first;
    size_t count;
    size_t span;  // The first of its spans among the batch's.
    size_t spans;
    size_t pair;
    size_t pairs;
  };
  // Rows of one segment that are packed together, and where.
  struct Span {
    const Segment* segment;
    size_t first;  // Among the batch's rows.
    size_t count;
    uint8_t* up;
    uint8_t* down;
  };
  // The greatest of what the steps need.
  struct Sizes {
    size_t assignments = 0;  // (token, expert) pairs.
    size_t cells = 0;        // (expert, chunk).
    size_t pairs = 0;
    size_t batch_rows = 0;
    size_t segments = 0;
    size_t spans = 0;
    size_t span_tokens = 0;
    size_t both_numbers = 0;   // Of gate and up of a batch.
    size_t gated_numbers = 0;  // Of what enters `down`.
    size_t out_numbers = 0;
    size_t up_bytes = 0;  // Packed.
    size_t down_bytes = 0;
  };
  // What one step works with.
  struct Shape {
    size_t experts;
    size_t hidden;
    size_t inner;
    size_t batch_rows;  // At most.
    size_t span;        // Tokens.
    size_t up_bytes;    // Of a batch, packed, at most.
    size_t down_bytes;
    const Products* up;
    const Products* down;
  };

  static Shape ShapeOf(const Wave& wave, const ExpertsStep& step);
  void Reserve(const Wave& wave, const ExpertsStep& step);
  void SortRows(RunningWave& wave, const ExpertsStep& step, const Shape& shape);
  // Segments and spans of the pairs from `pair` on that fit; returns the pair behind them.
  size_t PlanBatch(const Shape& shape, size_t pair);
  void CutSpans(const Shape& shape);
  // Bytes of so many rows of one expert, packed span by span.
  static size_t PackedBytes(const Products& products, size_t span, size_t rows, size_t columns);
  void RunBatch(RunningWave& wave, const ExpertsStep& step, const Shape& shape);
  void PackInputs(RunningWave& wave, const ExpertsStep& step, const Shape& shape);
  void GateAndPack(RunningWave& wave, const ExpertsStep& step, const Shape& shape);
  // `packed` is up or down.
  void Multiply(RunningWave& wave, const LoadedWeight& weight, size_t rows,
                uint8_t* Span::* packed, float* into);
  // of(row of the batch): where its numbers lie.
  template <typename RowOf>
  void Collect(RunningWave& wave, Index statistic, size_t columns, const RowOf& of);
  void Combine(RunningWave& wave, const ExpertsStep& step, const Shape& shape);
  Sizes sizes_;
  uint32_t* token_of_ = nullptr;  // By sorted row.
  uint32_t* row_of_ = nullptr;    // By token and place in its routing; kNone where it has none.
  size_t* cells_ = nullptr;
  Pair* pairs_ = nullptr;
  Segment* segments_ = nullptr;
  Span* spans_ = nullptr;
  const float** rows_ = nullptr;  // (members, span_tokens)
  float* both_ = nullptr;         // (batch_rows, 2 * inner)
  float* gated_ = nullptr;        // (batch_rows, inner)
  float* out_ = nullptr;          // (batch_rows, hidden)
  uint8_t* packed_up_ = nullptr;
  uint8_t* packed_down_ = nullptr;
  CollectMemory collect_;
  // Of the step that runs.
  size_t pair_count_ = 0;
  // Of the batch that runs.
  size_t segment_count_ = 0;
  size_t span_count_ = 0;
  size_t first_row_ = 0;  // Sorted.
  size_t row_count_ = 0;
};

}  // namespace quantd

#endif
