// Dequantize, super-blocks: 256 elements in sub-blocks, whose own small scales a half scales.
#include "dequantize.h"

#include "levels.h"
#include "numbers.h"

namespace quantd::QUANTD_ISA {
namespace {

inline float HalfAt(const uint8_t* from) { return FloatFromHalf(LoadU16(from)); }

// 256 levels of 2 bits out of 64 bytes: in each run of 128, byte l holds l, l + 32, l + 64, l + 96.
inline void UnpackPairs(const uint8_t* from, uint8_t* levels) {
  for (int half = 0; half < 2; ++half) {
    for (int k = 0; k < 4; ++k) {
      for (int l = 0; l < 32; ++l) {
        levels[128 * half + 32 * k + l] = (from[32 * half + l] >> 2 * k) & 3;
      }
    }
  }
}

// 256 levels of 4 bits out of 128 bytes: in each run of 64, byte l holds elements l and l + 32.
inline void UnpackNibbles256(const uint8_t* from, uint8_t* levels) {
  for (int run = 0; run < 4; ++run) {
    for (int l = 0; l < 32; ++l) {
      levels[64 * run + l] = from[32 * run + l] & 15;
      levels[64 * run + 32 + l] = from[32 * run + l] >> 4;
    }
  }
}

// Adds `worth` where bit e / 32 of byte e % 32 is set.
inline void UnpackBits(const uint8_t* from, int worth, uint8_t* levels) {
  for (int run = 0; run < 8; ++run) {
    for (int l = 0; l < 32; ++l) {
      levels[32 * run + l] =
          static_cast<uint8_t>(levels[32 * run + l] + ((from[l] >> run) & 1) * worth);
    }
  }
}

// The eight 6-bit scales and minima of 12 bytes; PackSixBitWords in
// affine-six-bit.h is the way there.
inline void UnpackSixBitPairs(const uint8_t* from, uint8_t* scales, uint8_t* minima) {
  for (int j = 0; j < 4; ++j) {
    scales[j] = from[j] & 63;
    minima[j] = from[j + 4] & 63;
    scales[j + 4] = static_cast<uint8_t>((from[j + 8] & 15) | (from[j] >> 6) << 4);
    minima[j + 4] = static_cast<uint8_t>((from[j + 8] >> 4) | (from[j + 4] >> 6) << 4);
  }
}

// Sub-blocks of 32: (scale * scales[j]) * level - minimum * minima[j].
inline void ScaleSubBlocks(const uint8_t* levels, float scale, float minimum,
                           const uint8_t* packed, float* into) {
  uint8_t scales[8];
  uint8_t minima[8];
  UnpackSixBitPairs(packed, scales, minima);
  for (int j = 0; j < 8; ++j) {
    const float factor = scale * static_cast<float>(scales[j]);
    const float less = minimum * static_cast<float>(minima[j]);
    for (int i = 32 * j; i < 32 * j + 32; ++i) {
      into[i] = factor * static_cast<float>(levels[i]) - less;
    }
  }
}

}  // namespace

void DequantizeQ2_K(const uint8_t* blocks, size_t count, float* into) {
  for (size_t b = 0; b < count / 256; ++b, into += 256) {
    const uint8_t* block = blocks + 84 * b;
    const float scale = HalfAt(block + 80);
    const float minimum = HalfAt(block + 82);
    uint8_t levels[256];
    UnpackPairs(block + 16, levels);
    for (int j = 0; j < 16; ++j) {
      const float factor = scale * static_cast<float>(block[j] & 15);
      const float less = minimum * static_cast<float>(block[j] >> 4);
      for (int i = 16 * j; i < 16 * j + 16; ++i) {
        into[i] = factor * static_cast<float>(levels[i]) - less;
      }
    }
  }
}

void DequantizeQ3_K(const uint8_t* blocks, size_t count, float* into) {
  for (size_t b = 0; b < count / 256; ++b, into += 256) {
    const uint8_t* block = blocks + 110 * b;
    const float scale = HalfAt(block + 108);
    uint8_t levels[256];
    UnpackPairs(block + 32, levels);
    UnpackBits(block, 4, levels);
    for (int j = 0; j < 16; ++j) {
      const int low = j < 8 ? block[96 + j] & 15 : block[96 + j - 8] >> 4;
      const int high = block[104 + j % 4] >> 2 * (j / 4) & 3;
      const float factor = scale * static_cast<float>((low | high << 4) - 32);
      for (int i = 16 * j; i < 16 * j + 16; ++i) {
        into[i] = factor * static_cast<float>(levels[i] - 4);
      }
    }
  }
}

void DequantizeQ4_K(const uint8_t* blocks, size_t count, float* into) {
  for (size_t b = 0; b < count / 256; ++b) {
    const uint8_t* block = blocks + 144 * b;
    uint8_t levels[256];
    UnpackNibbles256(block + 16, levels);
    ScaleSubBlocks(levels, HalfAt(block), HalfAt(block + 2), block + 4, into + 256 * b);
  }
}

void DequantizeQ5_K(const uint8_t* blocks, size_t count, float* into) {
  for (size_t b = 0; b < count / 256; ++b) {
    const uint8_t* block = blocks + 176 * b;
    uint8_t levels[256];
    UnpackNibbles256(block + 48, levels);
    UnpackBits(block + 16, 16, levels);
    ScaleSubBlocks(levels, HalfAt(block), HalfAt(block + 2), block + 4, into + 256 * b);
  }
}

void DequantizeQ6_K(const uint8_t* blocks, size_t count, float* into) {
  for (size_t b = 0; b < count / 256; ++b, into += 256) {
    const uint8_t* block = blocks + 210 * b;
    const float scale = HalfAt(block + 208);
    int8_t levels[256];
    for (int half = 0; half < 2; ++half) {
      const uint8_t* low = block + 64 * half;
      const uint8_t* high = block + 128 + 32 * half;
      int8_t* const of = levels + 128 * half;
      for (int l = 0; l < 32; ++l) {
        of[l] = static_cast<int8_t>(((low[l] & 15) | (high[l] & 3) << 4) - 32);
        of[l + 32] = static_cast<int8_t>(((low[l + 32] & 15) | (high[l] >> 2 & 3) << 4) - 32);
        of[l + 64] = static_cast<int8_t>(((low[l] >> 4) | (high[l] >> 4 & 3) << 4) - 32);
        of[l + 96] = static_cast<int8_t>(((low[l + 32] >> 4) | (high[l] >> 6) << 4) - 32);
      }
    }
    for (int j = 0; j < 16; ++j) {
      const float factor = scale * static_cast<float>(static_cast<int8_t>(block[192 + j]));
      for (int i = 16 * j; i < 16 * j + 16; ++i) {
        into[i] = factor * static_cast<float>(levels[i]);
      }
    }
  }
}

void DequantizeIQ4_XS(const uint8_t* blocks, size_t count, float* into) {
  for (size_t b = 0; b < count / 256; ++b) {
    const uint8_t* block = blocks + 136 * b;
    const float scale = HalfAt(block);
    const int high = LoadU16(block + 2);
    for (int j = 0; j < 8; ++j, into += 32) {
      const int low = block[4 + j / 2] >> 4 * (j % 2) & 15;
      const float factor = scale * static_cast<float>((low | (high >> 2 * j & 3) << 4) - 32);
      const uint8_t* levels = block + 8 + 16 * j;
      for (int i = 0; i < 16; ++i) {
        into[i] = factor * static_cast<float>(kCurveLevels[levels[i] & 15]);
        into[i + 16] = factor * static_cast<float>(kCurveLevels[levels[i] >> 4]);
      }
    }
  }
}

// A byte is the fraction of 256 whose base-3 digits are the trits; the next one is what a
// multiplication by 3 carries out.
void DequantizeTQ1_0(const uint8_t* blocks, size_t count, float* into) {
  constexpr uint8_t kPowers[5] = {1, 3, 9, 27, 81};
  for (size_t b = 0; b < count / 256; ++b) {
    const uint8_t* bytes = blocks + 54 * b;
    const float scale = HalfAt(bytes + 52);
    // Runs of bytes; within a run, all first trits, then all second ones, and so on.
    const auto unpack = [&](int width, int trits) {
      for (int k = 0; k < trits; ++k) {
        for (int m = 0; m < width; ++m) {
          const uint8_t rest = static_cast<uint8_t>(bytes[m] * kPowers[k]);
          into[width * k + m] = static_cast<float>((rest * 3 >> 8) - 1) * scale;
        }
      }
      into += width * trits;
      bytes += width;
    };
    unpack(32, 5);
    unpack(16, 5);
    unpack(4, 4);
  }
}

void DequantizeTQ2_0(const uint8_t* blocks, size_t count, float* into) {
  for (size_t b = 0; b < count / 256; ++b, into += 256) {
    const uint8_t* block = blocks + 66 * b;
    const float scale = HalfAt(block + 64);
    uint8_t levels[256];
    UnpackPairs(block, levels);
    for (int i = 0; i < 256; ++i) into[i] = static_cast<float>(levels[i] - 1) * scale;
  }
}

}  // namespace quantd::QUANTD_ISA
