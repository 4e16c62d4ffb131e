#include "samples.h"

#include "formats.h"
#include "numbers.h"

namespace quantd {
namespace {

// SplitMix64.
struct Random {
  uint64_t state;
  uint64_t Next() {
    uint64_t z = state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
  }
  uint32_t Below(uint32_t limit) { return static_cast<uint32_t>((Next() >> 32) * limit >> 32); }
  // In [-1, 1), a multiple of 2^-23.
  float Uniform() {
    return static_cast<float>(static_cast<int32_t>(Next() >> 40) - 0x800000) * 0x1p-23f;
  }
  // Bell-shaped, in [-4, 4).
  float Bell() {
    float sum = Uniform();
    for (int i = 0; i < 3; ++i) sum += Uniform();
    return sum;
  }
};

float RoundedToBfloat16(float value) {
  return FloatOf(static_cast<uint32_t>(Bfloat16FromFloat(value)) << 16);
}

// Any finite pattern of bits whose exponent field is below `limit`.
float AnyBits(Random& random, uint32_t limit) {
  const uint32_t low = static_cast<uint32_t>(random.Next());
  return FloatOf((low & 0x807FFFFFu) | random.Below(limit) << 23);
}

using Make = float (*)(Random& random, size_t index);

const Make kMakers[kSampleKinds] = {
    [](Random& r, size_t) { return r.Bell(); },
    [](Random& r, size_t) { return RoundedToBfloat16(r.Bell() * 0.02f); },
    [](Random& r, size_t) { return FloatFromHalf(HalfFromFloat(r.Bell())); },
    // Heavy tails.
    [](Random& r, size_t) { return r.Bell() * (r.Below(50) == 0 ? 64.0f : 1.0f); },
    // Sparse.
    [](Random& r, size_t) { return r.Below(10) == 0 ? r.Bell() : 0.0f; },
    [](Random&, size_t) { return 0.0f; },
    [](Random& r, size_t) { return r.Below(2) == 0 ? 0.0f : -0.0f; },
    [](Random&, size_t) { return 0.37f; },
    [](Random&, size_t) { return -0.37f; },
    // One spike in a block of 32.
    [](Random&, size_t i) { return i % 32 == 7 ? 3.0f : 0.0f; },
    // One sign.
    [](Random& r, size_t) { return Magnitude(r.Bell()) + 0.5f; },
    [](Random& r, size_t) { return -Magnitude(r.Bell()) - 0.5f; },
    // Subnormals only.
    [](Random& r, size_t) { return AnyBits(r, 1); },
    // Around the threshold below which a block counts as zero.
    [](Random& r, size_t) { return r.Bell() * 5e-16f; },
    // Large, but with scales that may not fit a half.
    [](Random& r, size_t) { return r.Bell() * 2e37f; },
    // Ties: few distinct values.
    [](Random& r, size_t) { return static_cast<float>(static_cast<int>(r.Below(3)) - 1); },
    [](Random& r, size_t) { return static_cast<float>(static_cast<int>(r.Below(63)) - 31) * 0.5f; },
    // Sub-blocks of zeros between others; sub-blocks of very different sizes.
    [](Random& r, size_t i) { return i / 16 % 3 == 0 ? 0.0f : r.Bell(); },
    [](Random& r, size_t i) {
      constexpr float kSizes[4] = {1.0f, 1e-3f, 1e3f, 1e-6f};
      return r.Bell() * kSizes[i / 16 % 4];
    },
    // Constant sub-blocks.
    [](Random&, size_t i) { return static_cast<float>(i / 16 % 7) * 0.25f - 0.5f; },
    // Around 1 and tiny beside it.
    [](Random& r, size_t) { return AnyBits(r, 128); },
    // Every finite exponent.
    [](Random& r, size_t) { return AnyBits(r, 255); },
};

// index: column of `count`.
using MakeImportance = float (*)(Random& random, size_t index, size_t count);

float Square(float x) { return x * x; }

const MakeImportance kImportanceMakers[kImportanceKinds] = {
    [](Random& r, size_t, size_t) { return Square(r.Bell()); },
    // A quarter of the columns were never excited.
    [](Random& r, size_t, size_t) { return r.Below(4) == 0 ? 0.0f : Square(r.Bell()); },
    [](Random&, size_t, size_t) { return 1.0f; },
    [](Random& r, size_t i, size_t count) { return i < count / 2 ? 0.0f : Square(r.Bell()); },
    [](Random&, size_t, size_t) { return 0.0f; },
    [](Random& r, size_t, size_t) { return Square(r.Bell()) * 1e-30f; },
    // Every second sub-block counts for nothing.
    [](Random& r, size_t i, size_t) { return i / 16 % 2 == 0 ? 0.0f : Square(r.Bell()); },
    // A few columns outweigh all others.
    [](Random& r, size_t, size_t) { return Square(r.Bell()) * (r.Below(40) == 0 ? 1e6f : 1.0f); },
};

// Takes the highest bit of its exponent from a half.
void MakeHalfFinite(uint8_t* half) {
  StoreU16(half, static_cast<uint16_t>(LoadU16(half) & ~0x4000u));
}

void MakeFinite(const Format& format, uint8_t* block) {
  uint8_t* const at = block + format.check_at[0];
  switch (format.check) {
    case Check::kNothing:
      return;
    case Check::kElement:
      block[format.block_bytes - 1] &= 0xBF;
      return;
    case Check::kHalves:
      for (uint32_t i = 0; i < format.checked; ++i) MakeHalfFinite(block + format.check_at[i]);
      return;
    case Check::kFourNibbles:
      MakeHalfFinite(at + 6);
      return;
    case Check::kPowerOfTwo:
      // The largest level, 12, times a larger power is infinite.
      if (*at > 252) *at = 252;
  }
}

}  // namespace

void FillSample(uint32_t kind, uint64_t seed, size_t count, float* values) {
  Random random = {seed * kSampleKinds + kind};
  for (size_t i = 0; i < count; ++i) values[i] = kMakers[kind % kSampleKinds](random, i);
}

void FillImportance(uint32_t kind, uint64_t seed, size_t count, float* importance) {
  Random random = {~(seed * kImportanceKinds + kind)};
  for (size_t i = 0; i < count; ++i) {
    importance[i] = kImportanceMakers[kind % kImportanceKinds](random, i, count);
  }
}

void FillBlocks(uint32_t format, uint64_t seed, size_t count, uint8_t* blocks) {
  const Format& row = kFormats[format];
  Random random = {seed * kFormatCount + format};
  for (size_t i = 0; i < count * row.block_bytes; ++i) {
    blocks[i] = static_cast<uint8_t>(random.Next() >> 56);
  }
  for (size_t b = 0; b < count; ++b) MakeFinite(row, blocks + b * row.block_bytes);
}

}  // namespace quantd
