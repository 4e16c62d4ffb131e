// Samples: rows that the self-test, the check program and the bench feed to the kernels.
//
// Made of integer arithmetic and exact float operations alone, so that every machine makes the
// same rows and a stored hash can judge it.
#ifndef QUANTD_SAMPLES_H_
#define QUANTD_SAMPLES_H_

#include <stddef.h>
#include <stdint.h>

namespace quantd {

inline constexpr uint32_t kSampleKinds = 22;

// Fills values (count) with finite numbers of one kind; count is a multiple of 32.
void FillSample(uint32_t kind, uint64_t seed, size_t count, float* values);

inline constexpr uint32_t kImportanceKinds = 8;

// Fills importance (count) with numbers that a sum of squares may give.
void FillImportance(uint32_t kind, uint64_t seed, size_t count, float* importance);

// Fills `count` blocks of a format with random bytes whose elements are finite numbers.
void FillBlocks(uint32_t format, uint64_t seed, size_t count, uint8_t* blocks);

}  // namespace quantd

#endif
