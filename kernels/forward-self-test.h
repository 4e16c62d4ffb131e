// Forward self-test: every operation of the forward pass against a stored hash, as self-test.h does
// for the kernels that make blocks. The hashes are those of cluster-tests/det1/, which carries out
// the same operations on the same samples in another language.
#ifndef QUANTD_FORWARD_SELF_TEST_H_
#define QUANTD_FORWARD_SELF_TEST_H_

#include "forward.h"
#include "sha256.h"

namespace quantd {

// The name of an operation; null behind the last.
const char* ForwardOperation(uint32_t operation);

// SHA-256 of what an operation makes of its samples: hexadecimal with a final zero.
void HashForward(const ForwardKernels& kernels, uint32_t operation,
                 char hash[2 * kSha256Bytes + 1]);

// Null when every operation of the table gives what is stored; otherwise the name of the first
// that does not.
const char* RunForwardSelfTest(const ForwardKernels& kernels);

}  // namespace quantd

#endif
