// Codebooks: which points IQ1, IQ2 and IQ3 may store, and what stands near every other point.
//
//   codebook-grids.h ──▶ ReadyCodebook ──▶ Codebook   (read next: codebook-search.h)
//
// A code is a point as a number: the level of element i at bits 2i (eight elements, levels 0..2) or
// 3i (four elements, levels 0..7). docs/codebooks.md tells how the lists come about.
#ifndef QUANTD_CODEBOOKS_H_
#define QUANTD_CODEBOOKS_H_

#include <stdint.h>

namespace quantd {

// Lists of neighbours are filled up to a multiple of this by repeating their last code: that many
// candidates are measured side by side.
inline constexpr uint32_t kNeighbourBatch = 16;

// By code: the number of batches in the low 8 bits, above them where the first one is. A point
// with no batches is in the codebook itself.
inline constexpr uint32_t kBatchCountBits = 8;

struct Codebook {
  const uint32_t* points;
  const uint16_t* indices;     // By code: what a block stores of a point of the codebook.
  const uint16_t* neighbours;  // Codes, nearest first.
};

// Built when first asked for, once for all threads; stays for the life of the process. About a
// megabyte for the largest.
const Codebook& Iq1Codebook();
const Codebook& Iq2XxsCodebook();
const Codebook& Iq2XsCodebook();
const Codebook& Iq2SCodebook();
const Codebook& Iq3XxsCodebook();
const Codebook& Iq3SCodebook();

}  // namespace quantd

#endif
