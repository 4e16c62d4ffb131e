// Lanes: W numbers side by side, each the number of another block.
//
//   Float<W>, Int<W>, Mask<W> ──▶ the families of fits, written once over W
//
// A sum runs down one lane in the order docs/quantization.md writes; lanes never meet. Float<1> is
// the scalar form of the same source, for the blocks that are left over and for CPUs without
// more. kWidth is the width of the instruction set being compiled.
//
// Everything has internal linkage: code compiled for AVX-512 must never be what a baseline file
// links to. Comparisons with NaN are false, and a select takes either side whole, so that branches
// of the scalar form become masks without a change of meaning.
#ifndef QUANTD_LANES_H_
#define QUANTD_LANES_H_

#include <stdint.h>
#include <string.h>

#include "numbers.h"

#define QUANTD_LANE [[maybe_unused]] inline __attribute__((always_inline))

namespace quantd {
namespace {

template <int W>
struct Float;
template <int W>
struct Int;
template <int W>
struct Mask;

// ---- one lane ----

template <>
struct Mask<1> {
  bool v;
};
template <>
struct Int<1> {
  int32_t v;
  QUANTD_LANE static Int Set(int32_t value) { return {value}; }
  QUANTD_LANE static Int Load(const int32_t* from) { return {*from}; }
  QUANTD_LANE void Store(int32_t* into) const { *into = v; }
};
template <>
struct Float<1> {
  float v;
  QUANTD_LANE static Float Set(float value) { return {value}; }
  QUANTD_LANE static Float Load(const float* from) { return {*from}; }
  QUANTD_LANE void Store(float* into) const { *into = v; }
};

QUANTD_LANE Float<1> operator+(Float<1> a, Float<1> b) { return {a.v + b.v}; }
QUANTD_LANE Float<1> operator-(Float<1> a, Float<1> b) { return {a.v - b.v}; }
QUANTD_LANE Float<1> operator*(Float<1> a, Float<1> b) { return {a.v * b.v}; }
QUANTD_LANE Float<1> operator/(Float<1> a, Float<1> b) { return {a.v / b.v}; }
QUANTD_LANE Mask<1> operator<(Float<1> a, Float<1> b) { return {a.v < b.v}; }
QUANTD_LANE Mask<1> operator<=(Float<1> a, Float<1> b) { return {a.v <= b.v}; }
QUANTD_LANE Mask<1> operator>(Float<1> a, Float<1> b) { return {a.v > b.v}; }
QUANTD_LANE Mask<1> operator>=(Float<1> a, Float<1> b) { return {a.v >= b.v}; }
QUANTD_LANE Mask<1> operator==(Float<1> a, Float<1> b) { return {a.v == b.v}; }
QUANTD_LANE Float<1> Sqrt(Float<1> a) { return {__builtin_sqrtf(a.v)}; }
// a < b ? a : b and a > b ? a : b: the second where either is NaN or both are zeros.
QUANTD_LANE Float<1> Min(Float<1> a, Float<1> b) { return a.v < b.v ? a : b; }
QUANTD_LANE Float<1> Max(Float<1> a, Float<1> b) { return a.v > b.v ? a : b; }

QUANTD_LANE Int<1> Bits(Float<1> a) { return {static_cast<int32_t>(BitsOf(a.v))}; }
QUANTD_LANE Float<1> FromBits(Int<1> a) { return {FloatOf(static_cast<uint32_t>(a.v))}; }
QUANTD_LANE Float<1> ToFloat(Int<1> a) { return {static_cast<float>(a.v)}; }
QUANTD_LANE Int<1> Truncate(Float<1> a) {
  const bool fits = a.v >= -2147483648.0f && a.v < 2147483648.0f;
  return {fits ? static_cast<int32_t>(a.v) : INT32_MIN};
}
// Two's complement, wrapping.
QUANTD_LANE Int<1> operator+(Int<1> a, Int<1> b) {
  return {static_cast<int32_t>(static_cast<uint32_t>(a.v) + static_cast<uint32_t>(b.v))};
}
QUANTD_LANE Int<1> operator-(Int<1> a, Int<1> b) {
  return {static_cast<int32_t>(static_cast<uint32_t>(a.v) - static_cast<uint32_t>(b.v))};
}
QUANTD_LANE Int<1> operator*(Int<1> a, Int<1> b) {
  return {static_cast<int32_t>(static_cast<uint32_t>(a.v) * static_cast<uint32_t>(b.v))};
}
QUANTD_LANE Int<1> operator&(Int<1> a, Int<1> b) { return {a.v & b.v}; }
QUANTD_LANE Int<1> operator|(Int<1> a, Int<1> b) { return {a.v | b.v}; }
QUANTD_LANE Int<1> operator^(Int<1> a, Int<1> b) { return {a.v ^ b.v}; }
template <int kBits>
QUANTD_LANE Int<1> ShiftLeft(Int<1> a) {
  return {static_cast<int32_t>(static_cast<uint32_t>(a.v) << kBits)};
}
// Zeros come in from the left.
template <int kBits>
QUANTD_LANE Int<1> ShiftRight(Int<1> a) {
  return {static_cast<int32_t>(static_cast<uint32_t>(a.v) >> kBits)};
}
QUANTD_LANE Int<1> Min(Int<1> a, Int<1> b) { return a.v < b.v ? a : b; }
QUANTD_LANE Int<1> Max(Int<1> a, Int<1> b) { return a.v > b.v ? a : b; }
QUANTD_LANE Mask<1> operator==(Int<1> a, Int<1> b) { return {a.v == b.v}; }
QUANTD_LANE Mask<1> operator>(Int<1> a, Int<1> b) { return {a.v > b.v}; }
QUANTD_LANE Int<1> Gather(const int32_t* from, Int<1> index) { return {from[index.v]}; }
QUANTD_LANE Float<1> Gather(const float* from, Int<1> index) { return {from[index.v]}; }

QUANTD_LANE Mask<1> operator&(Mask<1> a, Mask<1> b) { return {a.v && b.v}; }
QUANTD_LANE Mask<1> operator|(Mask<1> a, Mask<1> b) { return {a.v || b.v}; }
QUANTD_LANE Mask<1> operator~(Mask<1> a) { return {!a.v}; }
QUANTD_LANE bool Any(Mask<1> a) { return a.v; }
// Bit i is lane i.
QUANTD_LANE uint32_t LaneBits(Mask<1> a) { return a.v ? 1 : 0; }
QUANTD_LANE Float<1> Select(Mask<1> m, Float<1> yes, Float<1> no) { return m.v ? yes : no; }
QUANTD_LANE Int<1> Select(Mask<1> m, Int<1> yes, Int<1> no) { return m.v ? yes : no; }

}  // namespace
}  // namespace quantd

