#include "executor-experts.h"

#include <string.h>

#include "executor-products.h"

namespace quantd {
namespace {

// Rows of a batch: their numbers take some tens of MiB, and even 32 tokens an expert make turns for
// many threads.
constexpr size_t kBatchRows = 1024;
// Experts of a batch whose last panel may be a short one.
constexpr size_t kShortPanels = 64;

size_t Least(size_t a, size_t b) { return a < b ? a : b; }
void Raise(size_t& value, size_t other) { value = value < other ? other : value; }

}  // namespace

ExpertSteps::Shape ExpertSteps::ShapeOf(const Wave& wave, const ExpertsStep& step) {
  const LoadedWeight& up = wave.Weight(step.gate_up);
  const LoadedWeight& down = wave.Weight(step.down);
  Shape shape = {};
  shape.experts = wave.layer.spec.weights[step.down].matrices;
  shape.hidden = up.columns;
  shape.inner = down.columns;
  // A chunk's rows of one expert are never cut: their squares are one sum.
  const size_t wanted = kBatchRows < wave.positions ? wave.positions : kBatchRows;
  shape.batch_rows = Least(wanted, wave.tokens * step.used);
  shape.up = &wave.ProductsOf(up);
  shape.down = &wave.ProductsOf(down);
  shape.span = Least(SpanTokens(*shape.up), shape.batch_rows);
  const size_t spans = CeilDivide(shape.batch_rows, shape.span);
  const size_t rest = Least(kShortPanels, shape.experts);
  const auto room = [&](const Products& products, size_t columns) {
    const size_t panel = Least(products.panel_tokens, shape.span);
    return spans * products.packed_bytes(shape.span, columns) +
           rest * products.packed_bytes(panel, columns);
  };
  shape.up_bytes = room(*shape.up, shape.hidden);
  shape.down_bytes = room(*shape.down, shape.inner);
  return shape;
}

size_t ExpertSteps::PackedBytes(const Products& products, size_t span, size_t rows,
                                size_t columns) {
  const size_t rest = rows % span;
  return rows / span * products.packed_bytes(span, columns) +
         (rest == 0 ? 0 : products.packed_bytes(rest, columns));
}

void ExpertSteps::Reserve(const Wave& wave, const ExpertsStep& step) {
  const Shape shape = ShapeOf(wave, step);
  const size_t assignments = wave.tokens * step.used;
  const size_t cells = shape.experts * wave.chunks;
  Raise(sizes_.assignments, assignments);
  Raise(sizes_.cells, cells);
  Raise(sizes_.pairs, Least(assignments, cells));
  const size_t segments = Least(shape.batch_rows, shape.experts);
  Raise(sizes_.segments, segments);
  Raise(sizes_.spans, CeilDivide(shape.batch_rows, shape.span) + segments);
  Raise(sizes_.span_tokens, shape.span);
  Raise(sizes_.both_numbers, shape.batch_rows * 2 * shape.inner);
  Raise(sizes_.gated_numbers, shape.batch_rows * shape.inner);
  Raise(sizes_.out_numbers, shape.batch_rows * shape.hidden);
  Raise(sizes_.up_bytes, shape.up_bytes);
  Raise(sizes_.down_bytes, shape.down_bytes);
}

ExpertSteps::ExpertSteps(Arena& arena, const Wave& wave) : collect_(arena, wave) {
  for (const Step& step : wave.layer.spec.steps) {
    if (const auto* experts = std::get_if<ExpertsStep>(&step)) Reserve(wave, *experts);
  }
  token_of_ = arena.Take<uint32_t>(sizes_.assignments);
  row_of_ = arena.Take<uint32_t>(sizes_.assignments);
  cells_ = arena.Take<size_t>(sizes_.cells);
  pairs_ = arena.Take<Pair>(sizes_.pairs);
  segments_ = arena.Take<Segment>(sizes_.segments);
  spans_ = arena.Take<Span>(sizes_.spans);
  rows_ = arena.Take<const float*>(wave.members * sizes_.span_tokens);
  both_ = arena.Take<float>(sizes_.both_numbers);
  gated_ = arena.Take<float>(sizes_.gated_numbers);
  out_ = arena.Take<float>(sizes_.out_numbers);
  packed_up_ = arena.Take<uint8_t>(sizes_.up_bytes);
  packed_down_ = arena.Take<uint8_t>(sizes_.down_bytes);
}

void ExpertSteps::Run(RunningWave& wave, const ExpertsStep& step) {
  const Shape shape = ShapeOf(wave, step);
  float* const into = wave.Rows(step.into);
  wave.ForTokens(shape.hidden, [&](size_t first, size_t count) {
    memset(into + first * shape.hidden, 0, count * shape.hidden * sizeof(float));
  });
  SortRows(wave, step, shape);
  for (size_t pair = 0; pair < pair_count_ && !wave.stop.load();) {
    pair = PlanBatch(shape, pair);
    RunBatch(wave, step, shape);
  }
}

// Counts, then places: the tokens of a cell stay in ascending order.
void ExpertSteps::SortRows(RunningWave& wave, const ExpertsStep& step, const Shape& shape) {
  const float* const routing = wave.Rows(step.routing);
  const size_t cells = shape.experts * wave.chunks;
  memset(cells_, 0, cells * sizeof(size_t));
  for (size_t token = 0; token < wave.tokens; ++token) {
    const size_t chunk = token / wave.positions;
    size_t least = 0;
    for (size_t place = 0; place < step.used; ++place) {
      const size_t at = token * step.used + place;
      const float number = routing[2 * at];
      // Ascending, each once; what is not so comes from no router.
      const bool fits = number >= static_cast<float>(least) &&
                        number < static_cast<float>(shape.experts);
      row_of_[at] = fits ? static_cast<uint32_t>(number) : kNone;
      if (!fits) {
        wave.TellBad(chunk);
        continue;
      }
      least = row_of_[at] + size_t{1};
      ++cells_[row_of_[at] * wave.chunks + chunk];
    }
  }
  size_t sum = 0;
  pair_count_ = 0;
  for (size_t cell = 0; cell < cells; ++cell) {
    const size_t count = cells_[cell];
    cells_[cell] = sum;
    if (count == 0) continue;
    pairs_[pair_count_++] = {static_cast<uint32_t>(cell / wave.chunks),
                             static_cast<uint32_t>(cell % wave.chunks), sum, count};
    sum += count;
  }
  for (size_t token = 0; token < wave.tokens; ++token) {
    const size_t chunk = token / wave.positions;
    for (size_t at = token * step.used; at < (token + 1) * step.used; ++at) {
      if (row_of_[at] == kNone) continue;
      const size_t row = cells_[row_of_[at] * wave.chunks + chunk]++;
      row_of_[at] = static_cast<uint32_t>(row);
      token_of_[row] = static_cast<uint32_t>(token);
    }
  }
}

size_t ExpertSteps::PlanBatch(const Shape& shape, size_t pair) {
  first_row_ = pairs_[pair].first;
  row_count_ = 0;
  segment_count_ = 0;
  // Packed, of the segments before the last.
  size_t up_bytes = 0;
  size_t down_bytes = 0;
  const auto up_of = [&](size_t rows) {
    return PackedBytes(*shape.up, shape.span, rows, shape.hidden);
  };
  const auto down_of = [&](size_t rows) {
    return PackedBytes(*shape.down, shape.span, rows, shape.inner);
  };
  for (; pair < pair_count_; ++pair) {
    const Pair& next = pairs_[pair];
    Segment* last = segment_count_ > 0 ? &segments_[segment_count_ - 1] : nullptr;
    const bool goes_on = last != nullptr && last->expert == next.expert;
    if (last != nullptr && !goes_on) {
      up_bytes += up_of(last->count);
      down_bytes += down_of(last->count);
    }
    const size_t count = (goes_on ? last->count : 0) + next.count;
    if (row_count_ + next.count > shape.batch_rows || up_bytes + up_of(count) > shape.up_bytes ||
        down_bytes + down_of(count) > shape.down_bytes) {
      break;
    }
    if (!goes_on) {
      last = &segments_[segment_count_++];
      *last = {next.expert, row_count_, 0, 0, 0, pair, 0};
    }
    last->count = count;
    ++last->pairs;
    row_count_ += next.count;
  }
  CutSpans(shape);
  return pair;
}

void ExpertSteps::CutSpans(const Shape& shape) {
  span_count_ = 0;
  uint8_t* up = packed_up_;
  uint8_t* down = packed_down_;
  for (size_t s = 0; s < segment_count_; ++s) {
    Segment& segment = segments_[s];
    segment.span = span_count_;
    segment.spans = CeilDivide(segment.count, shape.span);
    for (size_t done = 0; done < segment.count; done += shape.span) {
      const size_t count = Least(shape.span, segment.count - done);
      spans_[span_count_++] = {&segment, segment.first + done, count, up, down};
      up += shape.up->packed_bytes(count, shape.hidden);
      down += shape.down->packed_bytes(count, shape.inner);
    }
  }
}

void ExpertSteps::RunBatch(RunningWave& wave, const ExpertsStep& step, const Shape& shape) {
  PackInputs(wave, step, shape);
  const float* const from = wave.Rows(step.from);
  Collect(wave, step.statistics[0], shape.hidden,
          [&](size_t row) { return from + token_of_[first_row_ + row] * shape.hidden; });
  Multiply(wave, wave.Weight(step.gate_up), 2 * shape.inner, &Span::up, both_);
  GateAndPack(wave, step, shape);
  Collect(wave, step.statistics[1], shape.inner,
          [&](size_t row) { return gated_ + row * shape.inner; });
  Multiply(wave, wave.Weight(step.down), shape.hidden, &Span::down, out_);
  Combine(wave, step, shape);
}

void ExpertSteps::PackInputs(RunningWave& wave, const ExpertsStep& step, const Shape& shape) {
  const float* const from = wave.Rows(step.from);
  wave.ForEach(span_count_, [&](size_t index, size_t member) {
    const Span& span = spans_[index];
    const float** const rows = rows_ + member * sizes_.span_tokens;
    const uint32_t* const tokens = token_of_ + first_row_ + span.first;
    for (size_t t = 0; t < span.count; ++t) rows[t] = from + tokens[t] * shape.hidden;
    shape.up->pack(rows, span.count, shape.hidden, span.up);
  });
}

void ExpertSteps::GateAndPack(RunningWave& wave, const ExpertsStep& step, const Shape& shape) {
  const size_t inner = shape.inner;
  wave.ForEach(span_count_, [&](size_t index, size_t member) {
    const Span& span = spans_[index];
    const float** const rows = rows_ + member * sizes_.span_tokens;
    for (size_t t = 0; t < span.count; ++t) {
      const size_t row = span.first + t;
      const float* const gate = both_ + row * 2 * inner;
      wave.forward.gate(step.activation, gate, gate + inner, inner, gated_ + row * inner);
      rows[t] = gated_ + row * inner;
    }
    shape.down->pack(rows, span.count, inner, span.down);
  });
}

// Turns in the order of the weight's rows, so that those of one expert follow each other.
void ExpertSteps::Multiply(RunningWave& wave, const LoadedWeight& weight, size_t rows,
                           uint8_t* Span::* packed, float* into) {
  const Products& products = wave.ProductsOf(weight);
  const size_t turn = RowsOfTurn(products, weight.columns, rows, spans_[0].count, span_count_,
                                 wave.members);
  const size_t blocks = CeilDivide(rows, turn);
  wave.ForEach(blocks * span_count_, [&](size_t index, size_t) {
    const Segment& segment = *spans_[index / blocks].segment;
    const size_t within = index - segment.span * blocks;
    const size_t row = within / segment.spans * turn;
    const Span& span = spans_[segment.span + within % segment.spans];
    MultiplyRows(products, weight, segment.expert * rows + row, Least(turn, rows - row),
                 span.*packed, span.count, into + span.first * rows + row, rows);
  });
}

template <typename RowOf>
void ExpertSteps::Collect(RunningWave& wave, Index statistic, size_t columns, const RowOf& of) {
  if (wave.sums == nullptr) return;
  const size_t blocks = CeilDivide(columns, kCollectColumns);
  wave.ForEach(segment_count_ * blocks, [&](size_t index, size_t member) {
    const Segment& segment = segments_[index / blocks];
    const size_t column = index % blocks * kCollectColumns;
    const size_t count = Least(kCollectColumns, columns - column);
    const float** const rows = collect_.rows + member * wave.positions;
    double* const sums = collect_.sums + member * kCollectColumns;
    uint8_t* const into =
        wave.sums + SumsOffset(wave.layer.spec, statistic, segment.expert, column);
    for (size_t p = segment.pair; p < segment.pair + segment.pairs; ++p) {
      const Pair& pair = pairs_[p];
      for (size_t t = 0; t < pair.count; ++t) rows[t] = of(pair.first - first_row_ + t) + column;
      CollectSquares(wave, pair.chunk, rows, pair.count, count, sums, into);
    }
  });
  for (size_t s = 0; s < segment_count_; ++s) {
    AddCount(wave, statistic, segments_[s].expert, segments_[s].count);
  }
}

void ExpertSteps::Combine(RunningWave& wave, const ExpertsStep& step, const Shape& shape) {
  const float* const routing = wave.Rows(step.routing);
  float* const into = wave.Rows(step.into);
  wave.ForTokens(shape.hidden, [&](size_t first, size_t count) {
    for (size_t at = first * step.used; at < (first + count) * step.used; ++at) {
      // kNone is behind every row.
      if (row_of_[at] < first_row_ || row_of_[at] - first_row_ >= row_count_) continue;
      const float* const row = out_ + (row_of_[at] - first_row_) * shape.hidden;
      wave.forward.add_weighted(row, routing[2 * at + 1], shape.hidden,
                                into + at / step.used * shape.hidden);
    }
  });
}

}  // namespace quantd
