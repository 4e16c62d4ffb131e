// Forward lanes: what the operations of DET-1.md want of lanes beyond lanes.h.
//
//   Fma, Exp (§2), SumColumns (§4), ForColumns ──▶ forward-rows.cpp, -gates.cpp, -attention.cpp
//
// Written once over the width, so that every instruction set takes the same steps. Here, other than
// in the kernels that make blocks, Fma is one rounding on purpose; it stands wherever it is meant.
#ifndef QUANTD_FORWARD_LANES_H_
#define QUANTD_FORWARD_LANES_H_

#include <stddef.h>

#include "lanes.h"

namespace quantd {
namespace {

// Where the CPU has no such instruction the C library computes it; there is one right result.
QUANTD_LANE Float<1> Fma(Float<1> a, Float<1> b, Float<1> c) {
  return {__builtin_fmaf(a.v, b.v, c.v)};
}
#if defined(__AVX512F__)
QUANTD_LANE F16x Fma(F16x a, F16x b, F16x c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
#elif defined(__AVX2__)
QUANTD_LANE F8x Fma(F8x a, F8x b, F8x c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
#elif defined(__aarch64__) && defined(__ARM_NEON)
QUANTD_LANE F4x Fma(F4x a, F4x b, F4x c) { return {vfmaq_f32(c.v, a.v, b.v)}; }
#endif

template <int W>
QUANTD_LANE Float<W> Negate(Float<W> a) {
  return FromBits(Bits(a) ^ Int<W>::Set(INT32_MIN));
}

// §2.
template <int W>
QUANTD_LANE Float<W> Exp(Float<W> x) {
  using F = Float<W>;
  const F highest = F::Set(88.0f);
  const Mask<W> vanishes = x < F::Set(-87.0f);
  x = Select(x > highest, highest, x);
  // Adding 1.5 * 2^23 leaves the nearest whole number in the lowest bits.
  const F whole = F::Set(12582912.0f);
  const F shifted = Fma(x, F::Set(1.44269504f), whole);
  const F n = shifted - whole;
  F r = Fma(n, F::Set(-0x1.62e4p-1f), x);
  r = Fma(n, F::Set(-0x1.7f7d1cp-20f), r);
  F p = F::Set(1.0f / 5040.0f);
  p = Fma(p, r, F::Set(1.0f / 720.0f));
  p = Fma(p, r, F::Set(1.0f / 120.0f));
  p = Fma(p, r, F::Set(1.0f / 24.0f));
  p = Fma(p, r, F::Set(1.0f / 6.0f));
  p = Fma(p, r, F::Set(0.5f));
  p = Fma(p, r, F::Set(1.0f));
  p = Fma(p, r, F::Set(1.0f));
  const Int<W> power = ShiftLeft<23>(Bits(shifted)) + Int<W>::Set(0x3F800000);
  return Select(vanishes, F::Set(0.0f), p * FromBits(power));
}

constexpr int kSumLanes = 16;

#ifdef QUANTD_ISA

// Sixteen lanes from `start`, then the tree of §4. step(lanes, i) takes the lanes so far, of any
// width, and the index of the first value that goes to them; join(a, b) takes two lanes.
template <typename Step, typename Join>
QUANTD_LANE float JoinColumns(size_t count, float start, Step step, Join join) {
  constexpr int kParts = kSumLanes / kWidth;
  Float<kWidth> parts[kParts];
  for (int p = 0; p < kParts; ++p) parts[p] = Float<kWidth>::Set(start);
  const size_t whole = count - count % kSumLanes;
  for (size_t i = 0; i < whole; i += kSumLanes) {
    for (int p = 0; p < kParts; ++p) parts[p] = step(parts[p], i + static_cast<size_t>(p) * kWidth);
  }
  alignas(64) float lanes[kSumLanes];
  for (int p = 0; p < kParts; ++p) parts[p].Store(lanes + p * kWidth);
  for (size_t i = whole; i < count; ++i) {
    float* const lane = lanes + (i - whole);
    *lane = step(Float<1>{*lane}, i).v;
  }
  for (int half = kSumLanes / 2; half > 0; half /= 2) {
    for (int l = 0; l < half; ++l) lanes[l] = join(lanes[l], lanes[l + half]);
  }
  return lanes[0];
}

// §4.
template <typename Step>
QUANTD_LANE float SumColumns(size_t count, Step step) {
  return JoinColumns(count, 0.0f, step, [](float a, float b) { return a + b; });
}

// §1.
QUANTD_LANE float LargestColumn(const float* values, size_t count) {
  return JoinColumns(
      count, -__builtin_inff(),
      [=]<int W>(Float<W> most, size_t i) { return Max(most, Float<W>::Load(values + i)); },
      [](float a, float b) { return a > b ? a : b; });
}

// How many numbers a step of ForColumns takes.
template <int W>
struct Width {};

// step(Width<W>, i) does the columns [i, i + W): all of them, each once.
template <typename Step>
QUANTD_LANE void ForColumns(size_t count, Step step) {
  size_t i = 0;
  for (; i + kWidth <= count; i += kWidth) step(Width<kWidth>{}, i);
  if constexpr (kWidth > 1) {
    for (; i < count; ++i) step(Width<1>{}, i);
  }
}

#endif

}  // namespace
}  // namespace quantd

#endif
