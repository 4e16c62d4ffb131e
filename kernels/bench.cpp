// How far from memory speed, and how far ahead of llama.cpp? Each kernel of each instruction set
// on one thread, beside a plain copy (the ceiling) and, where it is at hand, ggml_quantize_chunk.
//
//   bench                     full size, for numbers to quote (with CPU, compiler and commit)
//   bench --oracle FILE       also llama.cpp's libggml-base.so, in turns with ours: the ratio
//   bench --types Q4_K,Q6_K   only these
//   bench --smoke             small size, run by the tests so that the bench never rots
//
// A row whose instruction set this CPU lacks says so; QUANTD_CPU_WITHOUT=avx512,sha-ni makes it as
// if the CPU had not these.
//
// Processor time of the thread, the best of several turns: what else the machine does not, or
// hardly, counts. Rows are as a model has them: bell-shaped, rounded to bfloat16, 2816 long.
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <algorithm>
#include <string>
#include <vector>

#include "codebooks.h"
#include "dispatch.h"
#include "float-state.h"
#include "samples.h"

namespace quantd {
namespace {

// The columns of a common model; a multiple of 256.
constexpr size_t kColumns = 2816;
// As many rows as leave values and blocks in the second-level cache, where a job has them too.
constexpr size_t kRows = 64;
constexpr int kTurns = 7;
// A turn repeats the call until it has lasted this long, so that the clock's steps do not show.
constexpr double kTurnSeconds = 2e-3;

double ThreadSeconds() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

// llama.cpp's row quantizers.
struct Oracle {
  size_t (*quantize)(int type, const float* source, void* into, int64_t start, int64_t rows,
                     int64_t columns, const float* importance) = nullptr;
  void (*initialize)(int type) = nullptr;
};

struct Options {
  bool smoke = false;
  std::string types;  // ",Q4_K,Q6_K," or empty for all.
  Oracle oracle;
};

// One contender: its seconds per call, the least of all turns.
struct Runner {
  const char* name;
  QuantizeRows make;  // Null: the oracle.
  double best = 1e9;
};

struct Data {
  size_t rows;
  std::vector<float> values;
  std::vector<float> importance;
  std::vector<uint8_t> into;
};

template <typename Run>
double SecondsPerCall(bool once, Run run) {
  for (int calls = 1;; calls *= 2) {
    const double start = ThreadSeconds();
    for (int i = 0; i < calls; ++i) run();
    const double seconds = ThreadSeconds() - start;
    if (once || seconds >= kTurnSeconds) return seconds / calls;
  }
}

void RunOnce(const Options& options, const Runner& runner, const Format& format, bool weighted,
             Data& data) {
  const float* importance = weighted ? data.importance.data() : nullptr;
  if (runner.make != nullptr) {
    runner.make(data.values.data(), data.rows, kColumns, importance, data.into.data());
  } else {
    options.oracle.quantize(static_cast<int>(format.id), data.values.data(), data.into.data(), 0,
                            static_cast<int64_t>(data.rows), kColumns, importance);
  }
}

// Bytes that cross the caches: floats in, blocks out.
double TrafficOf(const Format& format) {
  return 4.0 + static_cast<double>(format.block_bytes) / format.block_elements;
}

void BenchFormat(const Options& options, uint32_t index, bool weighted, Data& data) {
  const Format& format = kFormats[index];
  std::vector<Runner> runners;
  for (const Kernels* const* row = RunnableKernels(); *row != nullptr; ++row) {
    const Quantizer& quantizer = (*row)->make[index];
    const QuantizeRows make = weighted ? quantizer.weighted : quantizer.plain;
    if (make != nullptr) runners.push_back({(*row)->isa, make});
  }
  if (runners.empty()) return;
  const char* const variant = weighted ? "importance" : "plain";
  for (const Kernels* const* row = LackingKernels(); *row != nullptr; ++row) {
    printf("%-8s %-10s %-10s left out: CPU\n", format.name, variant, (*row)->isa);
  }
  const bool compare = options.oracle.quantize != nullptr;
  if (compare) runners.push_back({"llama.cpp", nullptr});
  for (int turn = 0; turn < (options.smoke ? 1 : kTurns); ++turn) {
    for (Runner& runner : runners) {
      const double seconds = SecondsPerCall(
          options.smoke, [&] { RunOnce(options, runner, format, weighted, data); });
      runner.best = std::min(runner.best, seconds);
    }
  }
  const double weights = static_cast<double>(data.values.size());
  const double theirs = runners.back().best;
  for (const Runner& runner : runners) {
    printf("%-8s %-10s %-10s %9.1f %9.2f", format.name, variant, runner.name,
           weights / runner.best / 1e6, weights * TrafficOf(format) / runner.best / 1e9);
    if (compare) printf(" %8.2f", theirs / runner.best);
    printf("\n");
  }
  fflush(stdout);
}

bool Wanted(const Options& options, const Format& format) {
  return options.types.empty() ||
         options.types.find("," + std::string(format.name) + ",") != std::string::npos;
}

// How long the tables take that codebook formats need once in a process. They are built at the
// first question, so there is but one measurement.
void BenchCodebooks(const Options& options) {
  struct Row {
    FormatIndex format;
    const Codebook& (*ready)();
  };
  const Row rows[] = {{kIQ1_S, Iq1Codebook},     {kIQ2_XXS, Iq2XxsCodebook},
                      {kIQ2_XS, Iq2XsCodebook},  {kIQ2_S, Iq2SCodebook},
                      {kIQ3_XXS, Iq3XxsCodebook}, {kIQ3_S, Iq3SCodebook}};
  printf("\ntables of codebooks, milliseconds once in a process\n");
  for (const Row& row : rows) {
    const Format& format = kFormats[row.format];
    if (!Wanted(options, format)) continue;
    double start = ThreadSeconds();
    row.ready();
    const double ours = ThreadSeconds() - start;
    printf("%-8s %9.1f", format.name, ours * 1e3);
    if (options.oracle.initialize != nullptr) {
      start = ThreadSeconds();
      options.oracle.initialize(static_cast<int>(format.id));
      const double theirs = ThreadSeconds() - start;
      printf("  llama.cpp %9.1f %8.2f", theirs * 1e3, theirs / ours);
    }
    printf("\n");
    fflush(stdout);
  }
}

void BenchSha256(const Options& options, const Data& data) {
  printf("\nSHA-256, GB/s\n");
  if (LackingSha256() != nullptr) printf("%-8s left out: CPU\n", LackingSha256());
  size_t count = 0;
  const Sha256Code* codes = RunnableSha256(&count);
  for (size_t i = 0; i < count; ++i) {
    const double seconds = SecondsPerCall(options.smoke, [&] {
      Sha256 state;
      Sha256Start(state);
      Sha256Update(codes[i], state, data.into.data(), data.into.size());
    });
    printf("%-8s %9.2f", codes[i].name, static_cast<double>(data.into.size()) / seconds / 1e9);
    const double both = SecondsPerCall(options.smoke, [&] {
      Sha256 first;
      Sha256 second;
      Sha256Start(first);
      Sha256Start(second);
      const uint8_t* bytes = data.into.data();
      Sha256UpdateTwo(codes[i], first, bytes, second, bytes, data.into.size());
    });
    printf("%9.2f for two messages\n", 2.0 * static_cast<double>(data.into.size()) / both / 1e9);
  }
}

void Bench(const Options& options) {
  const FloatState controlled;
  Data data = {options.smoke ? 1 : kRows, {}, {}, {}};
  data.values.resize(data.rows * kColumns);
  data.importance.resize(kColumns);
  data.into.resize(data.values.size() * 4);
  FillSample(1, 1, data.values.size(), data.values.data());
  FillImportance(0, 1, kColumns, data.importance.data());
  BenchCodebooks(options);
  const double weights = static_cast<double>(data.values.size());
  const double copy = SecondsPerCall(options.smoke, [&] {
    memcpy(data.into.data(), data.values.data(), data.values.size() * 4);
  });
  const char* ratio = options.oracle.quantize != nullptr ? "    ratio" : "";
  printf("\n%-8s %-10s %-10s %9s %9s%s\n", "type", "", "", "Mweight/s", "GB/s", ratio);
  printf("%-8s %-10s %-10s %9.1f %9.2f\n", "copy", "", "", weights / copy / 1e6,
         weights * 8.0 / copy / 1e9);
  for (uint32_t format = 0; format < kFormatCount; ++format) {
    if (!Wanted(options, kFormats[format])) continue;
    for (const bool weighted : {false, true}) BenchFormat(options, format, weighted, data);
  }
  BenchSha256(options, data);
}

// Loads the two functions out of libggml-base.so.
bool LoadOracle(const char* file, Oracle& oracle) {
  void* library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return false;
  void* quantize = dlsym(library, "ggml_quantize_chunk");
  void* initialize = dlsym(library, "ggml_quantize_init");
  memcpy(&oracle.quantize, &quantize, sizeof quantize);
  memcpy(&oracle.initialize, &initialize, sizeof initialize);
  return quantize != nullptr && initialize != nullptr;
}

bool ReadOptions(int argc, char** argv, Options& options) {
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    const char* value = i + 1 < argc ? argv[i + 1] : nullptr;
    if (name == "--smoke") {
      options.smoke = true;
    } else if (name == "--types" && value != nullptr) {
      options.types = "," + std::string(value) + ",";
      ++i;
    } else if (name == "--oracle" && value != nullptr) {
      if (!LoadOracle(value, options.oracle)) {
        fprintf(stderr, "bench: no quantizers in %s\n", value);
        return false;
      }
      ++i;
    } else {
      fprintf(stderr, "bench [--smoke] [--types A,B] [--oracle FILE]\n");
      return false;
    }
  }
  return true;
}

}  // namespace
}  // namespace quantd

int main(int argc, char** argv) {
  quantd::FeignCpuWithout(getenv("QUANTD_CPU_WITHOUT"));
  quantd::Options options;
  if (!quantd::ReadOptions(argc, argv, options)) return 2;
  quantd::Bench(options);
  return 0;
}
