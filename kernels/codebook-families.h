// Codebook-families: the quantizers of the codebook types.
//
// Their results are below rows * columns where a super-block has weights so large that no distance
// is finite. IQ2_XXS, IQ2_XS and IQ1_S are not defined without importance.
#ifndef QUANTD_CODEBOOK_FAMILIES_H_
#define QUANTD_CODEBOOK_FAMILIES_H_

#include "families.h"

namespace quantd::QUANTD_ISA {

// codebook-iq2.cpp
QuantizeFunction QuantizeIQ2_XXS;
QuantizeFunction QuantizeIQ2_XS;
QuantizeFunction QuantizeIQ2_S;

// codebook-iq3.cpp
QuantizeFunction QuantizeIQ3_XXS;
QuantizeFunction QuantizeIQ3_S;

// codebook-iq1.cpp
QuantizeFunction QuantizeIQ1_S;
QuantizeFunction QuantizeIQ1_M;

}  // namespace quantd::QUANTD_ISA

#endif
