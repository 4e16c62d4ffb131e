#include "products-self-test.h"

#include <string.h>

#include <memory>
#include <new>
#include <vector>

#include "float-state.h"
#include "numbers.h"

namespace quantd {
namespace {

// More words than one cut of k, an odd last column, and what is left over of every tile.
constexpr size_t kColumns = 531;
constexpr size_t kRows = 29;
constexpr size_t kTokens = 53;

// Made by `node kernels/build.mjs --check && build/kernels/check-forward --hashes`. They change
// only when the samples do; where a kernel changes them, the kernel is wrong.
struct Stored {
  const char* weights;
  const char* hash;
};
const Stored kStored[] = {
#include "products-hashes.inc"
};

uint64_t Scramble(uint64_t& state) {
  state += 0x9E3779B97F4A7C15u;
  uint64_t z = state;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

// A whole number of 12 bits from the sum of four of 10, so that every machine has the same.
float Bell(uint64_t bits) {
  const int sum = static_cast<int>((bits & 1023) + (bits >> 10 & 1023) + (bits >> 20 & 1023) +
                                   (bits >> 30 & 1023));
  return static_cast<float>(sum - 2046) * 0x1p-10f + static_cast<float>(bits >> 40) * 0x1p-36f;
}

struct Aligned {
  void operator()(uint8_t* bytes) const { operator delete[](bytes, std::align_val_t{64}); }
};

}  // namespace

void FillProductSample(uint32_t kind, uint64_t seed, size_t count, float* values) {
  uint64_t state = seed * kProductSampleKinds + kind;
  for (size_t i = 0; i < count; ++i) {
    const uint64_t bits = Scramble(state);
    const float bell = Bell(bits);
    // Of the same sign, some steps of the last places around 2^-55 = 0x24000000.
    const uint32_t sign = static_cast<uint32_t>(bits >> 32) & 0x80000000u;
    const uint32_t near = 0x23FF0000u + (static_cast<uint32_t>(bits) & 0x1FFFFu);
    switch (kind) {
      case 0: values[i] = bell; break;
      case 1: values[i] = FloatOf(sign | (static_cast<uint32_t>(bits) & 0x7FFFFFu)); break;
      case 2: values[i] = bell * 1e30f; break;
      case 3: values[i] = FloatOf(sign | near); break;
      default: values[i] = bits % 4 != 0 ? FloatOf(sign) : bell * 0x1p-30f; break;
    }
  }
}

size_t WeightBytes(WeightType type) { return type == WeightType::kF32 ? 4 : 2; }

const char* WeightName(WeightType type) {
  constexpr const char* kNames[kWeightTypes] = {"F32", "F16", "BF16"};
  return kNames[static_cast<uint32_t>(type)];
}

void StoreWeights(WeightType type, const float* values, size_t count, uint8_t* into) {
  for (size_t i = 0; i < count; ++i) {
    if (type == WeightType::kF32) memcpy(into + 4 * i, values + i, 4);
    if (type == WeightType::kF16) StoreU16(into + 2 * i, HalfFromFloat(values[i]));
    if (type == WeightType::kBF16) StoreU16(into + 2 * i, Bfloat16FromFloat(values[i]));
  }
}

void HashProducts(const ForwardKernels& kernels, WeightType type,
                  char hash[2 * kSha256Bytes + 1]) {
  const FloatState controlled;
  const Products& products = kernels.ProductsOf(type);
  std::vector<float> x(kTokens * kColumns);
  std::vector<const float*> rows;
  for (size_t t = 0; t < kTokens; ++t) {
    rows.push_back(x.data() + t * kColumns);
    FillProductSample(t % kProductSampleKinds, t, kColumns, x.data() + t * kColumns);
  }
  std::vector<float> w(kRows * kColumns);
  for (size_t n = 0; n < kRows; ++n) {
    // None of 1e30: in a half that is no number.
    const uint32_t kind = n % 4 == 2 ? 0 : static_cast<uint32_t>(n % kProductSampleKinds);
    FillProductSample(kind == 2 ? 0 : kind, 1000 + n, kColumns, w.data() + n * kColumns);
  }
  std::vector<uint8_t> weights(w.size() * WeightBytes(type));
  StoreWeights(type, w.data(), w.size(), weights.data());
  if (type == WeightType::kBF16 && kernels.needs_flush(weights.data(), w.size())) {
    kernels.flush(weights.data(), w.size(), weights.data());
  }
  const size_t bytes = products.packed_bytes(kTokens, kColumns);
  const std::unique_ptr<uint8_t[], Aligned> packed(new (std::align_val_t{64}) uint8_t[bytes]);
  products.pack(rows.data(), kTokens, kColumns, packed.get());
  std::vector<float> into(kTokens * kRows);
  products.multiply(packed.get(), kTokens, kColumns, weights.data(),
                    kColumns * WeightBytes(type), kRows, into.data(), kRows);
  Sha256 state;
  uint8_t digest[kSha256Bytes];
  const Sha256Code code = {"scalar", Sha256CompressScalar};
  Sha256Start(state);
  Sha256Update(code, state, reinterpret_cast<const uint8_t*>(into.data()), into.size() * 4);
  Sha256Finish(code, state, digest);
  const char digits[] = "0123456789abcdef";
  for (size_t i = 0; i < kSha256Bytes; ++i) {
    hash[2 * i] = digits[digest[i] >> 4];
    hash[2 * i + 1] = digits[digest[i] & 15];
  }
  hash[2 * kSha256Bytes] = '\0';
}

const char* RunProductsSelfTest(const ForwardKernels& kernels) {
  for (const WeightType type : {WeightType::kF32, WeightType::kF16, WeightType::kBF16}) {
    char hash[2 * kSha256Bytes + 1];
    HashProducts(kernels, type, hash);
    bool holds = false;
    for (const Stored& stored : kStored) {
      holds |= strcmp(stored.weights, WeightName(type)) == 0 && strcmp(stored.hash, hash) == 0;
    }
    if (!holds) return WeightName(type);
  }
  return nullptr;
}

}  // namespace quantd
