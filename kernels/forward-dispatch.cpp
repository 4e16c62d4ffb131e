#include "forward-dispatch.h"

#include <string.h>

#include "dispatch.h"

namespace quantd {
namespace {

const ForwardKernels* const kFastestFirst[] = {
#if defined(QUANTD_HAVE_AVX512BF16)
    &avx512bf16::kForward,
#endif
#if defined(QUANTD_HAVE_AVX512)
    &avx512::kForward,
#endif
#if defined(QUANTD_HAVE_AVX2)
    &avx2::kForward,
#endif
#if defined(QUANTD_HAVE_NEON)
    &neon::kForward,
#endif
    &scalar::kForward,
};

constexpr size_t kRows = sizeof kFastestFirst / sizeof kFastestFirst[0];

struct Sets {
  const ForwardKernels* runnable[kRows + 1] = {};
  const char* lacking[kRows + 1] = {};
  Sets() {
    const ForwardKernels** run = runnable;
    const char** lack = lacking;
    for (const ForwardKernels* row : kFastestFirst) {
      if (CpuRuns(row->isa)) {
        *run++ = row;
      } else {
        *lack++ = row->isa;
      }
    }
  }
};

const Sets& ForwardSets() {
  static const Sets sets;
  return sets;
}

}  // namespace

const ForwardKernels* const* RunnableForward() { return ForwardSets().runnable; }

const char* const* LackingForward() { return ForwardSets().lacking; }

const ForwardKernels* FindForward(const char* name) {
  for (const ForwardKernels* const* row = RunnableForward(); *row != nullptr; ++row) {
    if (strcmp(name, (*row)->isa) == 0) return *row;
  }
  return nullptr;
}

const ForwardKernels* PickForward(const char* isa) {
  if (strcmp(isa, "avx512") == 0) {
    const ForwardKernels* const better = FindForward("avx512bf16");
    if (better != nullptr) return better;
  }
  return FindForward(isa);
}

}  // namespace quantd
