// Self-test: every kernel against a stored hash, so that a broken CPU, emulator or build is found
// before it makes a block. Two tables of one process are never merely compared with each other:
// under a wrong floating-point state both would be wrong alike.
#ifndef QUANTD_SELF_TEST_H_
#define QUANTD_SELF_TEST_H_

#include "dispatch.h"

namespace quantd {

// SHA-256 of what a kernel, which there must be, makes of every kind of sample: hexadecimal with a
// final zero.
void HashKernel(const Kernels& kernels, uint32_t format, bool weighted,
                char hash[2 * kSha256Bytes + 1]);

// SHA-256 of the floats that random blocks of a format stand for.
void HashDequantizer(DequantizeBlocks dequantize, uint32_t format,
                     char hash[2 * kSha256Bytes + 1]);

// Null when every kernel of the table, those of the forward pass that go with it, and every SHA-256
// code give what is stored; otherwise
// the name of the first that does not.
const char* RunSelfTest(const Kernels& kernels);

}  // namespace quantd

#endif
