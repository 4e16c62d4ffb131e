// Numbers: the conversions and roundings that the bytes of a block depend on.
//
// Everything here has internal linkage: the same function compiled for AVX-512 must never be the
// one a baseline file links to. No libm, no fused multiply-add, and every out-of-range case is
// defined, because subnormal rows reach them with finite input.
#ifndef QUANTD_NUMBERS_H_
#define QUANTD_NUMBERS_H_

#include <stdint.h>
#include <string.h>

namespace quantd {
namespace {

[[maybe_unused]] inline uint32_t BitsOf(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

[[maybe_unused]] inline float FloatOf(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

[[maybe_unused]] inline float Magnitude(float value) { return __builtin_fabsf(value); }

// The nearest integer, ties to even, by adding 1.5 * 2^23 and reading the mantissa. Beyond
// |value| = 4194303 the bits decide: both infinities give -4194304, NaN gives 0. The reference
// relies on that (a reciprocal of a subnormal range is infinite), so no saturating conversion
// may take its place.
[[maybe_unused]] inline int Nearest(float value) {
  return static_cast<int>(BitsOf(value + 12582912.0f) & 0x7FFFFFu) - 0x400000;
}

[[maybe_unused]] inline int Clamp(int value, int low, int high) {
  return value < low ? low : value > high ? high : value;
}

// IEEE half, nearest even, subnormals kept; from 65520 up infinity.
[[maybe_unused]] inline uint16_t HalfFromFloat(float value) {
  const uint32_t bits = BitsOf(value);
  const uint32_t sign = (bits >> 16) & 0x8000u;
  const uint32_t magnitude = bits & 0x7FFFFFFFu;
  // In [0.5, 1) a float's last bit is 2^-24, the last bit of a subnormal half: the addition rounds.
  const uint32_t subnormal = BitsOf(FloatOf(magnitude) + 0.5f) - 0x3F000000u;
  const uint32_t normal = (magnitude + 0x0FFFu + ((magnitude >> 13) & 1u) - 0x38000000u) >> 13;
  uint32_t half = magnitude < 0x38800000u ? subnormal : normal;
  half = magnitude >= 0x477FF000u ? 0x7C00u : half;
  half = magnitude > 0x7F800000u ? 0x7E00u : half;
  return static_cast<uint16_t>(sign | half);
}

[[maybe_unused]] inline float FloatFromHalf(uint16_t half) {
  const uint32_t sign = (half & 0x8000u) << 16;
  const uint32_t magnitude = half & 0x7FFFu;
  const uint32_t normal = (magnitude << 13) + 0x38000000u;
  const uint32_t special = (magnitude << 13) + 0x70000000u;
  const uint32_t subnormal = BitsOf(static_cast<float>(magnitude) * 0x1p-24f);  // Exact.
  uint32_t bits = magnitude < 0x0400u ? subnormal : normal;
  bits = magnitude >= 0x7C00u ? special : bits;
  return FloatOf(sign | bits);
}

// The upper half of a float, nearest even, subnormals kept; NaN stays NaN.
[[maybe_unused]] inline uint16_t Bfloat16FromFloat(float value) {
  const uint32_t bits = BitsOf(value);
  const uint32_t rounded = (bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16;
  const bool is_nan = (bits & 0x7FFFFFFFu) > 0x7F800000u;
  return static_cast<uint16_t>(is_nan ? (bits >> 16) | 64u : rounded);
}

// Little endian, like every CPU that quantd runs on, so a copy will do.
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);

[[maybe_unused]] inline void StoreU16(uint8_t* into, uint16_t value) {
  memcpy(into, &value, sizeof value);
}

[[maybe_unused]] inline uint16_t LoadU16(const uint8_t* from) {
  uint16_t value;
  memcpy(&value, from, sizeof value);
  return value;
}

// Stores a scale and returns what a reader of the block will see.
[[maybe_unused]] inline float StoreHalf(uint8_t* into, float value) {
  const uint16_t half = HalfFromFloat(value);
  StoreU16(into, half);
  return FloatFromHalf(half);
}

}  // namespace
}  // namespace quantd

#endif
