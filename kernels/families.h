// Families: what the kernel sources define for the instruction set being compiled.
// The build sets QUANTD_ISA to scalar, avx2, avx512 or neon.
//
// Each family has a header of its own, which declares its functions in this namespace by the
// types below: `QuantizeFunction QuantizeQ4_K;`
#ifndef QUANTD_FAMILIES_H_
#define QUANTD_FAMILIES_H_

#include "kernels.h"

#ifndef QUANTD_ISA
#error "kernel sources are compiled once per instruction set: see kernels/build.mjs"
#endif

namespace quantd::QUANTD_ISA {

// The functions that QuantizeRows, DequantizeBlocks and FindNonFinite of kernels.h point to.
using QuantizeFunction = size_t(const float* values, size_t rows, size_t columns,
                                const float* importance, uint8_t* into);
using DequantizeFunction = void(const uint8_t* blocks, size_t count, float* into);
using FindFunction = size_t(const uint8_t* source, size_t count);

}  // namespace quantd::QUANTD_ISA

#include "affine.h"
#include "codebook-families.h"
#include "dequantize.h"
#include "descent.h"
#include "few-bits.h"
#include "microscale.h"
#include "nonlinear.h"
#include "plain.h"
#include "symmetric.h"

#endif
