// Dispatch: which kernels this CPU runs, and which of them are used.
#ifndef QUANTD_DISPATCH_H_
#define QUANTD_DISPATCH_H_

#include "checksum.h"
#include "kernels.h"
#include "sha256.h"

namespace quantd {

// The fastest table that was built and that this CPU runs, or the one called `forced`; null when
// that one was not built or does not run here.
const Kernels* PickKernels(const char* forced);

// Every table that was built and that this CPU runs, fastest first, ended by null.
const Kernels* const* RunnableKernels();

// Every table that was built and that this CPU does not run, fastest first, ended by null.
const Kernels* const* LackingKernels();

// Whether this CPU runs code that was compiled for `set`, built or not.
bool CpuRuns(const char* set);

// Every SHA-256 code that this CPU runs, fastest first, `count` of them.
const Sha256Code* RunnableSha256(size_t* count);

// The same of checksums.
const ChecksumCode* RunnableChecksums(size_t* count);

// The name of the SHA-256 code that was built and that this CPU does not run, or null.
const char* LackingSha256();

// From here on the CPU lacks `sets`, names with commas between them (`avx512,sha-ni`), or nothing
// if that is null. For the programs that check and measure, before they ask anything else.
void FeignCpuWithout(const char* sets);

}  // namespace quantd

#endif
