// Forward gates: operations with an exponential, DET-1.md §3, §9 and the perplexity of §11.
#include "forward-lanes.h"
#include "forward-ops.h"

namespace quantd::QUANTD_ISA {
namespace {

template <int W>
QUANTD_LANE Float<W> Gelu(Float<W> x) {
  using F = Float<W>;
  const F one = F::Set(1.0f);
  const F cubic = x * Fma(F::Set(0.044715f), x * x, one);
  return x / (one + Exp(F::Set(-1.59576912f) * cubic));
}

template <int W>
QUANTD_LANE Float<W> Silu(Float<W> x) {
  return x / (Float<W>::Set(1.0f) + Exp(Negate(x)));
}

// values become exp(value - largest); returns their sum.
QUANTD_LANE float ExpSum(float* values, size_t count, float largest) {
  return SumColumns(count, [=]<int W>(Float<W> sum, size_t i) {
    const Float<W> e = Exp(Float<W>::Load(values + i) - Float<W>::Set(largest));
    e.Store(values + i);
    return sum + e;
  });
}

// The expert that follows `last` when all stand in order, the largest first and the lower index
// first among equals; `experts` if there is none, as there is not among NaN.
QUANTD_LANE size_t NextChoice(const float* probabilities, size_t experts, size_t last) {
  size_t best = experts;
  for (size_t i = 0; i < experts; ++i) {
    const bool follows = last == experts || probabilities[i] < probabilities[last] ||
                         (probabilities[i] == probabilities[last] && i > last);
    if (follows && (best == experts || probabilities[i] > probabilities[best])) best = i;
  }
  return best;
}

// Puts an expert where it belongs among `count` in ascending order.
QUANTD_LANE void Insert(uint32_t expert, float weight, size_t count, uint32_t* chosen,
                        float* weights) {
  size_t at = count;
  for (; at > 0 && chosen[at - 1] > expert; --at) {
    chosen[at] = chosen[at - 1];
    weights[at] = weights[at - 1];
  }
  chosen[at] = expert;
  weights[at] = weight;
}

}  // namespace

void Gate(Activation activation, const float* gate, const float* up, size_t count, float* into) {
  if (activation == Activation::kGelu) {
    ForColumns(count, [=]<int W>(Width<W>, size_t i) {
      (Gelu(Float<W>::Load(gate + i)) * Float<W>::Load(up + i)).Store(into + i);
    });
  } else {
    ForColumns(count, [=]<int W>(Width<W>, size_t i) {
      (Silu(Float<W>::Load(gate + i)) * Float<W>::Load(up + i)).Store(into + i);
    });
  }
}

void Route(float* logits, size_t experts, size_t used, const float* scales, uint32_t* chosen,
           float* weights) {
  const float sum = ExpSum(logits, experts, LargestColumn(logits, experts));
  ForColumns(experts, [=]<int W>(Width<W>, size_t i) {
    (Float<W>::Load(logits + i) / Float<W>::Set(sum)).Store(logits + i);
  });
  float total = 0.0f;
  size_t last = experts;
  for (size_t count = 0; count < used; ++count) {
    const size_t next = NextChoice(logits, experts, last);
    // One NaN makes all of them NaN: then any will do, as long as they are different.
    const size_t choice = next < experts && logits[next] == logits[next] ? next : count;
    total += logits[choice];
    Insert(static_cast<uint32_t>(choice), logits[choice], count, chosen, weights);
    last = choice;
  }
  const float divisor = total > 0x1p-14f ? total : 0x1p-14f;
  for (size_t i = 0; i < used; ++i) {
    weights[i] = weights[i] / divisor;
    if (scales != nullptr) weights[i] = weights[i] * scales[chosen[i]];
  }
}

void LogSumBlock(float* logits, size_t count, float softcap, float* largest, float* sum) {
  if (softcap != 0.0f) {
    ForColumns(count, [=]<int W>(Width<W>, size_t i) {
      using F = Float<W>;
      const F ratio = F::Load(logits + i) / F::Set(softcap);
      const F fraction = F::Set(2.0f) / (F::Set(1.0f) + Exp(F::Set(2.0f) * ratio));
      (F::Set(softcap) * (F::Set(1.0f) - fraction)).Store(logits + i);
    });
  }
  const float most = LargestColumn(logits, count);
  *largest = most;
  *sum = SumColumns(count, [=]<int W>(Float<W> so_far, size_t i) {
    return so_far + Exp(Float<W>::Load(logits + i) - Float<W>::Set(most));
  });
}

float ExpOne(float x) { return Exp(Float<1>{x}).v; }

}  // namespace quantd::QUANTD_ISA
