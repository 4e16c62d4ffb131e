// Plain: elements that are stored as numbers (plain.cpp).
#ifndef QUANTD_PLAIN_H_
#define QUANTD_PLAIN_H_

#include "families.h"

namespace quantd::QUANTD_ISA {

QuantizeFunction QuantizeF32;
QuantizeFunction QuantizeF16;
QuantizeFunction QuantizeBF16;
DequantizeFunction DequantizeF32;
DequantizeFunction DequantizeF16;
DequantizeFunction DequantizeBF16;
FindFunction FindNonFiniteF32;
FindFunction FindNonFiniteF16;
FindFunction FindNonFiniteBF16;

}  // namespace quantd::QUANTD_ISA

#endif
