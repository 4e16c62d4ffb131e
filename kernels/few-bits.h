// Few bits: blocks whose elements are one of two or three multiples of the scale (few-bits.cpp).
#ifndef QUANTD_FEW_BITS_H_
#define QUANTD_FEW_BITS_H_

#include "families.h"

namespace quantd::QUANTD_ISA {

QuantizeFunction QuantizeTQ1_0;
QuantizeFunction QuantizeTQ2_0;
QuantizeFunction QuantizeQ1_0;
QuantizeFunction QuantizeQ2_0;

}  // namespace quantd::QUANTD_ISA

#endif
