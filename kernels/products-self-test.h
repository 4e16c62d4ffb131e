// Products self-test: every kind of product against a stored hash, before its bits are believed.
// vdpbf16ps and tdpbf16ps above all: what a CPU does inside them is nowhere promised in full.
#ifndef QUANTD_PRODUCTS_SELF_TEST_H_
#define QUANTD_PRODUCTS_SELF_TEST_H_

#include "forward.h"
#include "sha256.h"

namespace quantd {

// A row of finite numbers: bell-shaped, subnormal, around 1e30, around 2^-55, or with many zeros.
constexpr uint32_t kProductSampleKinds = 5;
void FillProductSample(uint32_t kind, uint64_t seed, size_t count, float* values);

// The nearest weights of a type to `values`.
void StoreWeights(WeightType type, const float* values, size_t count, uint8_t* into);
size_t WeightBytes(WeightType type);
const char* WeightName(WeightType type);

// SHA-256 of what the table makes of the samples: hexadecimal with a final zero.
void HashProducts(const ForwardKernels& kernels, WeightType type,
                  char hash[2 * kSha256Bytes + 1]);

// Null when all products of the table give what is stored; otherwise the name of the type of
// weights whose products are the first that do not. Takes a few milliseconds.
const char* RunProductsSelfTest(const ForwardKernels& kernels);

}  // namespace quantd

#endif
