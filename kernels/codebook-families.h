// Codebook-families: the quantizers of the codebook types. Included by families.h.
//
// They return rows * columns, or the index of the first element of the first super-block that has
// no fit: its weights are so large that no distance is finite. IQ2_XXS, IQ2_XS and IQ1_S are not
// defined without importance and return 0.
#ifndef QUANTD_CODEBOOK_FAMILIES_H_
#define QUANTD_CODEBOOK_FAMILIES_H_

#include <stddef.h>
#include <stdint.h>

namespace quantd::QUANTD_ISA {

// codebook-iq2.cpp
size_t QuantizeIQ2_XXS(const float* values, size_t rows, size_t columns, const float* importance,
                       uint8_t* into);
size_t QuantizeIQ2_XS(const float* values, size_t rows, size_t columns, const float* importance,
                      uint8_t* into);
size_t QuantizeIQ2_S(const float* values, size_t rows, size_t columns, const float* importance,
                     uint8_t* into);

// codebook-iq3.cpp
size_t QuantizeIQ3_XXS(const float* values, size_t rows, size_t columns, const float* importance,
                       uint8_t* into);
size_t QuantizeIQ3_S(const float* values, size_t rows, size_t columns, const float* importance,
                     uint8_t* into);

// codebook-iq1.cpp
size_t QuantizeIQ1_S(const float* values, size_t rows, size_t columns, const float* importance,
                     uint8_t* into);
size_t QuantizeIQ1_M(const float* values, size_t rows, size_t columns, const float* importance,
                     uint8_t* into);

}  // namespace quantd::QUANTD_ISA

#endif
