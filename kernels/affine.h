// Affine: blocks with a scale and a minimum (affine.cpp).
#ifndef QUANTD_AFFINE_H_
#define QUANTD_AFFINE_H_

#include "families.h"

namespace quantd::QUANTD_ISA {

QuantizeFunction QuantizeQ4_1;
QuantizeFunction QuantizeQ5_1;
QuantizeFunction QuantizeQ2_K;
QuantizeFunction QuantizeQ4_K;
QuantizeFunction QuantizeQ5_K;

}  // namespace quantd::QUANTD_ISA

#endif
