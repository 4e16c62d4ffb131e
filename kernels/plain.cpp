// Plain: elements that are stored as numbers, and the way from a source's elements to float.
#include "families.h"
#include "numbers.h"

namespace quantd::QUANTD_ISA {
namespace {

// A stretch of this many elements is tested without a branch before the culprit is looked for.
constexpr size_t kStretch = 4096;

// at(index): the 16 bits with the exponent of element `index`.
template <typename At>
size_t FindExponent(size_t count, uint32_t exponent, At at) {
  for (size_t start = 0; start < count; start += kStretch) {
    const size_t end = count - start < kStretch ? count : start + kStretch;
    uint32_t found = 0;
    for (size_t i = start; i < end; ++i) found |= (at(i) & exponent) == exponent ? 1u : 0u;
    if (found == 0) continue;
    for (size_t i = start; i < end; ++i) {
      if ((at(i) & exponent) == exponent) return i;
    }
  }
  return count;
}

}  // namespace

size_t QuantizeF32(const float* values, size_t rows, size_t columns, const float*,
                   uint8_t* into) {
  memcpy(into, values, rows * columns * sizeof(float));
  return rows * columns;
}

size_t QuantizeF16(const float* values, size_t rows, size_t columns, const float*,
                   uint8_t* into) {
  for (size_t i = 0; i < rows * columns; ++i) StoreU16(into + 2 * i, HalfFromFloat(values[i]));
  return rows * columns;
}

size_t QuantizeBF16(const float* values, size_t rows, size_t columns, const float*,
                    uint8_t* into) {
  for (size_t i = 0; i < rows * columns; ++i) StoreU16(into + 2 * i, Bfloat16FromFloat(values[i]));
  return rows * columns;
}

void DequantizeF32(const uint8_t* blocks, size_t count, float* into) {
  memcpy(into, blocks, count * sizeof(float));
}

void DequantizeF16(const uint8_t* blocks, size_t count, float* into) {
  for (size_t i = 0; i < count; ++i) into[i] = FloatFromHalf(LoadU16(blocks + 2 * i));
}

void DequantizeBF16(const uint8_t* blocks, size_t count, float* into) {
  for (size_t i = 0; i < count; ++i) {
    into[i] = FloatOf(static_cast<uint32_t>(LoadU16(blocks + 2 * i)) << 16);
  }
}

size_t FindNonFiniteF32(const uint8_t* source, size_t count) {
  return FindExponent(count, kFloatExponent, [&](size_t i) { return LoadU16(source + 4 * i + 2); });
}

size_t FindNonFiniteF16(const uint8_t* source, size_t count) {
  return FindExponent(count, kHalfExponent, [&](size_t i) { return LoadU16(source + 2 * i); });
}

size_t FindNonFiniteBF16(const uint8_t* source, size_t count) {
  return FindExponent(count, kFloatExponent, [&](size_t i) { return LoadU16(source + 2 * i); });
}

}  // namespace quantd::QUANTD_ISA
