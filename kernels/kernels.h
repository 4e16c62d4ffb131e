// Kernels: the table that every instruction set fills, and the names of those tables.
//
//   Kernels::quantize[format](values, rows, columns, into)   (read next: dispatch.h, table.cpp)
//
// A kernel cannot fail: its caller has checked lengths and that every value is finite.
#ifndef QUANTD_KERNELS_H_
#define QUANTD_KERNELS_H_

#include "formats.h"

namespace quantd {

// values (rows, columns), back to back; columns is a whole number of blocks; `into` receives the
// rows' blocks back to back. Blocks do not depend on one another.
using QuantizeRows = void (*)(const float* values, size_t rows, size_t columns, uint8_t* into);

// blocks: whole ones, of `count` elements, at any alignment. What the elements of a source are, as
// docs/quantization.md defines them.
using DequantizeBlocks = void (*)(const uint8_t* blocks, size_t count, float* into);

// The index of the first element that is infinite or NaN; `count` when there is none.
using FindNonFinite = size_t (*)(const uint8_t* source, size_t count);

struct Kernels {
  const char* isa;
  QuantizeRows quantize[kFormatCount];
  DequantizeBlocks dequantize[kFormatCount];
  FindNonFinite find_non_finite[kPlainCount];
};

// One namespace per instruction set: the same sources, compiled with other flags.
namespace scalar {
extern const Kernels kKernels;
}
namespace avx2 {
extern const Kernels kKernels;
}
namespace avx512 {
extern const Kernels kKernels;
}
namespace neon {
extern const Kernels kKernels;
}

}  // namespace quantd

#endif
