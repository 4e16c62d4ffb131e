#include "forward-self-test.h"

#include <string.h>

#include <initializer_list>
#include <vector>

#include "fixed-point.h"
#include "float-state.h"
#include "forward-samples.h"

namespace quantd {
namespace {

// Made by `build/kernels/check-forward-ops --hashes`, and by cluster-tests/det1/. They change only
// when samples change; where a kernel changes them, the kernel is wrong.
struct Stored {
  const char* operation;
  const char* hash;
};
const Stored kStored[] = {
#include "forward-hashes.inc"
};

class Digest {
 public:
  Digest() { Sha256Start(state_); }
  template <typename Number>
  void Add(const Number* numbers, size_t count) {
    const uint8_t* const bytes = reinterpret_cast<const uint8_t*>(numbers);
    Sha256Update(kCode, state_, bytes, count * sizeof(Number));
  }
  template <typename Number>
  void Add(const std::vector<Number>& numbers) {
    Add(numbers.data(), numbers.size());
  }
  void Finish(char hash[2 * kSha256Bytes + 1]) {
    uint8_t digest[kSha256Bytes];
    Sha256Finish(kCode, state_, digest);
    for (size_t i = 0; i < kSha256Bytes; ++i) {
      hash[2 * i] = "0123456789abcdef"[digest[i] >> 4];
      hash[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
    }
    hash[2 * kSha256Bytes] = '\0';
  }

 private:
  static constexpr Sha256Code kCode = {"scalar", Sha256CompressScalar};
  Sha256 state_;
};

using Floats = std::vector<float>;
using Hash = void (*)(const ForwardKernels& kernels, ForwardSamples& samples, Digest& digest);

// Whole vectors of every width, and what is left over.
constexpr size_t kCounts[] = {1, 7, 16, 37, 70};

constexpr Spread kAroundOne = {120, 14};
constexpr Spread kSubnormal = {0, 3};
// So near each other that the order of a sum shows.
constexpr Spread kEven = {126, 2};
// The squares of these reach below the last bit of a fixed point.
constexpr Spread kSmall = {90, 20};
// Squares of these are infinite.
constexpr Spread kHuge = {200, 40};
// Below and above the 2^-55 of mode B.
constexpr Spread kTiny = {62, 20};

void HashExp(const ForwardKernels& kernels, ForwardSamples& samples, Digest& digest) {
  const uint32_t kEdges[] = {0,          0x80000000, 0xC2AE0000, 0xC2AE0001, 0x42B00000,
                             0x42B00001, 0x7F800000, 0xFF800000, 1,          0x80000001};
  for (const uint32_t edge : kEdges) {
    const float e = kernels.exp(FloatOf(edge));
    digest.Add(&e, 1);
  }
  for (const Spread& spread : {kAroundOne, kFinite}) {
    Floats numbers = samples.Numbers(1000, spread);
    for (float& number : numbers) number = kernels.exp(number);
    digest.Add(numbers);
  }
}

void HashGate(const ForwardKernels& kernels, ForwardSamples& samples, Digest& digest,
              Activation activation) {
  for (const Spread& spread : {kUsual, kAroundOne, kFinite}) {
    for (const size_t count : kCounts) {
      Floats gate = samples.Numbers(count, spread);
      const Floats up = samples.Numbers(count, kUsual);
      kernels.gate(activation, gate.data(), up.data(), count, gate.data());
      digest.Add(gate);
    }
  }
}

void HashGelu(const ForwardKernels& kernels, ForwardSamples& samples, Digest& digest) {
  HashGate(kernels, samples, digest, Activation::kGelu);
}

void HashSilu(const ForwardKernels& kernels, ForwardSamples& samples, Digest& digest) {
  HashGate(kernels, samples, digest, Activation::kSilu);
}

void HashNorm(const ForwardKernels& kernels, ForwardSamples& samples, Digest& digest) {
  constexpr size_t kRows = 5;
  constexpr size_t kGap = 2;
  for (const Spread& spread : {kUsual, kEven, kSubnormal, kHuge}) {
    for (const size_t width : kCounts) {
      Floats rows = samples.Numbers(kRows * (width + kGap), spread);
      const Floats weight = samples.Numbers(width, kUsual);
      Floats into(kRows * width);
      kernels.norm(rows.data(), width + kGap, kRows, width, weight.data(), 1e-6f, into.data(),
                   width);
      digest.Add(into);
      kernels.norm(rows.data(), width + kGap, kRows, width, nullptr, 1e-6f, rows.data(),
                   width + kGap);
      digest.Add(rows);
    }
  }
}

void HashRotate(const ForwardKernels& kernels, ForwardSamples& samples, Digest& digest) {
  constexpr size_t kHeads = 3;
  for (const size_t half : kCounts) {
    Floats row = samples.Numbers(kHeads * 2 * half, kUsual);
    const Floats cosine = samples.Numbers(half, kAroundOne);
    const Floats sine = samples.Numbers(half, kAroundOne);
    kernels.rotate(row.data(), kHeads, 2 * half, cosine.data(), sine.data());
    digest.Add(row);
  }
}

struct Shape {
  size_t positions;
  size_t width;
  size_t window;
  float scale;
};

// Of queries and keys: scores of about the same size, of which many count; or one counts alone.
constexpr Spread kBlunt = {122, 6};
constexpr Spread kSharp = {126, 6};

void HashHead(const ForwardKernels& kernels, ForwardSamples& samples, Digest& digest,
              const Shape& shape, const Spread& spread, const Spread& of_values) {
  // Jobs of attention begin at multiples of this.
  constexpr size_t kQueries = 64;
  const auto [positions, width, window, scale] = shape;
  const size_t stride = width + 3;
  // The output takes the place of the queries.
  Floats queries = samples.Numbers(positions * stride, spread);
  const Floats keys = samples.Numbers(positions * stride, spread);
  const Floats values = samples.Numbers(positions * stride, of_values);
  Floats scratch(kernels.attention_scratch(positions, width));
  const AttentionHead head = {queries.data(), stride, keys.data(), values.data(), stride,
                              queries.data(), stride, positions,   width,         window,
                              scale};
  for (size_t first = 0; first < positions; first += kQueries) {
    const size_t left = positions - first;
    kernels.attention(head, first, left < kQueries ? left : kQueries, scratch.data());
  }
  digest.Add(queries);
}

void HashAttention(const ForwardKernels& kernels, ForwardSamples& samples, Digest& digest) {
  const auto hash = [&](const Shape& shape, const Spread& spread, const Spread& of_values) {
    HashHead(kernels, samples, digest, shape, spread, of_values);
  };
  for (const size_t positions : {1, 5, 17, 64, 70}) {
    for (const size_t window : {0, 1, 3, 20, 69}) {
      hash({positions, window == 0 ? size_t{33} : size_t{6}, window, 1.0f}, kBlunt, kUsual);
    }
    hash({positions, 16, 0, 0.25f}, kSharp, kUsual);
    // What all is below the smallest number must not leave the sign of its zero.
    hash({positions, 33, 0, 1.0f}, kSharp, {0, 1});
  }
  // Longer than what is done of a key at a time; more keys than values are added at a time.
  hash({67, 141, 0, 0.125f}, kBlunt, kUsual);
  hash({150, 8, 0, 0.5f}, kBlunt, kUsual);
  hash({150, 8, 75, 0.5f}, kBlunt, kUsual);
}

void HashRoute(const ForwardKernels& kernels, ForwardSamples& samples, Digest& digest) {
  constexpr uint32_t kUsed[] = {1, 2, 5};
  for (const bool ties : {false, true}) {
    for (const size_t experts : {5, 16, 40, 128}) {
      for (const uint32_t used : kUsed) {
        Floats logits = ties ? samples.Ties(experts) : samples.Numbers(experts, kAroundOne);
        Floats again = logits;
        const Floats scales = samples.Numbers(experts, kUsual);
        std::vector<uint32_t> chosen(used);
        Floats weights(used);
        kernels.route(logits.data(), experts, used, nullptr, chosen.data(), weights.data());
        digest.Add(logits);
        digest.Add(chosen);
        digest.Add(weights);
        kernels.route(again.data(), experts, used, scales.data(), chosen.data(), weights.data());
        digest.Add(weights);
      }
    }
  }
}

void HashElements(const ForwardKernels& kernels, ForwardSamples& samples, Digest& digest) {
  for (const size_t count : kCounts) {
    Floats sum = samples.Numbers(count, kUsual);
    const Floats other = samples.Numbers(count, kUsual);
    kernels.add_weighted(other.data(), samples.Number(kUsual), count, sum.data());
    digest.Add(sum);
    kernels.add(sum.data(), other.data(), count, sum.data());
    digest.Add(sum);
    kernels.scale(samples.Number(kUsual), count, sum.data());
    digest.Add(sum);
    kernels.multiply(other.data(), count, sum.data());
    digest.Add(sum);
  }
}

void HashSquares(const ForwardKernels& kernels, ForwardSamples& samples, Digest& digest) {
  constexpr size_t kTokens[] = {1, 4, 9};
  for (const Spread& spread : {kUsual, kSmall, kFinite}) {
    for (const size_t tokens : kTokens) {
      for (const size_t columns : {1, 37, 515}) {
        const Floats numbers = samples.Numbers(tokens * columns, spread);
        std::vector<const float*> rows(tokens);
        for (size_t t = 0; t < tokens; ++t) rows[t] = numbers.data() + t * columns;
        std::vector<double> sums(columns, 0.0);
        kernels.squares(rows.data(), tokens, columns, sums.data());
        digest.Add(sums);
        std::vector<uint8_t> fixed(columns * kFixedPointBytes);
        const uint8_t good = AddFixedPoint(sums.data(), columns, fixed.data()) ? 1 : 0;
        digest.Add(&good, 1);
        digest.Add(fixed);
      }
    }
  }
}

void HashLogSum(const ForwardKernels& kernels, ForwardSamples& samples, Digest& digest) {
  for (const float softcap : {0.0f, 30.0f}) {
    for (const size_t count : {1, 15, 255, 256}) {
      Floats logits = samples.Numbers(count, kAroundOne);
      float result[2];
      kernels.log_sum_block(logits.data(), count, softcap, &result[0], &result[1]);
      digest.Add(logits);
      digest.Add(result, 2);
    }
  }
}

// Every shape of a product that has whole tiles and what is left over.
void HashProducts(const ForwardKernels& kernels, ForwardSamples& samples, Digest& digest,
                  WeightType type, const Spread& spread) {
  const Products& products = kernels.ProductsOf(type);
  for (const size_t tokens : {1, 3, 33}) {
    for (const size_t columns : {1, 6, 67}) {
      constexpr size_t kRows = 13;
      const size_t stride = kRows + 1;
      const Floats numbers = samples.Numbers(tokens * columns, spread);
      std::vector<const float*> rows(tokens);
      for (size_t t = 0; t < tokens; ++t) rows[t] = numbers.data() + t * columns;
      // Aligned to 64, as `pack` wants it.
      std::vector<uint8_t> packed(products.packed_bytes(tokens, columns) + 64);
      uint8_t* const into = packed.data() + (64 - reinterpret_cast<uintptr_t>(packed.data()) % 64);
      products.pack(rows.data(), tokens, columns, into);
      Floats out(tokens * stride, 0.0f);
      const size_t count = kRows * columns;
      const auto multiply = [&](const void* weights, size_t bytes) {
        products.multiply(into, tokens, columns, static_cast<const uint8_t*>(weights),
                          columns * bytes, kRows, out.data(), stride);
      };
      if (type == WeightType::kF32) {
        multiply(samples.Numbers(count, spread).data(), 4);
      } else if (type == WeightType::kF16) {
        multiply(samples.Halves(count).data(), 2);
      } else {
        const std::vector<uint16_t> weights = samples.Bfloat16s(count, spread);
        std::vector<uint16_t> flushed(count);
        const uint8_t* const from = reinterpret_cast<const uint8_t*>(weights.data());
        const uint8_t needs = kernels.needs_flush(from, count) ? 1 : 0;
        kernels.flush(from, count, reinterpret_cast<uint8_t*>(flushed.data()));
        digest.Add(&needs, 1);
        multiply(flushed.data(), 2);
      }
      digest.Add(out);
    }
  }
}

void HashProductF32(const ForwardKernels& kernels, ForwardSamples& samples, Digest& digest) {
  HashProducts(kernels, samples, digest, WeightType::kF32, kUsual);
  HashProducts(kernels, samples, digest, WeightType::kF32, {40, 45});
}

void HashProductF16(const ForwardKernels& kernels, ForwardSamples& samples, Digest& digest) {
  HashProducts(kernels, samples, digest, WeightType::kF16, kUsual);
}

void HashProductBF16(const ForwardKernels& kernels, ForwardSamples& samples, Digest& digest) {
  HashProducts(kernels, samples, digest, WeightType::kBF16, kUsual);
  HashProducts(kernels, samples, digest, WeightType::kBF16, kTiny);
}

struct Operation {
  const char* name;
  Hash hash;
};

// Each one's samples depend on its place: new ones come last.
const Operation kOperations[] = {
    {"exp", HashExp},
    {"gelu", HashGelu},
    {"silu", HashSilu},
    {"norm", HashNorm},
    {"rotate", HashRotate},
    {"attention", HashAttention},
    {"route", HashRoute},
    {"elements", HashElements},
    {"squares", HashSquares},
    {"log-sum", HashLogSum},
    {"product F32", HashProductF32},
    {"product F16", HashProductF16},
    {"product BF16", HashProductBF16},
};

constexpr uint32_t kOperationCount = sizeof kOperations / sizeof kOperations[0];

}  // namespace

const char* ForwardOperation(uint32_t operation) {
  return operation < kOperationCount ? kOperations[operation].name : nullptr;
}

void HashForward(const ForwardKernels& kernels, uint32_t operation,
                 char hash[2 * kSha256Bytes + 1]) {
  const FloatState controlled;
  ForwardSamples samples(operation);
  Digest digest;
  kOperations[operation].hash(kernels, samples, digest);
  digest.Finish(hash);
}

const char* RunForwardSelfTest(const ForwardKernels& kernels) {
  for (uint32_t i = 0; i < kOperationCount; ++i) {
    char hash[2 * kSha256Bytes + 1];
    HashForward(kernels, i, hash);
    bool holds = false;
    for (const Stored& stored : kStored) {
      if (strcmp(stored.operation, kOperations[i].name) == 0) {
        holds = strcmp(stored.hash, hash) == 0;
      }
    }
    if (!holds) return kOperations[i].name;
  }
  return nullptr;
}

}  // namespace quantd
