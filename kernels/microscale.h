// Microscale: four-bit floats under a scale of eight bits (microscale.cpp).
#ifndef QUANTD_MICROSCALE_H_
#define QUANTD_MICROSCALE_H_

#include "families.h"

namespace quantd::QUANTD_ISA {

QuantizeFunction QuantizeMXFP4;
QuantizeFunction QuantizeNVFP4;

}  // namespace quantd::QUANTD_ISA

#endif
