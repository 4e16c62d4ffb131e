#include "products.h"

#include <string.h>

#include "numbers.h"

namespace quantd::QUANTD_ISA {
namespace {

// 2^-55 as a float's magnitude and as the upper half of one.
constexpr float kFlushBelow = 0x1p-55f;
constexpr uint16_t kFlushBelowHalf = 0x2400;

float WidenBfloat16(const uint8_t* from) {
  return FloatOf(static_cast<uint32_t>(LoadU16(from)) << 16);
}

size_t RoundUp(size_t bytes) { return (bytes + 63) / 64 * 64; }

template <typename Widen>
void MultiplyA(const uint8_t* packed, size_t tokens, size_t columns, const uint8_t* weights,
               size_t row_bytes, size_t count, float* into, size_t stride, Widen widen) {
  const float* x = reinterpret_cast<const float*>(packed);
  for (size_t t = 0; t < tokens; ++t) {
    for (size_t n = 0; n < count; ++n) {
      float a = 0.0f;
      for (size_t k = 0; k < columns; ++k) {
        a = __builtin_fmaf(widen(weights + n * row_bytes, k), x[t * columns + k], a);
      }
      into[t * stride + n] = a;
    }
  }
}

}  // namespace

size_t PackedBytesA(size_t tokens, size_t columns) { return RoundUp(tokens * columns * 4); }
size_t PackedBytesB(size_t tokens, size_t columns) { return RoundUp(tokens * columns * 4); }

void PackA(const float* const* rows, size_t tokens, size_t columns, uint8_t* into) {
  for (size_t t = 0; t < tokens; ++t) memcpy(into + t * columns * 4, rows[t], columns * 4);
}

void PackB(const float* const* rows, size_t tokens, size_t columns, uint8_t* into) {
  float* packed = reinterpret_cast<float*>(into);
  for (size_t t = 0; t < tokens; ++t) {
    for (size_t k = 0; k < columns; ++k) {
      const float x = rows[t][k];
      const float kept = Magnitude(x) < kFlushBelow ? 0.0f : x;
      packed[t * columns + k] = FloatOf(static_cast<uint32_t>(Bfloat16FromFloat(kept)) << 16);
    }
  }
}

void MultiplyF32(const uint8_t* packed, size_t tokens, size_t columns, const uint8_t* weights,
                 size_t row_bytes, size_t count, float* into, size_t stride) {
  MultiplyA(packed, tokens, columns, weights, row_bytes, count, into, stride,
            [](const uint8_t* row, size_t k) {
              float w;
              memcpy(&w, row + 4 * k, 4);
              return w;
            });
}

void MultiplyF16(const uint8_t* packed, size_t tokens, size_t columns, const uint8_t* weights,
                 size_t row_bytes, size_t count, float* into, size_t stride) {
  MultiplyA(packed, tokens, columns, weights, row_bytes, count, into, stride,
            [](const uint8_t* row, size_t k) { return FloatFromHalf(LoadU16(row + 2 * k)); });
}

void MultiplyBF16(const uint8_t* packed, size_t tokens, size_t columns, const uint8_t* weights,
                  size_t row_bytes, size_t count, float* into, size_t stride) {
  const float* x = reinterpret_cast<const float*>(packed);
  for (size_t t = 0; t < tokens; ++t) {
    for (size_t n = 0; n < count; ++n) {
      const uint8_t* const w = weights + n * row_bytes;
      const float* const token = x + t * columns;
      float a = 0.0f;
      size_t k = 0;
      for (; k + 1 < columns; k += 2) {
        a = a + WidenBfloat16(w + 2 * k + 2) * token[k + 1];
        a = a + WidenBfloat16(w + 2 * k) * token[k];
      }
      if (k < columns) a = a + WidenBfloat16(w + 2 * k) * token[k];
      into[t * stride + n] = a;
    }
  }
}

bool NeedsFlush(const uint8_t* weights, size_t count) {
  bool found = false;
  for (size_t i = 0; i < count; ++i) {
    const uint16_t magnitude = LoadU16(weights + 2 * i) & 0x7FFF;
    found |= magnitude != 0 && magnitude < kFlushBelowHalf;
  }
  return found;
}

void Flush(const uint8_t* weights, size_t count, uint8_t* into) {
  for (size_t i = 0; i < count; ++i) {
    const uint16_t weight = LoadU16(weights + 2 * i);
    StoreU16(into + 2 * i, (weight & 0x7FFF) < kFlushBelowHalf ? 0 : weight);
  }
}

}  // namespace quantd::QUANTD_ISA
