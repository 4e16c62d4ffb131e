// Dequantize, small blocks: 32 to 128 elements with a scale each.
#include "dequantize.h"

#include "levels.h"
#include "numbers.h"

namespace quantd::QUANTD_ISA {
namespace {

inline float HalfAt(const uint8_t* from) { return FloatFromHalf(LoadU16(from)); }

// into[i] = value(i, level i) for 32 elements: element j is the low nibble of byte j, element
// j + 16 the high one. From the bytes straight to the floats: levels that are stored in between
// are read back wider than they were written, which stalls.
template <typename Value>
inline void FromNibbles(const uint8_t* from, float* into, Value value) {
  for (int j = 0; j < 16; ++j) into[j] = value(j, from[j] & 15);
  for (int j = 0; j < 16; ++j) into[j + 16] = value(j + 16, from[j] >> 4);
}

// What bit `i` of a little-endian word adds to level i.
inline int FifthBit(uint32_t bits, int i) { return static_cast<int>(bits >> i & 1u) << 4; }

inline uint32_t WordAt(const uint8_t* from) {
  uint32_t word;
  memcpy(&word, from, sizeof word);
  return word;
}

}  // namespace

void DequantizeQ4_0(const uint8_t* blocks, size_t count, float* into) {
  for (size_t b = 0; b < count / 32; ++b) {
    const uint8_t* block = blocks + 18 * b;
    const float scale = HalfAt(block);
    FromNibbles(block + 2, into + 32 * b,
                [=](int, int level) { return static_cast<float>(level - 8) * scale; });
  }
}

void DequantizeQ4_1(const uint8_t* blocks, size_t count, float* into) {
  for (size_t b = 0; b < count / 32; ++b) {
    const uint8_t* block = blocks + 20 * b;
    const float scale = HalfAt(block);
    const float minimum = HalfAt(block + 2);
    FromNibbles(block + 4, into + 32 * b,
                [=](int, int level) { return static_cast<float>(level) * scale + minimum; });
  }
}

void DequantizeQ5_0(const uint8_t* blocks, size_t count, float* into) {
  for (size_t b = 0; b < count / 32; ++b) {
    const uint8_t* block = blocks + 22 * b;
    const float scale = HalfAt(block);
    const uint32_t bits = WordAt(block + 2);
    FromNibbles(block + 6, into + 32 * b, [=](int i, int level) {
      return static_cast<float>((level | FifthBit(bits, i)) - 16) * scale;
    });
  }
}

void DequantizeQ5_1(const uint8_t* blocks, size_t count, float* into) {
  for (size_t b = 0; b < count / 32; ++b) {
    const uint8_t* block = blocks + 24 * b;
    const float scale = HalfAt(block);
    const float minimum = HalfAt(block + 2);
    const uint32_t bits = WordAt(block + 4);
    FromNibbles(block + 8, into + 32 * b, [=](int i, int level) {
      return static_cast<float>(level | FifthBit(bits, i)) * scale + minimum;
    });
  }
}

void DequantizeQ8_0(const uint8_t* blocks, size_t count, float* into) {
  for (size_t b = 0; b < count / 32; ++b) {
    const uint8_t* block = blocks + 34 * b;
    const float scale = HalfAt(block);
    for (int i = 0; i < 32; ++i) {
      into[32 * b + i] = static_cast<float>(static_cast<int8_t>(block[2 + i])) * scale;
    }
  }
}

void DequantizeIQ4_NL(const uint8_t* blocks, size_t count, float* into) {
  for (size_t b = 0; b < count / 32; ++b) {
    const uint8_t* block = blocks + 18 * b;
    const float scale = HalfAt(block);
    FromNibbles(block + 2, into + 32 * b, [=](int, int level) {
      return scale * static_cast<float>(kCurveLevels[level]);
    });
  }
}

void DequantizeMXFP4(const uint8_t* blocks, size_t count, float* into) {
  for (size_t b = 0; b < count / 32; ++b) {
    const uint8_t* block = blocks + 17 * b;
    const float scale = FloatFromE8M0Half(block[0]);
    FromNibbles(block + 1, into + 32 * b, [=](int, int level) {
      return static_cast<float>(kE2M1Levels[level]) * scale;
    });
  }
}

// Four runs of 16 elements, each with a scale: byte j of a run holds its elements j and j + 8.
void DequantizeNVFP4(const uint8_t* blocks, size_t count, float* into) {
  for (size_t run = 0; run < count / 16; ++run) {
    const uint8_t* block = blocks + 36 * (run / 4);
    const float scale = FloatFromUE4M3Half(block[run % 4]);
    const uint8_t* levels = block + 4 + 8 * (run % 4);
    float* const values = into + 16 * run;
    for (int j = 0; j < 8; ++j) {
      values[j] = static_cast<float>(kE2M1Levels[levels[j] & 15]) * scale;
      values[j + 8] = static_cast<float>(kE2M1Levels[levels[j] >> 4]) * scale;
    }
  }
}

// One bit per element, in the order of the bits: set is +scale, clear is -scale.
void DequantizeQ1_0(const uint8_t* blocks, size_t count, float* into) {
  for (size_t b = 0; b < count / 128; ++b) {
    const uint8_t* block = blocks + 18 * b;
    // The sign as a bit: a branch would guess wrong half of the time.
    const uint32_t minus = BitsOf(HalfAt(block)) ^ 0x80000000u;
    for (int i = 0; i < 128; ++i) {
      const uint32_t set = block[2 + i / 8] >> i % 8 & 1u;
      into[128 * b + i] = FloatOf(minus ^ set << 31);
    }
  }
}

// Two bits per element, in the order of the bits.
void DequantizeQ2_0(const uint8_t* blocks, size_t count, float* into) {
  for (size_t b = 0; b < count / 64; ++b) {
    const uint8_t* block = blocks + 18 * b;
    const float scale = HalfAt(block);
    for (int i = 0; i < 64; ++i) {
      const int level = block[2 + i / 4] >> 2 * (i % 4) & 3;
      into[64 * b + i] = static_cast<float>(level - 1) * scale;
    }
  }
}

}  // namespace quantd::QUANTD_ISA
