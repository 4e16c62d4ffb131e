// How far from memory speed? Millions of weights per second of one thread, for each kernel of
// each instruction set, beside a plain copy, the ceiling.
//
//   bench          full size, for numbers to quote (with CPU, compiler and commit)
//   bench --smoke  small size, run by the tests so that the bench never rots
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <algorithm>
#include <vector>

#include "dispatch.h"
#include "float-state.h"
#include "samples.h"

namespace quantd {
namespace {

// The processor time of this thread: other programs on the machine do not count.
double ThreadSeconds() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

// The columns of a common model; a multiple of 256.
constexpr size_t kColumns = 2816;

template <typename Run>
double BestSeconds(int repeats, Run run) {  // The minimum: noise only ever adds time.
  double best = 1e9;
  for (int i = 0; i < repeats; ++i) {
    const double start = ThreadSeconds();
    run();
    best = std::min(best, ThreadSeconds() - start);
  }
  return best;
}

void Report(const char* isa, const char* name, double per_second, const char* unit) {
  printf("%-8s %-8s %10.1f %s\n", isa, name, per_second / 1e6, unit);
}

void Bench(size_t rows, int repeats) {
  const FloatState controlled;
  const size_t count = rows * kColumns;
  std::vector<float> values(count);
  FillSample(1, 1, count, values.data());
  std::vector<uint8_t> into(count * 4);
  const double weights = static_cast<double>(count);
  Report("copy", "F32", weights / BestSeconds(repeats, [&] {
           memcpy(into.data(), values.data(), count * 4);
         }), "Mweights/s");
  for (const Kernels* const* row = RunnableKernels(); *row != nullptr; ++row) {
    for (uint32_t format = 0; format < kFormatCount; ++format) {
      const QuantizeRows make = (*row)->make[format].plain;
      if (make == nullptr) continue;
      const double seconds = BestSeconds(repeats, [&] {
        make(values.data(), rows, kColumns, nullptr, into.data());
      });
      Report((*row)->isa, kFormats[format].name, weights / seconds, "Mweights/s");
    }
  }
  size_t codes = 0;
  const Sha256Code* code = RunnableSha256(&codes);
  for (size_t i = 0; i < codes; ++i) {
    const double seconds = BestSeconds(repeats, [&] {
      Sha256 state;
      Sha256Start(state);
      Sha256Update(code[i], state, into.data(), into.size());
    });
    Report(code[i].name, "SHA-256", static_cast<double>(into.size()) / seconds, "MB/s");
  }
}

}  // namespace
}  // namespace quantd

int main(int argc, char** argv) {
  const bool smoke = argc > 1 && strcmp(argv[1], "--smoke") == 0;
  quantd::Bench(smoke ? 2 : 400, smoke ? 1 : 5);
  return 0;
}
