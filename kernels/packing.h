// Packing: levels (one byte per element) into the bit fields of a block. Layouts with pictures:
// docs/quantization.md. Internal linkage for the reason given in numbers.h.
#ifndef QUANTD_PACKING_H_
#define QUANTD_PACKING_H_

#include <stdint.h>
#include <string.h>

namespace quantd {
namespace {

// 32 levels to 16 bytes: element j in the low nibble of byte j, element j + 16 in the high one.
[[maybe_unused]] inline void PackNibbles(const uint8_t* levels, uint8_t* into) {
  for (int j = 0; j < 16; ++j) {
    into[j] = static_cast<uint8_t>((levels[j] & 15) | (levels[j + 16] & 15) << 4);
  }
}

// The fifth bit of 32 levels: bit j of a little-endian word is element j.
[[maybe_unused]] inline void PackFifthBits(const uint8_t* levels, uint8_t* into) {
  for (int byte = 0; byte < 4; ++byte) {
    uint32_t bits = 0;
    for (int bit = 0; bit < 8; ++bit) bits |= ((levels[8 * byte + bit] >> 4) & 1u) << bit;
    into[byte] = static_cast<uint8_t>(bits);
  }
}

// 256 levels of 4 bits to 128 bytes: in each run of 64, byte l holds elements l and l + 32.
[[maybe_unused]] inline void PackNibbles256(const uint8_t* levels, uint8_t* into) {
  for (int group = 0; group < 4; ++group) {
    for (int l = 0; l < 32; ++l) {
      const uint8_t* run = levels + 64 * group;
      into[32 * group + l] = static_cast<uint8_t>((run[l] & 15) | (run[l + 32] & 15) << 4);
    }
  }
}

// 256 levels of 2 bits to 64 bytes: in each run of 128, byte l holds l, l + 32, l + 64, l + 96.
[[maybe_unused]] inline void PackPairs256(const uint8_t* levels, uint8_t* into) {
  for (int half = 0; half < 2; ++half) {
    for (int l = 0; l < 32; ++l) {
      const uint8_t* run = levels + 128 * half;
      into[32 * half + l] = static_cast<uint8_t>((run[l] & 3) | (run[l + 32] & 3) << 2 |
                                                 (run[l + 64] & 3) << 4 | (run[l + 96] & 3) << 6);
    }
  }
}

// Bit `bit` of 256 levels to 32 bytes: element e is bit e / 32 of byte e % 32.
[[maybe_unused]] inline void PackBits256(const uint8_t* levels, int bit, uint8_t* into) {
  for (int l = 0; l < 32; ++l) {
    uint32_t bits = 0;
    for (int run = 0; run < 8; ++run) bits |= ((levels[32 * run + l] >> bit) & 1u) << run;
    into[l] = static_cast<uint8_t>(bits);
  }
}

// Eight 6-bit scales and eight 6-bit minima to 12 bytes: the first four of each stand whole in
// the low bits; the others' low nibbles share bytes 8..11, their high bits top up bytes 0..7.
[[maybe_unused]] inline void PackSixBitPairs(const uint8_t* scales, const uint8_t* minima,
                                             uint8_t* into) {
  for (int j = 0; j < 4; ++j) {
    into[j] = static_cast<uint8_t>(scales[j] | (scales[j + 4] >> 4) << 6);
    into[j + 4] = static_cast<uint8_t>(minima[j] | (minima[j + 4] >> 4) << 6);
    into[j + 8] = static_cast<uint8_t>((scales[j + 4] & 15) | (minima[j + 4] & 15) << 4);
  }
}

// Sixteen 6-bit scales to 12 bytes: low nibbles of j and j + 8 share byte j; the high two bits of
// scale j lie at bit 2 * (j / 4) of byte 8 + j % 4.
[[maybe_unused]] inline void PackSixBits(const uint8_t* scales, uint8_t* into) {
  for (int j = 0; j < 8; ++j) {
    into[j] = static_cast<uint8_t>((scales[j] & 15) | (scales[j + 8] & 15) << 4);
  }
  for (int j = 0; j < 4; ++j) {
    into[8 + j] = static_cast<uint8_t>((scales[j] >> 4) | (scales[j + 4] >> 4) << 2 |
                                       (scales[j + 8] >> 4) << 4 | (scales[j + 12] >> 4) << 6);
  }
}

}  // namespace
}  // namespace quantd

#endif
