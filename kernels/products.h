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

// By WeightType.
extern const Products kProducts[kWeightTypes];

bool NeedsFlush(const uint8_t* weights, size_t count);
void Flush(const uint8_t* weights, size_t count, uint8_t* into);

}  // namespace quantd::QUANTD_ISA

#endif
