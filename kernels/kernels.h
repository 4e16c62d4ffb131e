// Kernels: the table that every instruction set fills, and the names of those tables.
//
//   Kernels::make[format].plain(values, rows, columns, null, into)
//   Kernels::make[format].weighted(values, rows, columns, importance, into)
//
// A kernel checks nothing: its caller has checked lengths and that every value is finite.
// Read next: dispatch.h, table.cpp.
#ifndef QUANTD_KERNELS_H_
#define QUANTD_KERNELS_H_

#include "formats.h"

namespace quantd {

// values (rows, columns), back to back; columns is a whole number of blocks; `into` receives the
// rows' blocks back to back. importance (columns): how much each column counts, the same for
// every row; finite and not negative; null where all count alike. With importance some formats
// look at the whole row a block lies in; without it no block depends on another.
//
// Returns rows * columns, or the index of the first element of the first block that cannot be
// made (only codebook formats know such blocks, at magnitudes above about 1e12): the blocks
// before it are made, those from it on are unspecified.
using QuantizeRows = size_t (*)(const float* values, size_t rows, size_t columns,
                                const float* importance, uint8_t* into);

// blocks: whole ones, of `count` elements, at any alignment. What the elements of a source are, as
// docs/quantization.md defines them.
using DequantizeBlocks = void (*)(const uint8_t* blocks, size_t count, float* into);

// The index of the first element that is infinite or NaN; `count` when there is none.
using FindNonFinite = size_t (*)(const uint8_t* source, size_t count);

// How the blocks of a format are made; often both are the same function. Null: there is no such
// kernel. Formats that ignore importance have no weighted one, formats that require it no plain.
struct Quantizer {
  QuantizeRows plain;
  QuantizeRows weighted;
};

struct Kernels {
  const char* isa;
  Quantizer make[kFormatCount];
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
