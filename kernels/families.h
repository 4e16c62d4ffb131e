// Families: what the kernel sources define for the instruction set being compiled.
// The build sets QUANTD_ISA to scalar, avx2, avx512 or neon.
#ifndef QUANTD_FAMILIES_H_
#define QUANTD_FAMILIES_H_

#include "formats.h"

#ifndef QUANTD_ISA
#error "kernel sources are compiled once per instruction set: see kernels/build.mjs"
#endif

namespace quantd::QUANTD_ISA {

// plain.cpp
void QuantizeF32(const float* values, size_t rows, size_t columns, uint8_t* into);
void QuantizeF16(const float* values, size_t rows, size_t columns, uint8_t* into);
void QuantizeBF16(const float* values, size_t rows, size_t columns, uint8_t* into);
void DequantizeF32(const uint8_t* blocks, size_t count, float* into);
void DequantizeF16(const uint8_t* blocks, size_t count, float* into);
void DequantizeBF16(const uint8_t* blocks, size_t count, float* into);
size_t FindNonFiniteF32(const uint8_t* source, size_t count);
size_t FindNonFiniteF16(const uint8_t* source, size_t count);
size_t FindNonFiniteBF16(const uint8_t* source, size_t count);

// symmetric.cpp
void QuantizeQ4_0(const float* values, size_t rows, size_t columns, uint8_t* into);
void QuantizeQ5_0(const float* values, size_t rows, size_t columns, uint8_t* into);
void QuantizeQ8_0(const float* values, size_t rows, size_t columns, uint8_t* into);
void QuantizeQ6_K(const float* values, size_t rows, size_t columns, uint8_t* into);

// affine.cpp
void QuantizeQ4_1(const float* values, size_t rows, size_t columns, uint8_t* into);
void QuantizeQ5_1(const float* values, size_t rows, size_t columns, uint8_t* into);
void QuantizeQ2_K(const float* values, size_t rows, size_t columns, uint8_t* into);
void QuantizeQ4_K(const float* values, size_t rows, size_t columns, uint8_t* into);
void QuantizeQ5_K(const float* values, size_t rows, size_t columns, uint8_t* into);

// descent.cpp
void QuantizeQ3_K(const float* values, size_t rows, size_t columns, uint8_t* into);

}  // namespace quantd::QUANTD_ISA

#endif
