// Dispatch: which kernels this CPU runs, and which of them are used.
#ifndef QUANTD_DISPATCH_H_
#define QUANTD_DISPATCH_H_

#include "kernels.h"
#include "sha256.h"

namespace quantd {

// The fastest table that was built and that this CPU runs, or the one called `forced`; null when
// that one was not built or does not run here.
const Kernels* PickKernels(const char* forced);

// Every table that was built and that this CPU runs, fastest first, ended by null.
const Kernels* const* RunnableKernels();

// Every SHA-256 code that this CPU runs, fastest first, `count` of them.
const Sha256Code* RunnableSha256(size_t* count);

}  // namespace quantd

#endif
