// Dequantize: blocks of every quantized format to floats, the other way round from the families.
//
//   blocks of a GGUF source ──▶ DequantizeX ──▶ floats   (docs/quantization.md: layouts, formulas)
//
// One rounding per written operation, from left to right, so that what is made of a quantized
// source does not depend on the machine either. Read next: dequantize.cpp (small blocks),
// dequantize-super-blocks.cpp (256 elements), dequantize-codebooks.cpp (points of a grid).
#ifndef QUANTD_DEQUANTIZE_H_
#define QUANTD_DEQUANTIZE_H_

#include "families.h"

namespace quantd::QUANTD_ISA {

DequantizeFunction DequantizeQ4_0;
DequantizeFunction DequantizeQ4_1;
DequantizeFunction DequantizeQ5_0;
DequantizeFunction DequantizeQ5_1;
DequantizeFunction DequantizeQ8_0;
DequantizeFunction DequantizeIQ4_NL;
DequantizeFunction DequantizeMXFP4;
DequantizeFunction DequantizeNVFP4;
DequantizeFunction DequantizeQ1_0;
DequantizeFunction DequantizeQ2_0;

DequantizeFunction DequantizeQ2_K;
DequantizeFunction DequantizeQ3_K;
DequantizeFunction DequantizeQ4_K;
DequantizeFunction DequantizeQ5_K;
DequantizeFunction DequantizeQ6_K;
DequantizeFunction DequantizeIQ4_XS;
DequantizeFunction DequantizeTQ1_0;
DequantizeFunction DequantizeTQ2_0;

DequantizeFunction DequantizeIQ2_XXS;
DequantizeFunction DequantizeIQ2_XS;
DequantizeFunction DequantizeIQ2_S;
DequantizeFunction DequantizeIQ3_XXS;
DequantizeFunction DequantizeIQ3_S;
DequantizeFunction DequantizeIQ1_S;
DequantizeFunction DequantizeIQ1_M;

}  // namespace quantd::QUANTD_ISA

#endif
