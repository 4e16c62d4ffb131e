// The table of one instruction set: one line per format, in the order of formats.h.
#include "families.h"
#include "kernels.h"

#define QUANTD_TEXT_OF(name) #name
#define QUANTD_TEXT(name) QUANTD_TEXT_OF(name)

namespace quantd::QUANTD_ISA {

const Kernels kKernels = {
    QUANTD_TEXT(QUANTD_ISA),
    {
        // plain, weighted
        /* F32     */ {QuantizeF32, nullptr},
        /* F16     */ {QuantizeF16, nullptr},
        /* BF16    */ {QuantizeBF16, nullptr},
        /* Q4_0    */ {QuantizeQ4_0, QuantizeQ4_0},
        /* Q4_1    */ {QuantizeQ4_1, QuantizeQ4_1},
        /* Q5_0    */ {QuantizeQ5_0, QuantizeQ5_0},
        /* Q5_1    */ {QuantizeQ5_1, QuantizeQ5_1},
        /* Q8_0    */ {QuantizeQ8_0, nullptr},
        /* Q2_K    */ {QuantizeQ2_K, QuantizeQ2_K},
        /* Q3_K    */ {QuantizeQ3_K, QuantizeQ3_K},
        /* Q4_K    */ {QuantizeQ4_K, QuantizeQ4_K},
        /* Q5_K    */ {QuantizeQ5_K, QuantizeQ5_K},
        /* Q6_K    */ {QuantizeQ6_K, QuantizeQ6_K},
        /* IQ2_XXS */ {nullptr, QuantizeIQ2_XXS},
        /* IQ2_XS  */ {nullptr, QuantizeIQ2_XS},
        /* IQ3_XXS */ {QuantizeIQ3_XXS, QuantizeIQ3_XXS},
        /* IQ1_S   */ {nullptr, QuantizeIQ1_S},
        /* IQ4_NL  */ {QuantizeIQ4_NL, QuantizeIQ4_NL},
        /* IQ3_S   */ {QuantizeIQ3_S, QuantizeIQ3_S},
        /* IQ2_S   */ {QuantizeIQ2_S, QuantizeIQ2_S},
        /* IQ4_XS  */ {QuantizeIQ4_XS, QuantizeIQ4_XS},
        /* IQ1_M   */ {QuantizeIQ1_M, QuantizeIQ1_M},
        /* TQ1_0   */ {QuantizeTQ1_0, nullptr},
        /* TQ2_0   */ {QuantizeTQ2_0, nullptr},
        /* MXFP4   */ {QuantizeMXFP4, nullptr},
        /* NVFP4   */ {QuantizeNVFP4, nullptr},
        /* Q1_0    */ {QuantizeQ1_0, nullptr},
        /* Q2_0    */ {QuantizeQ2_0, nullptr},
    },
    {
        DequantizeF32,
        DequantizeF16,
        DequantizeBF16,
        DequantizeQ4_0,
        DequantizeQ4_1,
        DequantizeQ5_0,
        DequantizeQ5_1,
        DequantizeQ8_0,
        DequantizeQ2_K,
        DequantizeQ3_K,
        DequantizeQ4_K,
        DequantizeQ5_K,
        DequantizeQ6_K,
        DequantizeIQ2_XXS,
        DequantizeIQ2_XS,
        DequantizeIQ3_XXS,
        DequantizeIQ1_S,
        DequantizeIQ4_NL,
        DequantizeIQ3_S,
        DequantizeIQ2_S,
        DequantizeIQ4_XS,
        DequantizeIQ1_M,
        DequantizeTQ1_0,
        DequantizeTQ2_0,
        DequantizeMXFP4,
        DequantizeNVFP4,
        DequantizeQ1_0,
        DequantizeQ2_0,
    },
    {FindNonFiniteF32, FindNonFiniteF16, FindNonFiniteBF16},
};

}  // namespace quantd::QUANTD_ISA
