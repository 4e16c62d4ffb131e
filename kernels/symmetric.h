// Symmetric: blocks with a scale and no minimum (symmetric.cpp).
#ifndef QUANTD_SYMMETRIC_H_
#define QUANTD_SYMMETRIC_H_

#include "families.h"

namespace quantd::QUANTD_ISA {

QuantizeFunction QuantizeQ4_0;
QuantizeFunction QuantizeQ5_0;
QuantizeFunction QuantizeQ8_0;
QuantizeFunction QuantizeQ6_K;

}  // namespace quantd::QUANTD_ISA

#endif
