// How fast are the products of the forward pass? Each instruction set on one and two threads,
// beside what its multipliers can do at most.
//
//   bench-forward                  full size, for numbers to quote (with CPU, compiler and commit)
//   bench-forward --sets A,B       only these sets
//   bench-forward --threads 1,2    other numbers of threads
//   bench-forward --json           one object a line instead of the table
//   bench-forward --smoke          small size, run by the tests so that the bench never rots
//   bench-forward --asked C,R,E,U,A,T   for each line "SET THREADS" on stdin, one product: its
//                                  seconds and its CPU seconds. bf16 weights of C columns and R
//                                  rows, E experts, U of them a token, A rows a token, T tokens
//
// Two floating-point operations for each product that a model needs: padding is not counted.
// Tokens of experts are drawn at random, and gathered, packed and multiplied. Seconds are processor
// time of the slowest thread, the least of several turns in which all sets alternate: what else the
// machine does not, or hardly, counts.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <algorithm>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include "dispatch.h"
#include "float-state.h"
#include "forward-dispatch.h"
#include "numbers.h"
#include "products-self-test.h"
#include "stopwatch.h"

namespace quantd {
namespace {

constexpr int kTurns = 5;
constexpr size_t kAskedFields = 6;
// More than any machine of ours has memory for, and no product of them overflows.
constexpr size_t kAskedMost = 1 << 20;

struct Options {
  bool smoke = false;
  bool json = false;
  std::string sets;  // ",avx2,avx512," or empty for all.
  std::vector<size_t> threads = {1, 2};
  std::vector<size_t> asked;  // kAskedFields of them, or none.
};

struct AlignedDelete {
  void operator()(uint8_t* bytes) const { operator delete[](bytes, std::align_val_t{64}); }
};
using Panels = std::unique_ptr<uint8_t[], AlignedDelete>;

Panels NewPanels(size_t bytes) {
  return Panels(new (std::align_val_t{64}) uint8_t[bytes]);
}

// What a model asks for: `experts` matrices, of which each token meets `used`; 1 of 1 is dense.
struct Case {
  const char* name;
  WeightType type;
  size_t columns;
  size_t rows;
  size_t experts;
  size_t used;
  size_t tokens;
  size_t rows_a_token = 1;  // The inputs of a token: one for all of its experts, or one for each.
};

struct Data {
  Case what;
  std::vector<float> x;
  std::vector<uint8_t> weights;
  std::vector<std::vector<const float*>> chosen;  // By expert: its tokens' rows.
  std::vector<size_t> places;                     // By expert: where its outputs begin.
  std::vector<float> into;
};

Data MakeData(const Case& what) {
  Data data = {what, {}, {}, {}, {}, {}};
  const size_t columns = what.columns;
  data.x.resize(what.tokens * what.rows_a_token * columns);
  FillProductSample(0, 1, data.x.size(), data.x.data());
  // One matrix of numbers serves all experts; each has its own copy of them in memory.
  std::vector<float> w(what.rows * columns);
  FillProductSample(0, 2, w.size(), w.data());
  const size_t bytes = w.size() * WeightBytes(what.type);
  data.weights.resize(bytes * what.experts);
  StoreWeights(what.type, w.data(), w.size(), data.weights.data());
  for (size_t e = 1; e < what.experts; ++e) memcpy(&data.weights[e * bytes], &data.weights[0], bytes);
  data.chosen.resize(what.experts);
  uint64_t state = 1;
  for (size_t t = 0; t < what.tokens; ++t) {
    std::vector<bool> met(what.experts);
    for (size_t i = 0; i < what.used;) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      const size_t expert = (state >> 33) % what.experts;
      if (met[expert]) continue;
      met[expert] = true;
      const size_t row = t * what.rows_a_token + i % what.rows_a_token;
      data.chosen[expert].push_back(&data.x[row * columns]);
      ++i;
    }
  }
  size_t place = 0;
  for (const auto& rows : data.chosen) {
    data.places.push_back(place);
    place += rows.size() * what.rows;
  }
  data.into.resize(place);
  return data;
}

// The share of thread `thread` of `threads` in one expert: a run of rows, packed for itself.
void MultiplyExpert(const Products& products, Data& data, size_t expert, size_t first, size_t last,
                    uint8_t* packed) {
  const Case& what = data.what;
  const std::vector<const float*>& tokens = data.chosen[expert];
  if (tokens.empty() || first == last) return;
  products.pack(tokens.data(), tokens.size(), what.columns, packed);
  const size_t row_bytes = what.columns * WeightBytes(what.type);
  const uint8_t* const weights = &data.weights[expert * what.rows * row_bytes];
  for (size_t n = first; n < last; n += products.rows_at_a_time) {
    const size_t count = std::min(products.rows_at_a_time, last - n);
    products.multiply(packed, tokens.size(), what.columns, weights + n * row_bytes, row_bytes, count,
                      &data.into[data.places[expert] + n], what.rows);
  }
}

size_t PackedMax(const Products& products, const Data& data) {
  size_t bytes = 64;
  for (const auto& tokens : data.chosen) {
    if (!tokens.empty()) {
      bytes = std::max(bytes, products.packed_bytes(tokens.size(), data.what.columns));
    }
  }
  return bytes;
}

// Processor time of each thread. Threads take every so-manieth expert, or of a single matrix their
// share of the rows.
std::vector<double> RunOnce(const Products& products, Data& data, size_t threads,
                            std::vector<Panels>& packed) {
  const Case& what = data.what;
  std::vector<double> seconds(threads);
  const auto work = [&](size_t thread) {
    const FloatState controlled;
    const CpuStopwatch watch;
    if (what.experts == 1) {
      const size_t share = (what.rows + threads - 1) / threads;
      const size_t first = std::min(what.rows, thread * share);
      MultiplyExpert(products, data, 0, first, std::min(what.rows, first + share),
                     packed[thread].get());
    }
    for (size_t e = thread; what.experts > 1 && e < what.experts; e += threads) {
      MultiplyExpert(products, data, e, 0, what.rows, packed[thread].get());
    }
    seconds[thread] = watch.Seconds();
  };
  std::vector<std::thread> others;
  for (size_t i = 1; i < threads; ++i) others.emplace_back(work, i);
  work(0);
  for (std::thread& other : others) other.join();
  return seconds;
}

double LongestOf(const std::vector<double>& seconds) {
  return *std::max_element(seconds.begin(), seconds.end());
}

bool Wanted(const Options& options, const char* set) {
  return options.sets.empty() ||
         options.sets.find("," + std::string(set) + ",") != std::string::npos;
}

void BenchCase(const Options& options, const Case& what) {
  Data data = MakeData(what);
  struct Runner {
    const ForwardKernels* kernels;
    size_t threads;
    std::vector<Panels> packed;
    double best = 1e9;
  };
  std::vector<Runner> runners;
  for (const ForwardKernels* const* set = RunnableForward(); *set != nullptr; ++set) {
    if (!Wanted(options, (*set)->isa)) continue;
    // Plain loops take too long to be worth it, unless they are asked for.
    if (options.sets.empty() && !options.smoke && strcmp((*set)->isa, "scalar") == 0) continue;
    const Products& products = (*set)->ProductsOf(what.type);
    for (const size_t threads : options.threads) {
      runners.push_back({*set, threads, {}});
      for (size_t i = 0; i < threads; ++i) {
        runners.back().packed.push_back(NewPanels(PackedMax(products, data)));
      }
    }
  }
  for (int turn = 0; turn < (options.smoke ? 1 : kTurns); ++turn) {
    for (Runner& runner : runners) {
      const Products& products = runner.kernels->ProductsOf(what.type);
      const double seconds = LongestOf(RunOnce(products, data, runner.threads, runner.packed));
      runner.best = std::min(runner.best, seconds);
    }
  }
  const double operations = 2.0 * static_cast<double>(what.tokens * what.used) *
                            static_cast<double>(what.rows * what.columns);
  for (const Runner& runner : runners) {
    const double speed = operations / runner.best / 1e9;
    const char* const format =
        options.json ? "{\"case\":\"%s\",\"weights\":\"%s\",\"columns\":%zu,\"rows\":%zu,"
                       "\"experts\":%zu,\"used\":%zu,\"tokens\":%zu,\"set\":\"%s\","
                       "\"threads\":%zu,\"gflops\":%.1f}\n"
                     : "%-8s %-5s %5zu x %-5zu %4zu / %zu %6zu  %-11s %zu %9.1f\n";
    printf(format, what.name, WeightName(what.type), what.columns, what.rows, what.experts,
           what.used, what.tokens, runner.kernels->isa, runner.threads, speed);
  }
  fflush(stdout);
}

void Bench(const Options& options) {
  if (!options.json) {
    printf("%-8s %-5s %-13s %-8s %6s  %-11s %s %9s\n", "case", "type", "columns, rows", "experts",
           "tokens", "set", "t", "GFLOP/s");
  }
  if (options.smoke) {
    BenchCase(options, {"dense", WeightType::kBF16, 70, 50, 1, 1, 40});
    BenchCase(options, {"experts", WeightType::kF16, 70, 50, 4, 2, 40});
  } else {
    BenchCase(options, {"dense", WeightType::kF32, 2816, 2112, 1, 1, 512});
    BenchCase(options, {"dense", WeightType::kF16, 2816, 2112, 1, 1, 512});
    for (const size_t tokens : {512, 4096}) {
      BenchCase(options, {"dense", WeightType::kBF16, 2816, 2112, 1, 1, tokens});
      BenchCase(options, {"experts", WeightType::kBF16, 2816, 1408, 128, 8, tokens});
      BenchCase(options, {"experts", WeightType::kBF16, 704, 2816, 128, 8, tokens});
    }
  }
  for (const char* const* set = LackingForward(); *set != nullptr && !options.json; ++set) {
    printf("%s left out: CPU\n", *set);
  }
}

const ForwardKernels* FindSet(const char* isa) {
  for (const ForwardKernels* const* set = RunnableForward(); *set != nullptr; ++set) {
    if (strcmp((*set)->isa, isa) == 0) return *set;
  }
  return nullptr;
}

// Someone else decides when: so two programs take turns.
int AnswerTurns(const std::vector<size_t>& asked) {
  Data data = MakeData({"asked", WeightType::kBF16, asked[0], asked[1], asked[2], asked[3],
                        asked[5], asked[4]});
  char line[64];
  while (fgets(line, sizeof line, stdin) != nullptr) {
    char isa[32];
    size_t threads = 0;
    const bool is_read = sscanf(line, "%31s %zu", isa, &threads) == 2;
    const ForwardKernels* const set = is_read ? FindSet(isa) : nullptr;
    if (set == nullptr || threads == 0 || threads > 256) {
      fprintf(stderr, "not a set of this machine and a number of threads: %s", line);
      return 2;
    }
    const Products& products = set->ProductsOf(WeightType::kBF16);
    std::vector<Panels> packed;
    for (size_t i = 0; i < threads; ++i) {
      const size_t bytes = PackedMax(products, data);
      packed.push_back(NewPanels(bytes));
      memset(packed.back().get(), 0, bytes);
    }
    const Stopwatch watch;
    const std::vector<double> seconds = RunOnce(products, data, threads, packed);
    const double wall = watch.Seconds();
    double cpu = 0;
    for (const double one : seconds) cpu += one;
    printf("%.6f %.6f\n", wall, cpu);
    fflush(stdout);
  }
  return 0;
}

// Numbers with commas between them, each from 1 to `most`; none where it is not that.
std::vector<size_t> ReadNumbers(const char* text, size_t most) {
  std::vector<size_t> numbers;
  for (const char* at = text; *at != '\0'; at += *at == ',' ? 1 : 0) {
    char* end = nullptr;
    const size_t number = strtoul(at, &end, 10);
    if (end == at || number == 0 || number > most) return {};
    numbers.push_back(number);
    at = end;
  }
  return numbers;
}

bool ReadOptions(int argc, char** argv, Options& options) {
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    const char* const value = i + 1 < argc ? argv[i + 1] : nullptr;
    if (name == "--smoke") {
      options.smoke = true;
    } else if (name == "--json") {
      options.json = true;
    } else if (name == "--sets" && value != nullptr) {
      options.sets = "," + std::string(value) + ",";
      ++i;
    } else if (name == "--threads" && value != nullptr) {
      options.threads = ReadNumbers(value, 256);
      if (options.threads.empty()) return false;
      ++i;
    } else if (name == "--asked" && value != nullptr) {
      options.asked = ReadNumbers(value, kAskedMost);
      if (options.asked.size() != kAskedFields || options.asked[3] > options.asked[2]) return false;
      ++i;
    } else {
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
  if (!quantd::ReadOptions(argc, argv, options)) {
    fprintf(stderr, "bench-forward [--smoke] [--json] [--sets A,B] [--threads 1,2] [--asked …]\n");
    return 2;
  }
  if (!options.asked.empty()) return quantd::AnswerTurns(options.asked);
  quantd::Bench(options);
  return 0;
}
