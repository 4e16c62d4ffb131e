// Affine: blocks with a scale and a minimum. Levels run from 0 to N.
//
//   rows, importance ──▶ W blocks in lanes ──▶ affine-fit.h ──▶ words of the blocks
//
// Lanes are different super-blocks (the 256 types) or blocks (Q4_1, Q5_1). A lane whose values
// are too small for the quick rounding is made again in the one-lane form of the same source.
// The order of the float operations is the promise (docs/quantization.md).
#include "affine-blocks.h"
#include "affine-six-bit.h"
#include "affine-two-bit.h"
#include "families.h"

namespace quantd::QUANTD_ISA {
namespace {

// Every super-block of the rows, kWidth at a time.
template <class Type>
size_t QuantizeSuperBlocks(const float* values, size_t rows, size_t columns,
                           const float* importance, uint8_t* into) {
  const size_t in_row = columns / 256;
  const size_t total = rows * in_row;
  size_t column = 0;  // Of the super-blocks of a row.
  for (size_t first = 0; first < total; first += kWidth) {
    Lanes<kWidth> lanes;
    lanes.count = static_cast<int>(total - first < kWidth ? total - first : kWidth);
    for (int l = 0; l < kWidth; ++l) {
      const bool used = l < lanes.count;
      const size_t block = first + static_cast<size_t>(used ? l : lanes.count - 1);
      lanes.values[l] = values + 256 * block;
      lanes.into[l] = into + 4 * Type::kWords * block;
      lanes.importance[l] = importance == nullptr ? nullptr
                            : used                ? importance + 256 * column
                                                  : lanes.importance[l - 1];
      if (used) column = column + 1 == in_row ? 0 : column + 1;
    }
    const uint32_t out_of_reach = Type::Make(lanes);
    for (int l = 0; kWidth > 1 && l < lanes.count; ++l) {
      if ((out_of_reach >> l & 1u) == 0) continue;
      Type::Make(Lanes<1>{{lanes.values[l]}, {lanes.importance[l]}, {lanes.into[l]}, 1});
    }
  }
  return rows * columns;
}

}  // namespace

size_t QuantizeQ4_1(const float* values, size_t rows, size_t columns, const float* importance,
                    uint8_t* into) {
  return QuantizeAffineBlocks<15>(values, rows, columns, importance, into);
}

size_t QuantizeQ5_1(const float* values, size_t rows, size_t columns, const float* importance,
                    uint8_t* into) {
  return QuantizeAffineBlocks<31>(values, rows, columns, importance, into);
}

size_t QuantizeQ2_K(const float* values, size_t rows, size_t columns, const float* importance,
                    uint8_t* into) {
  return QuantizeSuperBlocks<TwoBitType>(values, rows, columns, importance, into);
}

size_t QuantizeQ4_K(const float* values, size_t rows, size_t columns, const float* importance,
                    uint8_t* into) {
  return QuantizeSuperBlocks<SixBitType<15>>(values, rows, columns, importance, into);
}

size_t QuantizeQ5_K(const float* values, size_t rows, size_t columns, const float* importance,
                    uint8_t* into) {
  return QuantizeSuperBlocks<SixBitType<31>>(values, rows, columns, importance, into);
}

}  // namespace quantd::QUANTD_ISA
