// Executor, products: a register times the rows of a weight, and the loss that comes out of logits.
//
//   register ──Pack──▶ panels, kept while the register stays as it is ──Multiply──▶ register
//
// A turn is some rows of the weight times a span of tokens: the rows stay in the second-level cache
// of the thread, the panels in a cache that threads share.
#ifndef QUANTD_EXECUTOR_PRODUCTS_H_
#define QUANTD_EXECUTOR_PRODUCTS_H_

#include "wave.h"

namespace quantd {

// Tokens that are packed together, in whole panels: enough that what a kernel does to a row before
// it multiplies by it counts for little.
size_t SpanTokens(const Products& products);

// Rows of a turn, where `spans` spans of so many tokens wait for all `rows` of a weight: at most
// those that the products ask for, fewer where turns would be too long or too few for the team.
size_t RowsOfTurn(const Products& products, size_t columns, size_t rows, size_t span, size_t spans,
                  size_t members);

// Rows [first, first + count) of a weight times `tokens` packed ones, into (tokens, stride) where
// the first of those rows has its column.
void MultiplyRows(const Products& products, const LoadedWeight& weight, size_t first, size_t count,
                  const uint8_t* packed, size_t tokens, float* into, size_t stride);

class ProductSteps {
 public:
  // Memory for every product and loss of the layer.
  ProductSteps(Arena& arena, const Wave& wave);

  void Run(RunningWave& wave, const ProductStep& step);
  void Run(RunningWave& wave, const LossStep& step);
  // Another step has written the register.
  void Forget(Index written);

 private:
  struct Shape {
    size_t span;        // Tokens.
    size_t spans;       // Of a wave.
    size_t span_bytes;  // Packed.
  };
  static Shape ShapeOf(const Wave& wave, const LoadedWeight& weight);
  void Reserve(const Wave& wave, const LoadedWeight& weight);
  // Unless it is there already.
  void Pack(RunningWave& wave, Index from, const LoadedWeight& weight);
  void LossOfSpan(RunningWave& wave, const LossStep& step, size_t first_row, size_t span,
                  float* logits) const;

  size_t packed_bytes_ = 0;
  size_t span_max_ = 0;
  size_t logits_ = 0;  // Numbers a member.
  const float** rows_ = nullptr;  // (members, span_max)
  uint8_t* packed_ = nullptr;
  float* logits_at_ = nullptr;  // (members, logits)
  // What lies packed, and for which weights.
  Index packed_of_ = kNone;
  WeightType packed_for_ = WeightType::kF32;
};

}  // namespace quantd

#endif