#if defined(__AVX512F__)
#include "lanes-avx512.h"
#elif defined(__AVX2__)
#include "lanes-avx2.h"
#elif defined(__aarch64__) && defined(__ARM_NEON)
#include "lanes-neon.h"
#endif

// ---- what follows from the above, for every width ----

namespace quantd {
namespace {

// The scalar table is the plain reading of the sources, also where the baseline has vectors.
#define QUANTD_WIDTH_OF_scalar 1
#define QUANTD_WIDTH_OF_avx2 8
#define QUANTD_WIDTH_OF_avx512 16
#define QUANTD_WIDTH_OF_avx512bf16 16
#define QUANTD_WIDTH_OF_amx 16
#define QUANTD_WIDTH_OF_neon 4
#define QUANTD_WIDTH_JOIN(isa) QUANTD_WIDTH_OF_##isa
#define QUANTD_WIDTH(isa) QUANTD_WIDTH_JOIN(isa)
#ifdef QUANTD_ISA
[[maybe_unused]] constexpr int kWidth = QUANTD_WIDTH(QUANTD_ISA);
#endif

template <int W>
QUANTD_LANE Float<W> Magnitude(Float<W> a) {
  return FromBits(Bits(a) & Int<W>::Set(0x7FFFFFFF));
}

// The nearest integer by the bits of value + 1.5 * 2^23, as Nearest(float) in numbers.h has it:
// what does not fit follows from the bits too, so no saturating conversion may take its place.
template <int W>
QUANTD_LANE Int<W> Nearest(Float<W> value) {
  const Int<W> bits = Bits(value + Float<W>::Set(12582912.0f));
  return (bits & Int<W>::Set(0x7FFFFF)) - Int<W>::Set(0x400000);
}

template <int W>
QUANTD_LANE Int<W> Clamp(Int<W> value, int low, int high) {
  return Min(Max(value, Int<W>::Set(low)), Int<W>::Set(high));
}

// into[i] holds element i of every lane: lane l reads from lanes[l][0 .. count).
template <int W>
QUANTD_LANE void LoadLanes(const float* const* lanes, int count, Float<W>* into) {
  if constexpr (W == 1) {
    for (int i = 0; i < count; ++i) into[i] = Float<1>::Load(lanes[0] + i);
  } else {
    // Small squares keep both sides in the nearest cache; the compiler has no better idea of it.
    alignas(64) float square[W];
    for (int i = 0; i < count; ++i) {
      for (int l = 0; l < W; ++l) square[l] = lanes[l][i];
      into[i] = Float<W>::Load(square);
    }
  }
}

}  // namespace
}  // namespace quantd

#endif
