// Check of the forward pass: the products of every instruction set against plain loops that say
// what DET-1.md §6 says, bit by bit.
//
//   check-forward               aborts at the first difference; prints what held
//   check-forward --quick       a quarter of the shapes, for emulators and sanitizers
//   check-forward --self-test   the stored hashes alone
//   check-forward --hashes      prints products-hashes.inc, made by the scalar kernels
//
// QUANTD_CPU_WITHOUT=avx512,avx512bf16 makes it as if the CPU had not these.
//
// Rows, weights and packed panels are exactly as large as they must be, so that a sanitizer sees a
// step beyond their ends.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <memory>
#include <new>
#include <vector>

#include "dispatch.h"
#include "float-state.h"
#include "forward-dispatch.h"
#include "numbers.h"
#include "products-self-test.h"

namespace quantd {
namespace {

constexpr WeightType kTypes[] = {WeightType::kF32, WeightType::kF16, WeightType::kBF16};
// What nobody may write over.
constexpr float kUntouched = 12345.0f;

[[noreturn]] void Fail(const char* what, const char* set, WeightType type) {
  fprintf(stderr, "check-forward: %s: %s, %s\n", what, set, WeightName(type));
  abort();
}

struct Shape {
  size_t columns;
  size_t rows;
  size_t tokens;
};

// A product with all that it reads, and what it should give.
struct Sample {
  WeightType type;
  Shape shape;
  size_t row_bytes;
  std::vector<std::vector<float>> tokens;
  std::vector<uint8_t> weights;  // From the second byte on: not aligned, on purpose.
  std::vector<float> expected;   // [token][row]
};

float WeightAt(const Sample& sample, size_t row, size_t k) {
  const uint8_t* const at = sample.weights.data() + 1 + row * sample.row_bytes;
  if (sample.type == WeightType::kF16) return FloatFromHalf(LoadU16(at + 2 * k));
  if (sample.type == WeightType::kBF16) {
    return FloatOf(static_cast<uint32_t>(LoadU16(at + 2 * k)) << 16);
  }
  float weight;
  memcpy(&weight, at + 4 * k, sizeof weight);
  return weight;
}

float Flushed(float x) { return Magnitude(x) < 0x1p-55f ? 0.0f : x; }

// §6, a chain as it stands there.
float Chain(const Sample& sample, size_t token, size_t row) {
  const std::vector<float>& x = sample.tokens[token];
  const size_t columns = sample.shape.columns;
  float a = 0.0f;
  if (sample.type != WeightType::kBF16) {
    for (size_t k = 0; k < columns; ++k) a = __builtin_fmaf(WeightAt(sample, row, k), x[k], a);
    return a;
  }
  const auto chain = [&](size_t first, size_t end) {
    float sum = 0.0f;
    for (size_t k = first; k < end; k += 2) {
      const uint32_t rounded = Bfloat16FromFloat(Flushed(x[k]));
      sum = __builtin_fmaf(Flushed(WeightAt(sample, row, k)), FloatOf(rounded << 16), sum);
    }
    return sum;
  };
  for (size_t k = 0; k < columns; k += 32) {
    const size_t end = columns - k < 32 ? columns : k + 32;
    const float even = chain(k, end);
    a = a + (even + chain(k + 1, end));
  }
  return a;
}

// Kinds of rows by turns. Products of mode B stay below 2^127: beyond, one rounding and two differ.
Sample MakeSample(WeightType type, Shape shape, size_t gap) {
  const size_t bytes = shape.columns * WeightBytes(type);
  Sample sample = {type, shape, bytes + gap, {}, {}, {}};
  for (size_t t = 0; t < shape.tokens; ++t) {
    std::vector<float> row(shape.columns);
    FillProductSample(static_cast<uint32_t>((t + shape.columns) % kProductSampleKinds), t,
                      row.size(), row.data());
    sample.tokens.push_back(row);
  }
  sample.weights.resize(1 + (shape.rows - 1) * sample.row_bytes + bytes);
  std::vector<float> row(shape.columns);
  for (size_t n = 0; n < shape.rows; ++n) {
    const uint32_t kind = static_cast<uint32_t>((n + shape.tokens) % kProductSampleKinds);
    const bool too_large = kind == 2 && type != WeightType::kF32;
    FillProductSample(too_large ? 0 : kind, 99 + n, row.size(), row.data());
    StoreWeights(type, row.data(), row.size(), sample.weights.data() + 1 + n * sample.row_bytes);
  }
  for (size_t t = 0; t < shape.tokens; ++t) {
    for (size_t n = 0; n < shape.rows; ++n) sample.expected.push_back(Chain(sample, t, n));
  }
  return sample;
}

struct Aligned {
  void operator()(uint8_t* bytes) const { operator delete[](bytes, std::align_val_t{64}); }
};

// Tokens [begin, end) by rows [first, last) into their places.
void MultiplyPart(const ForwardKernels& kernels, const Sample& sample, size_t begin, size_t end,
                  size_t first, size_t last, float* into, size_t stride) {
  const Products& products = kernels.ProductsOf(sample.type);
  const size_t columns = sample.shape.columns;
  std::vector<const float*> rows;
  for (size_t t = begin; t < end; ++t) rows.push_back(sample.tokens[t].data());
  const size_t bytes = products.packed_bytes(rows.size(), columns);
  if (bytes % 64 != 0) Fail("panels of odd size", kernels.isa, sample.type);
  const std::unique_ptr<uint8_t[], Aligned> packed(new (std::align_val_t{64}) uint8_t[bytes]);
  products.pack(rows.data(), rows.size(), columns, packed.get());
  products.multiply(packed.get(), rows.size(), columns,
                    sample.weights.data() + 1 + first * sample.row_bytes, sample.row_bytes,
                    last - first, into + begin * stride + first, stride);
}

bool Same(float a, float b) { return BitsOf(a) == BitsOf(b) || (a != a && b != b); }

void CompareAll(const ForwardKernels& kernels, const Sample& sample, const std::vector<float>& made,
                size_t stride) {
  const Shape& shape = sample.shape;
  for (size_t i = 0; i < made.size(); ++i) {
    const size_t t = i / stride;
    const size_t n = i % stride;
    const bool inside = n < shape.rows && t < shape.tokens;
    const float expected = inside ? sample.expected[t * shape.rows + n] : kUntouched;
    if (Same(made[i], expected)) continue;
    fprintf(stderr, "token %zu of %zu, row %zu of %zu, %zu columns: %a, not %a\n", t, shape.tokens,
            n, shape.rows, shape.columns, static_cast<double>(made[i]),
            static_cast<double>(expected));
    Fail(inside ? "a product differs" : "writes outside its place", kernels.isa, sample.type);
  }
}

// Whole, then cut in rows and tokens.
void CheckSample(const ForwardKernels& kernels, const Sample& sample) {
  const Shape& shape = sample.shape;
  const size_t stride = shape.rows + shape.columns % 3;
  std::vector<float> made((shape.tokens + 1) * stride, kUntouched);
  MultiplyPart(kernels, sample, 0, shape.tokens, 0, shape.rows, made.data(), stride);
  CompareAll(kernels, sample, made, stride);
  const size_t token = shape.columns % shape.tokens;
  const size_t row = shape.columns % shape.rows;
  made.assign(made.size(), kUntouched);
  for (const auto& [begin, end] : {std::pair{size_t{0}, token}, {token, shape.tokens}}) {
    for (const auto& [first, last] : {std::pair{size_t{0}, row}, {row, shape.rows}}) {
      if (begin == end || first == last) continue;
      MultiplyPart(kernels, sample, begin, end, first, last, made.data(), stride);
    }
  }
  CompareAll(kernels, sample, made, stride);
}

Sample Flush(const ForwardKernels& kernels, Sample sample) {
  for (size_t n = 0; n < sample.shape.rows; ++n) {
    uint8_t* const row = sample.weights.data() + 1 + n * sample.row_bytes;
    const size_t columns = sample.shape.columns;
    bool needs = false;
    for (size_t k = 0; k < columns; ++k) {
      const float weight = WeightAt(sample, n, k);
      needs |= weight != 0 && Flushed(weight) == 0;
    }
    if (kernels.needs_flush(row, columns) != needs) Fail("flush", kernels.isa, sample.type);
    if (!needs) continue;
    kernels.flush(row, columns, row);
    if (kernels.needs_flush(row, columns)) Fail("flush leaves some", kernels.isa, sample.type);
  }
  return sample;
}

// A number that is not finite ends nothing, and shows.
void CheckNotFinite(const ForwardKernels& kernels, WeightType type) {
  for (const uint32_t bits : {0x7FC00001u, 0xFFFFFFFFu, 0x7F800001u, 0x7F800000u, 0xFF800000u}) {
    Sample sample = MakeSample(type, {35, 13, 33}, 0);
    sample.tokens[32][34] = FloatOf(bits);
    std::vector<float> made(33 * 13);
    MultiplyPart(kernels, sample, 0, 33, 0, 13, made.data(), 13);
    const float shown = made[32 * 13];
    const float weight = WeightAt(sample, 0, 34);
    if (weight != 0 && shown - shown == 0) Fail("a NaN gets lost", kernels.isa, type);
  }
}

void CheckProducts(size_t step) {
  const size_t columns[] = {1,  2,  3,  15,  16,  17,  31,  32,  33,   64,  255,
                            256, 257, 300, 511, 512, 513, 515, 704, 1023, 1025};
  const size_t rows[] = {1, 2, 3, 5, 6, 7, 8, 11, 12, 13, 17, 23, 24, 25, 26, 36, 37, 48, 53};
  size_t count = 0;
  for (const WeightType type : kTypes) {
    for (size_t i = 0; i < 210; i += step, ++count) {
      const Shape shape = {columns[i % 21], rows[(i + i / 21) % 19], 1 + i % 70};
      const Sample sample = MakeSample(type, shape, i % 4 == 3 ? 5 : 0);
      for (const ForwardKernels* const* set = RunnableForward(); *set != nullptr; ++set) {
        CheckSample(**set, type == WeightType::kBF16 ? Flush(**set, sample) : sample);
      }
    }
  }
  // More tokens than are taken at a time; and more of everything than caches hold.
  const Sample long_sample = MakeSample(WeightType::kBF16, {33, 5, 1031}, 0);
  const Sample large_sample = MakeSample(WeightType::kBF16, {803, step == 1 ? 125u : 29u, 259}, 0);
  for (const ForwardKernels* const* set = RunnableForward(); *set != nullptr; ++set) {
    CheckSample(**set, Flush(**set, long_sample));
    CheckSample(**set, Flush(**set, large_sample));
    for (const WeightType type : kTypes) CheckNotFinite(**set, type);
    printf("%s: %zu shapes hold\n", (*set)->isa, count);
  }
}

void CheckSelfTests() {
  for (const ForwardKernels* const* set = RunnableForward(); *set != nullptr; ++set) {
    const char* const wrong = RunProductsSelfTest(**set);
    if (wrong != nullptr) {
      fprintf(stderr, "check-forward: the stored hash of %s is another: %s\n", wrong, (*set)->isa);
      abort();
    }
    printf("%s: stored hashes hold\n", (*set)->isa);
  }
  for (const char* const* set = LackingForward(); *set != nullptr; ++set) {
    printf("%s: left out: CPU\n", *set);
  }
}

// A table is chosen for each name, and each is to be had by its own.
void CheckChoice() {
  for (const ForwardKernels* const* set = RunnableForward(); *set != nullptr; ++set) {
    const ForwardKernels* const found = FindForward((*set)->isa);
    const ForwardKernels* const picked = PickForward((*set)->isa);
    const bool other = strcmp((*set)->isa, "avx512") == 0;
    if (found != *set || picked == nullptr || (picked != *set && !other)) {
      Fail("another table is chosen", (*set)->isa, WeightType::kBF16);
    }
    if (picked != *set) printf("%s: %s is faster\n", (*set)->isa, picked->isa);
  }
  if (FindForward("sse9") != nullptr || PickForward("sse9") != nullptr) {
    Fail("a table that there is not", "sse9", WeightType::kBF16);
  }
}

void PrintHashes() {
  for (const WeightType type : kTypes) {
    char hash[2 * kSha256Bytes + 1];
    HashProducts(scalar::kForward, type, hash);
    printf("    {\"%s\", \"%s\"},\n", WeightName(type), hash);
  }
}

}  // namespace
}  // namespace quantd

int main(int argc, char** argv) {
  quantd::FeignCpuWithout(getenv("QUANTD_CPU_WITHOUT"));
  const quantd::FloatState controlled;
  const char* const option = argc > 1 ? argv[1] : "";
  if (strcmp(option, "--hashes") == 0) {
    quantd::PrintHashes();
    return 0;
  }
  if (strcmp(option, "--self-test") != 0) {
    quantd::CheckProducts(strcmp(option, "--quick") == 0 ? 4 : 1);
  }
  quantd::CheckSelfTests();
  quantd::CheckChoice();
  return 0;
}
