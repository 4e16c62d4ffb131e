#include "forward-dispatch.h"

#include <string.h>

#include <algorithm>
#include <memory>
#include <new>
#include <vector>

#include "dispatch.h"
#include "float-state.h"
#include "products-self-test.h"
#include "stopwatch.h"

namespace quantd {
namespace {

const ForwardKernels* const kFastestFirst[] = {
#if defined(QUANTD_HAVE_AMX)
    &amx::kForward,
#endif
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

struct Aligned {
  void operator()(uint8_t* bytes) const { operator delete[](bytes, std::align_val_t{64}); }
};

// Seconds that the products of each of two tables take for the same small matrix of mode B: the
// least of turns in which they alternate. A few milliseconds, whatever else the machine does.
struct Race {
  double first = 1e9;
  double second = 1e9;
};

Race RaceProducts(const ForwardKernels& first, const ForwardKernels& second) {
  constexpr size_t kColumns = 512;
  constexpr size_t kRows = 96;
  constexpr size_t kTokens = 64;
  constexpr int kTurns = 7;
  const FloatState controlled;
  std::vector<float> x(kTokens * kColumns, 1.0f);
  std::vector<float> w(kRows * kColumns, 1.0f);
  std::vector<uint8_t> weights(w.size() * 2);
  StoreWeights(WeightType::kBF16, w.data(), w.size(), weights.data());
  std::vector<const float*> rows;
  for (size_t t = 0; t < kTokens; ++t) rows.push_back(x.data() + t * kColumns);
  std::vector<float> into(kTokens * kRows);
  const auto measure = [&](const ForwardKernels& kernels) {
    const Products& products = kernels.ProductsOf(WeightType::kBF16);
    const size_t bytes = products.packed_bytes(kTokens, kColumns);
    const std::unique_ptr<uint8_t[], Aligned> packed(new (std::align_val_t{64}) uint8_t[bytes]);
    products.pack(rows.data(), kTokens, kColumns, packed.get());
    const CpuStopwatch watch;
    products.multiply(packed.get(), kTokens, kColumns, weights.data(), kColumns * 2, kRows,
                      into.data(), kRows);
    return watch.Seconds();
  };
  Race race;
  for (int turn = 0; turn < kTurns; ++turn) {
    race.first = std::min(race.first, measure(first));
    race.second = std::min(race.second, measure(second));
  }
  return race;
}

// `better` if it is right and faster than `plain`. Some cores take one vdpbf16ps in the time of
// four fused steps, and may share the unit for tiles, so that having the instruction says nothing.
const ForwardKernels* ChooseProducts(const ForwardKernels* plain, const ForwardKernels* better) {
  if (plain == nullptr || better == nullptr) return plain;
  if (RunProductsSelfTest(*better) != nullptr) return plain;
  const Race race = RaceProducts(*plain, *better);
  return race.second < race.first ? better : plain;
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
    static const ForwardKernels* const chosen =
        ChooseProducts(ChooseProducts(FindForward("avx512"), FindForward("avx512bf16")),
                       FindForward("amx"));
    return chosen;
  }
  return FindForward(isa);
}

}  // namespace quantd
