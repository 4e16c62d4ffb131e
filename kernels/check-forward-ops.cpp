// Check of the forward operations: every instruction set against the scalar kernels and against
// the stored hashes. The products have check-forward.cpp.
//
//   check-forward-ops               aborts at the first difference; prints what held
//   check-forward-ops --self-test   the stored hashes alone
//   check-forward-ops --hashes      prints forward-hashes.inc, made by the scalar kernels
//
// QUANTD_CPU_WITHOUT=avx512 makes it as if the CPU had not this.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <initializer_list>
#include <vector>

#include "dispatch.h"
#include "fixed-point.h"
#include "float-state.h"
#include "forward-dispatch.h"
#include "forward-samples.h"
#include "forward-self-test.h"

namespace quantd {
namespace {

using Floats = std::vector<float>;

[[noreturn]] void Fail(const char* what, const char* which) {
  fprintf(stderr, "check-forward-ops: %s: %s\n", what, which);
  abort();
}

// Bit for bit; NaN equals NaN, since nothing depends on which one it is.
bool AreSame(const float* a, const float* b, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    if (a[i] != a[i] && b[i] != b[i]) continue;
    if (BitsOf(a[i]) != BitsOf(b[i])) return false;
  }
  return true;
}

struct Shape {
  size_t positions;
  size_t width;
  size_t window;
  bool in_order;
};

// One head of attention; each buffer exactly as large as promised, so that a sanitizer sees a step
// beyond.
Floats Attend(const ForwardKernels& kernels, const Shape& shape, uint64_t seed,
              const Spread& spread) {
  constexpr size_t kQueries = 64;
  ForwardSamples samples(seed);
  const size_t count = shape.positions * shape.width;
  const Floats queries = samples.Numbers(count, spread);
  const Floats keys = samples.Numbers(count, spread);
  const Floats values = samples.Numbers(count, kUsual);
  Floats into(count, 0.0f);
  Floats scratch(kernels.attention_scratch(shape.positions, shape.width),
                 __builtin_nanf(""));
  const AttentionHead head = {queries.data(), shape.width,     keys.data(), values.data(),
                              shape.width,    into.data(),     shape.width, shape.positions,
                              shape.width,    shape.window,    0.5f};
  if (shape.in_order) {
    kernels.attention(head, 0, shape.positions, scratch.data());
    return into;
  }
  // The last first: no part depends on another.
  for (size_t first = (shape.positions - 1) / kQueries * kQueries + kQueries; first > 0;) {
    first -= kQueries;
    const size_t left = shape.positions - first;
    kernels.attention(head, first, left < kQueries ? left : kQueries, scratch.data());
  }
  return into;
}

void CheckAttention(const ForwardKernels& kernels) {
  constexpr Spread kModest = {119, 8};
  for (size_t positions = 1; positions <= 140; positions += positions < 70 ? 1 : 23) {
    const size_t windows[] = {0, 1, 2, positions / 2 + 1, positions, positions + 5};
    for (const size_t window : windows) {
      const size_t width = 1 + (positions * 7 + window * 3) % 50;
      const Shape shape = {positions, width, window, true};
      const Floats expected = Attend(scalar::kForward, shape, positions, kModest);
      if (!AreSame(Attend(kernels, shape, positions, kModest).data(), expected.data(),
                   expected.size()) ||
          !AreSame(Attend(kernels, {positions, width, window, false}, positions, kModest).data(),
                   expected.data(), expected.size())) {
        Fail("attention differs", kernels.isa);
      }
    }
  }
}

// What a row operation makes must not depend on where it is cut, nor on the set.
void CheckRows(const ForwardKernels& kernels) {
  for (const Spread& spread : {kUsual, Spread{0, 3}, Spread{100, 100}, kFinite}) {
    for (size_t count = 1; count <= 70; ++count) {
      ForwardSamples samples(count);
      const Floats x = samples.Numbers(count, spread);
      const Floats y = samples.Numbers(count, spread);
      const auto compare = [&](const char* name, auto make) {
        Floats one = x;
        Floats other = x;
        make(scalar::kForward, one);
        make(kernels, other);
        if (!AreSame(one.data(), other.data(), count)) Fail(name, kernels.isa);
      };
      compare("gelu", [&](const ForwardKernels& k, Floats& f) {
        k.gate(Activation::kGelu, f.data(), y.data(), count, f.data());
      });
      compare("silu", [&](const ForwardKernels& k, Floats& f) {
        k.gate(Activation::kSilu, f.data(), y.data(), count, f.data());
      });
      compare("norm", [&](const ForwardKernels& k, Floats& f) {
        k.norm(f.data(), count, 1, count, y.data(), 1e-6f, f.data(), count);
      });
      compare("rotate", [&](const ForwardKernels& k, Floats& f) {
        k.rotate(f.data(), 1, count / 2 * 2, y.data(), y.data() + count / 2);
      });
      compare("add_weighted", [&](const ForwardKernels& k, Floats& f) {
        k.add_weighted(y.data(), y[0], count, f.data());
      });
      compare("log_sum_block", [&](const ForwardKernels& k, Floats& f) {
        float result[2];
        k.log_sum_block(f.data(), count, 30.0f, &result[0], &result[1]);
        f[0] = result[0] + result[1];
      });
    }
  }
}

// Whatever the logits, the chosen are different experts in ascending order.
void CheckRoute(const ForwardKernels& kernels) {
  for (size_t experts = 1; experts <= 40; ++experts) {
    for (const bool bad : {false, true}) {
      ForwardSamples samples(experts);
      Floats logits = samples.Ties(experts);
      if (bad) logits[experts / 2] = __builtin_nanf("");
      for (size_t used = 1; used <= experts; ++used) {
        Floats probabilities = logits;
        std::vector<uint32_t> chosen(used);
        Floats weights(used);
        kernels.route(probabilities.data(), experts, used, nullptr, chosen.data(), weights.data());
        for (size_t i = 0; i < used; ++i) {
          const bool ascends = i == 0 || chosen[i] > chosen[i - 1];
          if (chosen[i] >= experts || !ascends) Fail("route chooses wrongly", kernels.isa);
        }
      }
    }
  }
}

// Halves of the last bit go to the even neighbour; what is no sum of squares adds nothing.
void CheckFixedPoint() {
  struct Case {
    double sum;
    uint64_t low;
    uint64_t high;
  };
  const Case cases[] = {
      {0x1p-64, 1, 0},          {0x1p-65, 0, 0},
      {0x1.8p-64, 2, 0},        {0x1.4p-63, 2, 0},
      {0x1.Cp-63, 4, 0},        {0x1.0000000000001p-65, 1, 0},
      {0x1.fffffffffffffp-66, 0, 0}, {0x1p-1074, 0, 0},
      {1.0, 0, 1},              {0x1.8p0, uint64_t{1} << 63, 1},
      {0x1.fffffffffffffp61, 0, 0x3FFFFFFFFFFFFE00u},
      {-0.0, 0, 0},
  };
  for (const Case& row : cases) {
    // Not aligned, and with a carry.
    uint8_t bytes[kFixedPointBytes + 1];
    memset(bytes, 0xFF, sizeof bytes);
    if (!AddFixedPoint(&row.sum, 1, bytes + 1)) Fail("fixed point refuses", "a good sum");
    uint64_t halves[2];
    memcpy(halves, bytes + 1, sizeof halves);
    const uint64_t high = row.low == 0 ? row.high - 1 : row.high;
    if (halves[0] != row.low - 1 || halves[1] != high) Fail("fixed point", "is wrong");
  }
  for (const double bad : {0x1p62, -1.0, __builtin_inf(), -__builtin_inf(), __builtin_nan("")}) {
    const double sums[] = {1.0, bad};
    uint8_t bytes[2 * kFixedPointBytes] = {};
    if (AddFixedPoint(sums, 2, bytes)) Fail("fixed point takes", "a bad sum");
    for (const uint8_t byte : bytes) {
      if (byte != 0) Fail("fixed point adds", "before all is good");
    }
  }
}

void CheckStored(const ForwardKernels& kernels) {
  const char* const wrong = RunForwardSelfTest(kernels);
  if (wrong != nullptr) Fail(kernels.isa, wrong);
  printf("%s: stored hashes of the forward pass hold\n", kernels.isa);
}

void PrintHashes() {
  for (uint32_t i = 0; ForwardOperation(i) != nullptr; ++i) {
    char hash[2 * kSha256Bytes + 1];
    HashForward(scalar::kForward, i, hash);
    printf("    {\"%s\",\n     \"%s\"},\n", ForwardOperation(i), hash);
  }
}

void CheckAll(bool stored_alone) {
  const FloatState controlled;
  if (!stored_alone) CheckFixedPoint();
  for (const ForwardKernels* const* row = RunnableForward(); *row != nullptr; ++row) {
    CheckStored(**row);
    if (stored_alone) continue;
    CheckRows(**row);
    CheckRoute(**row);
    CheckAttention(**row);
    printf("%s: forward operations hold\n", (*row)->isa);
  }
  for (const char* const* name = LackingForward(); *name != nullptr; ++name) {
    printf("%s: left out: CPU\n", *name);
  }
}

}  // namespace
}  // namespace quantd

int main(int argc, char** argv) {
  quantd::FeignCpuWithout(getenv("QUANTD_CPU_WITHOUT"));
  if (argc > 1 && strcmp(argv[1], "--hashes") == 0) {
    quantd::PrintHashes();
  } else {
    quantd::CheckAll(argc > 1 && strcmp(argv[1], "--self-test") == 0);
  }
  return 0;
}
