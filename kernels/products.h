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

size_t PackedBytesA(size_t tokens, size_t columns);
size_t PackedBytesB(size_t tokens, size_t columns);
void PackA(const float* const* rows, size_t tokens, size_t columns, uint8_t* into);
void PackB(const float* const* rows, size_t tokens, size_t columns, uint8_t* into);
void MultiplyF32(const uint8_t* packed, size_t tokens, size_t columns, const uint8_t* weights,
                 size_t row_bytes, size_t count, float* into, size_t stride);
void MultiplyF16(const uint8_t* packed, size_t tokens, size_t columns, const uint8_t* weights,
                 size_t row_bytes, size_t count, float* into, size_t stride);
void MultiplyBF16(const uint8_t* packed, size_t tokens, size_t columns, const uint8_t* weights,
                  size_t row_bytes, size_t count, float* into, size_t stride);

bool NeedsFlush(const uint8_t* weights, size_t count);
void Flush(const uint8_t* weights, size_t count, uint8_t* into);

constexpr size_t kPanelTokens = 1;
constexpr size_t kRowsAtATime = 192;

// By WeightType. Constant, so that no code of this instruction set runs before it is asked for.
constexpr Products kProducts[kWeightTypes] = {
    {kPanelTokens, kRowsAtATime, PackedBytesA, PackA, MultiplyF32},
    {kPanelTokens, kRowsAtATime, PackedBytesA, PackA, MultiplyF16},
    {kPanelTokens, kRowsAtATime, PackedBytesB, PackB, MultiplyBF16},
};

}  // namespace quantd::QUANTD_ISA

#endif
