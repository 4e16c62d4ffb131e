// Products: the matrix products of the forward pass, DET-1.md §6, for one instruction set.
//
//   gathered rows ──pack──▶ panels: tokens side by side ──multiply──▶ one chain per (token, row)
//
// Tokens are the lanes; a weight is broadcast to all of them from where it lies. No two chains
// meet, so that neither the width of the lanes nor any cut changes a bit. Read next: forward.h for
// what each function promises, products-tile.h for the innermost loop.
#ifndef QUANTD_PRODUCTS_H_
#define QUANTD_PRODUCTS_H_

#include "forward.h"

namespace quantd::QUANTD_ISA {

extern const Products kF32Products;
extern const Products kF16Products;
extern const Products kBf16Products;

bool NeedsFlush(const uint8_t* weights, size_t count);
void Flush(const uint8_t* weights, size_t count, uint8_t* into);

}  // namespace quantd::QUANTD_ISA

// The sets that go beyond avx512 have the last of the three alone, and for mode A those of avx512.
#if defined(__AVX512BF16__)
#define QUANTD_MODE_A_ISA avx512
namespace quantd::avx512 {
extern const Products kF32Products;
extern const Products kF16Products;
}  // namespace quantd::avx512
#else
#define QUANTD_MODE_A_ISA QUANTD_ISA
#endif

#endif
