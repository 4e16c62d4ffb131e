// Descent: Q3_K (descent.cpp).
#ifndef QUANTD_DESCENT_H_
#define QUANTD_DESCENT_H_

#include "families.h"

namespace quantd::QUANTD_ISA {

QuantizeFunction QuantizeQ3_K;

}  // namespace quantd::QUANTD_ISA

#endif
