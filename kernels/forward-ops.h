// Forward operations: what forward-table.cpp puts into the table of each instruction set, besides
// the products. What each one does stands in forward.h.
#ifndef QUANTD_FORWARD_OPS_H_
#define QUANTD_FORWARD_OPS_H_

#include "forward.h"

namespace quantd::QUANTD_ISA {

// forward-rows.cpp
void Norm(const float* from, size_t from_stride, size_t rows, size_t width, const float* weight,
          float epsilon, float* into, size_t into_stride);
void Rotate(float* row, size_t heads, size_t width, const float* cosine, const float* sine);
void AddWeighted(const float* y, float weight, size_t count, float* sum);
void Add(const float* left, const float* right, size_t count, float* into);
void Scale(float factor, size_t count, float* values);
void Multiply(const float* weights, size_t count, float* values);
void Squares(const float* const* rows, size_t tokens, size_t columns, double* sums);

// forward-gates.cpp
void Gate(Activation activation, const float* gate, const float* up, size_t count, float* into);
void Route(float* logits, size_t experts, size_t used, const float* scales, uint32_t* chosen,
           float* weights);
void LogSumBlock(float* logits, size_t count, float softcap, float* largest, float* sum);
float ExpOne(float x);

// forward-attention.cpp
size_t AttentionScratch(size_t positions, size_t width);
void Attention(const AttentionHead& head, size_t first, size_t count, float* scratch);

}  // namespace quantd::QUANTD_ISA

#endif
