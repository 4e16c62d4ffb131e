// Nonlinear: IQ4_NL and IQ4_XS (nonlinear.cpp).
#ifndef QUANTD_NONLINEAR_H_
#define QUANTD_NONLINEAR_H_

#include "families.h"

namespace quantd::QUANTD_ISA {

QuantizeFunction QuantizeIQ4_NL;
QuantizeFunction QuantizeIQ4_XS;

}  // namespace quantd::QUANTD_ISA

#endif
