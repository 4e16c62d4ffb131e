#include "executor-products.h"

namespace quantd {
namespace {

// Multiplications of a turn: some milliseconds where instructions multiply many numbers at once.
constexpr size_t kTurnMultiplications = 1 << 27;
constexpr size_t kSpanTokensMax = 256;
// For each thread, so that none waits long for the last.
constexpr size_t kTurnsWanted = 4;
// Rows of a turn, even if it is the only one.
constexpr size_t kTurnRowsMin = 32;
// DET-1.md §11.
constexpr size_t kLogitBlock = 256;
// Rows of a turn of the loss: all threads go through the vocabulary together, so that its rows come
// from memory once for all.
constexpr size_t kLossRows = 4 * kLogitBlock;

size_t Least(size_t a, size_t b) { return a < b ? a : b; }

}  // namespace

size_t SpanTokens(const Products& products) {
  const size_t panels = kSpanTokensMax / products.panel_tokens;
  return products.panel_tokens * (panels > 0 ? panels : 1);
}

size_t RowsOfTurn(const Products& products, size_t columns, size_t rows, size_t span, size_t spans,
                  size_t members) {
  size_t turn = products.rows_at_a_time;
  while (turn >= 2 * kTurnRowsMin &&
         (turn * columns * span > kTurnMultiplications ||
          CeilDivide(rows, turn) * spans < kTurnsWanted * members)) {
    turn /= 2;
  }
  return turn;
}

void MultiplyRows(const Products& products, const LoadedWeight& weight, size_t first, size_t count,
                  const uint8_t* packed, size_t tokens, float* into, size_t stride) {
  weight.VisitRows(first, count, [&](const uint8_t* rows, size_t at, size_t run) {
    products.multiply(packed, tokens, weight.columns, rows, weight.row_bytes, run,
                      into + (at - first), stride);
  });
}

ProductSteps::ProductSteps(Arena& arena, const Wave& wave) {
  for (const Step& step : wave.layer.spec.steps) {
    if (const auto* product = std::get_if<ProductStep>(&step)) {
      Reserve(wave, wave.Weight(product->weight));
    } else if (const auto* loss = std::get_if<LossStep>(&step)) {
      const LoadedWeight& weight = wave.Weight(loss->weight);
      Reserve(wave, weight);
      const size_t numbers = ShapeOf(wave, weight).span * kLogitBlock;
      if (numbers > logits_) logits_ = numbers;
    }
  }
  rows_ = arena.Take<const float*>(wave.members * span_max_);
  packed_ = arena.Take<uint8_t>(packed_bytes_);
  logits_at_ = arena.Take<float>(wave.members * logits_);
}

ProductSteps::Shape ProductSteps::ShapeOf(const Wave& wave, const LoadedWeight& weight) {
  const Products& products = wave.ProductsOf(weight);
  const size_t span = Least(SpanTokens(products), wave.tokens);
  return {span, CeilDivide(wave.tokens, span), products.packed_bytes(span, weight.columns)};
}

void ProductSteps::Reserve(const Wave& wave, const LoadedWeight& weight) {
  const Shape shape = ShapeOf(wave, weight);
  if (shape.spans * shape.span_bytes > packed_bytes_) {
    packed_bytes_ = shape.spans * shape.span_bytes;
  }
  if (shape.span > span_max_) span_max_ = shape.span;
}

void ProductSteps::Pack(RunningWave& wave, Index from, const LoadedWeight& weight) {
  if (packed_of_ == from && packed_for_ == weight.type) return;
  const Shape shape = ShapeOf(wave, weight);
  const Products& products = wave.ProductsOf(weight);
  const float* const numbers = wave.Rows(from);
  wave.ForEach(shape.spans, [&](size_t span, size_t member) {
    const float** const rows = rows_ + member * span_max_;
    const size_t first = span * shape.span;
    const size_t tokens = Least(shape.span, wave.tokens - first);
    for (size_t t = 0; t < tokens; ++t) rows[t] = numbers + (first + t) * weight.columns;
    products.pack(rows, tokens, weight.columns, packed_ + span * shape.span_bytes);
  });
  packed_of_ = from;
  packed_for_ = weight.type;
}

void ProductSteps::Forget(Index written) {
  if (packed_of_ == written) packed_of_ = kNone;
}

void ProductSteps::Run(RunningWave& wave, const ProductStep& step) {
  const LoadedWeight& weight = wave.Weight(step.weight);
  Pack(wave, step.from, weight);
  const Shape shape = ShapeOf(wave, weight);
  const Products& products = wave.ProductsOf(weight);
  const size_t width = wave.Width(step.into);
  float* const into = wave.Rows(step.into);
  const size_t turn =
      RowsOfTurn(products, weight.columns, width, shape.span, shape.spans, wave.members);
  const size_t blocks = CeilDivide(width, turn);
  // One block after the other, each with all spans: neighbours in time share the rows.
  wave.ForEach(blocks * shape.spans, [&](size_t index, size_t) {
    const size_t row = index / shape.spans * turn;
    const size_t span = index % shape.spans;
    const size_t first = span * shape.span;
    MultiplyRows(products, weight, row, Least(turn, width - row),
                 packed_ + span * shape.span_bytes, Least(shape.span, wave.tokens - first),
                 into + first * width + row, width);
  });
}

void ProductSteps::Run(RunningWave& wave, const LossStep& step) {
  const LoadedWeight& weight = wave.Weight(step.weight);
  Pack(wave, step.from, weight);
  const Shape shape = ShapeOf(wave, weight);
  const size_t rows = wave.layer.spec.weights[step.weight].rows;
  for (size_t row = 0; row < rows; row += kLossRows) {
    wave.ForEach(shape.spans, [&](size_t span, size_t member) {
      LossOfSpan(wave, step, row, span, logits_at_ + member * logits_);
    });
  }
}

// The register holds the largest, the sum and the target's logit of the rows so far.
void ProductSteps::LossOfSpan(RunningWave& wave, const LossStep& step, size_t first_row,
                              size_t span, float* logits) const {
  const LoadedWeight& weight = wave.Weight(step.weight);
  const ForwardKernels& forward = wave.forward;
  const Shape shape = ShapeOf(wave, weight);
  const size_t rows = wave.layer.spec.weights[step.weight].rows;
  const size_t last_row = Least(first_row + kLossRows, rows);
  const size_t first = span * shape.span;
  const size_t tokens = Least(shape.span, wave.tokens - first);
  const float* const targets = wave.Rows(step.targets) + first;
  float* const into = wave.Rows(step.into) + 3 * first;
  for (size_t row = first_row; row < last_row && !wave.stop.load(); row += kLogitBlock) {
    const size_t count = Least(kLogitBlock, last_row - row);
    MultiplyRows(wave.ProductsOf(weight), weight, row, count, packed_ + span * shape.span_bytes,
                 tokens, logits, kLogitBlock);
    for (size_t t = 0; t < tokens; ++t) {
      float* const z = logits + t * kLogitBlock;
      float* const so_far = into + 3 * t;
      float largest = 0;
      float sum = 0;
      forward.log_sum_block(z, count, step.softcap, &largest, &sum);
      if (row == 0) {
        so_far[0] = largest;
        so_far[1] = sum;
        so_far[2] = 0;
      } else {
        const float together = so_far[0] > largest ? so_far[0] : largest;
        const float kept = forward.exp(so_far[0] - together);
        sum = sum * forward.exp(largest - together);
        // One fma.
        forward.add_weighted(&kept, so_far[1], 1, &sum);
        so_far[0] = together;
        so_far[1] = sum;
      }
      // A target that is no row leaves 0.
      const float target = targets[t];
      const auto first_of_block = static_cast<float>(row);
      if (target >= first_of_block && target < first_of_block + static_cast<float>(count)) {
        so_far[2] = z[static_cast<size_t>(target) - row];
      }
    }
  }
}

}  // namespace quantd
