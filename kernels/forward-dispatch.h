// Forward dispatch: which tables of the forward pass this CPU runs, and which of them is used.
#ifndef QUANTD_FORWARD_DISPATCH_H_
#define QUANTD_FORWARD_DISPATCH_H_

#include "forward.h"

namespace quantd {

// The table that goes with the kernels called `isa`: for avx512, amx or avx512bf16 where the CPU has
// it, its products pass their self-test and are the fastest ones, which the first call finds out in
// some milliseconds. Null when it was not built or does not run here.
const ForwardKernels* PickForward(const char* isa);

// The table of exactly this name; null as above. `avx512` is the one that does without bfloat16
// instructions.
const ForwardKernels* FindForward(const char* name);

// Every table that was built and that this CPU runs, fastest first, ended by null.
const ForwardKernels* const* RunnableForward();

// The names of those that were built and that this CPU does not run, ended by null.
const char* const* LackingForward();

}  // namespace quantd

#endif
