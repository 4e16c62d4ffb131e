// The table of one instruction set, in the order of formats.h.
#include "families.h"
#include "kernels.h"

#define QUANTD_TEXT_OF(name) #name
#define QUANTD_TEXT(name) QUANTD_TEXT_OF(name)

namespace quantd::QUANTD_ISA {

const Kernels kKernels = {
    QUANTD_TEXT(QUANTD_ISA),
    {QuantizeF32, QuantizeF16, QuantizeBF16, QuantizeQ4_0, QuantizeQ4_1, QuantizeQ5_0,
     QuantizeQ5_1, QuantizeQ8_0, QuantizeQ2_K, QuantizeQ3_K, QuantizeQ4_K, QuantizeQ5_K,
     QuantizeQ6_K},
    {DequantizeF32, DequantizeF16, DequantizeBF16},
    {FindNonFiniteF32, FindNonFiniteF16, FindNonFiniteBF16},
};

}  // namespace quantd::QUANTD_ISA
