// Plain: elements that are stored as numbers, and the way from a source's elements to float.
#include "families.h"
#include "numbers.h"

namespace quantd::QUANTD_ISA {
namespace {

// A stretch of this many elements is tested without a branch before the culprit is looked for.
constexpr size_t kStretch = 4096;

// The first of `count` Words that has all bits of `exponent`.
template <typename Word>
size_t FindExponent(const uint8_t* source, size_t count, Word exponent) {
  const auto has = [=](size_t i) {
    Word word;
    memcpy(&word, source + i * sizeof word, sizeof word);
    return static_cast<Word>((word & exponent) == exponent ? 1 : 0);
  };
  for (size_t start = 0; start < count; start += kStretch) {
    const size_t end = count - start < kStretch ? count : start + kStretch;
    Word found = 0;
    for (size_t i = start; i < end; ++i) found |= has(i);
    if (found == 0) continue;
    for (size_t i = start; i < end; ++i) {
      if (has(i) != 0) return i;
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
  return FindExponent<uint32_t>(source, count, 0x7F800000u);
}

size_t FindNonFiniteF16(const uint8_t* source, size_t count) {
  return FindExponent<uint16_t>(source, count, kHalfExponent);
}

size_t FindNonFiniteBF16(const uint8_t* source, size_t count) {
  return FindExponent<uint16_t>(source, count, kFloatExponent);
}

}  // namespace quantd::QUANTD_ISA
