// Forward samples: the numbers that the self-test of the forward pass and its check feed to the
// kernels. Integer arithmetic alone, and so little of it that cluster-tests/det1/samples.ts can be
// the same, line by line.
#ifndef QUANTD_FORWARD_SAMPLES_H_
#define QUANTD_FORWARD_SAMPLES_H_

#include <stddef.h>
#include <stdint.h>

#include <vector>

#include "numbers.h"

namespace quantd {

// Numbers of any sign and mantissa in [2^(lowest - 127), 2^(lowest + count - 127)); every sixteenth
// or so is a zero. lowest = 0: subnormal numbers too.
struct Spread {
  uint32_t lowest;
  uint32_t count;
};

// Small and large ones beside each other, as in activations; every finite number.
inline constexpr Spread kUsual = {118, 12};
inline constexpr Spread kFinite = {0, 255};

// SplitMix64.
class ForwardSamples {
 public:
  explicit ForwardSamples(uint64_t seed) : state_(seed) {}

  uint64_t Bits() {
    uint64_t z = state_ += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
  }

  float Number(const Spread& spread) {
    const uint64_t bits = Bits();
    const uint32_t sign = static_cast<uint32_t>(bits >> 63) << 31;
    if ((bits >> 23 & 15) == 0) return FloatOf(sign);
    const uint64_t exponent = spread.lowest + ((bits >> 32 & 0x7FFFFFFF) * spread.count >> 31);
    const uint32_t mantissa = static_cast<uint32_t>(bits) & 0x7FFFFF;
    return FloatOf(sign | static_cast<uint32_t>(exponent) << 23 | mantissa);
  }

  std::vector<float> Numbers(size_t count, const Spread& spread) {
    std::vector<float> numbers(count);
    for (float& number : numbers) number = Number(spread);
    return numbers;
  }

  // Many are equal.
  std::vector<float> Ties(size_t count) {
    constexpr float kTies[4] = {-1.0f, 0.5f, 1.0f, 2.0f};
    std::vector<float> numbers(count);
    for (float& number : numbers) number = kTies[Bits() >> 62];
    return numbers;
  }

  // Finite halves, or bfloat16s: the upper bits of numbers.
  std::vector<uint16_t> Halves(size_t count) {
    std::vector<uint16_t> halves(count);
    for (uint16_t& half : halves) half = static_cast<uint16_t>(Bits() >> 48 & 0xBFFF);
    return halves;
  }
  std::vector<uint16_t> Bfloat16s(size_t count, const Spread& spread) {
    std::vector<uint16_t> upper(count);
    for (uint16_t& half : upper) half = static_cast<uint16_t>(BitsOf(Number(spread)) >> 16);
    return upper;
  }

 private:
  uint64_t state_;
};

}  // namespace quantd

#endif
