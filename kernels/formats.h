// Formats: how the elements of a row lie in a GGUF, one row of a table per block type.
//
//   block type id ──▶ FindFormat ──▶ Format   (read next: kernels.h; layouts: docs/quantization.md)
//
// Constants only, so that every translation unit may include it, whatever it is compiled for.
#ifndef QUANTD_FORMATS_H_
#define QUANTD_FORMATS_H_

#include <stddef.h>
#include <stdint.h>

namespace quantd {

// The order of kFormats and of every kernel table: by id, but BF16 beside its kin.
enum FormatIndex : uint32_t {
  kF32,
  kF16,
  kBF16,
  kQ4_0,
  kQ4_1,
  kQ5_0,
  kQ5_1,
  kQ8_0,
  kQ2_K,
  kQ3_K,
  kQ4_K,
  kQ5_K,
  kQ6_K,
  kIQ2_XXS,
  kIQ2_XS,
  kIQ3_XXS,
  kIQ1_S,
  kIQ4_NL,
  kIQ3_S,
  kIQ2_S,
  kIQ4_XS,
  kIQ1_M,
  kTQ1_0,
  kTQ2_0,
  kMXFP4,
  kNVFP4,
  kQ1_0,
  kQ2_0,
  kFormatCount,
};

// Whether the blocks depend on an importance matrix, and whether they can be made without one.
enum class Importance : uint8_t { kIgnored, kUsed, kRequired };

// Which fields make a block worthless when they say "infinite" or "no number".
enum class Check : uint8_t {
  kNothing,      // Every bit pattern is a number.
  kElement,      // The one element is stored as a number.
  kHalves,       // Half-precision scales at check_at[0 .. checked).
  kFourNibbles,  // A half whose nibbles are the top ones of four words from check_at[0] on.
  kPowerOfTwo,   // The byte at check_at[0] is an exponent; 255 is no number.
};

struct Format {
  uint32_t id;  // ggml_type of the GGUF format.
  const char* name;
  uint32_t block_elements;
  uint32_t block_bytes;
  Importance importance;
  Check check;
  uint32_t checked;
  uint32_t check_at[2];
};

inline constexpr uint16_t kHalfExponent = 0x7C00;
inline constexpr uint16_t kFloatExponent = 0x7F80;

inline constexpr Format kFormats[kFormatCount] = {
    {0, "F32", 1, 4, Importance::kIgnored, Check::kElement, 0, {0, 0}},
    {1, "F16", 1, 2, Importance::kIgnored, Check::kElement, 0, {0, 0}},
    {30, "BF16", 1, 2, Importance::kIgnored, Check::kElement, 0, {0, 0}},
    {2, "Q4_0", 32, 18, Importance::kUsed, Check::kHalves, 1, {0, 0}},
    {3, "Q4_1", 32, 20, Importance::kUsed, Check::kHalves, 2, {0, 2}},
    {6, "Q5_0", 32, 22, Importance::kUsed, Check::kHalves, 1, {0, 0}},
    {7, "Q5_1", 32, 24, Importance::kUsed, Check::kHalves, 2, {0, 2}},
    {8, "Q8_0", 32, 34, Importance::kIgnored, Check::kHalves, 1, {0, 0}},
    {10, "Q2_K", 256, 84, Importance::kUsed, Check::kHalves, 2, {80, 82}},
    {11, "Q3_K", 256, 110, Importance::kUsed, Check::kHalves, 1, {108, 0}},
    {12, "Q4_K", 256, 144, Importance::kUsed, Check::kHalves, 2, {0, 2}},
    {13, "Q5_K", 256, 176, Importance::kUsed, Check::kHalves, 2, {0, 2}},
    {14, "Q6_K", 256, 210, Importance::kUsed, Check::kHalves, 1, {208, 0}},
    {16, "IQ2_XXS", 256, 66, Importance::kRequired, Check::kHalves, 1, {0, 0}},
    {17, "IQ2_XS", 256, 74, Importance::kRequired, Check::kHalves, 1, {0, 0}},
    {18, "IQ3_XXS", 256, 98, Importance::kUsed, Check::kHalves, 1, {0, 0}},
    {19, "IQ1_S", 256, 50, Importance::kRequired, Check::kHalves, 1, {0, 0}},
    {20, "IQ4_NL", 32, 18, Importance::kUsed, Check::kHalves, 1, {0, 0}},
    {21, "IQ3_S", 256, 110, Importance::kUsed, Check::kHalves, 1, {0, 0}},
    {22, "IQ2_S", 256, 82, Importance::kUsed, Check::kHalves, 1, {0, 0}},
    {23, "IQ4_XS", 256, 136, Importance::kUsed, Check::kHalves, 1, {0, 0}},
    {29, "IQ1_M", 256, 56, Importance::kUsed, Check::kFourNibbles, 1, {48, 0}},
    {34, "TQ1_0", 256, 54, Importance::kIgnored, Check::kHalves, 1, {52, 0}},
    {35, "TQ2_0", 256, 66, Importance::kIgnored, Check::kHalves, 1, {64, 0}},
    {39, "MXFP4", 32, 17, Importance::kIgnored, Check::kPowerOfTwo, 1, {0, 0}},
    {40, "NVFP4", 64, 36, Importance::kIgnored, Check::kNothing, 0, {0, 0}},
    {41, "Q1_0", 128, 18, Importance::kIgnored, Check::kHalves, 1, {0, 0}},
    {42, "Q2_0", 64, 18, Importance::kIgnored, Check::kHalves, 1, {0, 0}},
};

// The largest block; spans that are a multiple of it are whole blocks of every format.
inline constexpr size_t kBlockElementsMax = 256;

// The formats before this one store each element as a number of its own.
inline constexpr uint32_t kPlainCount = kQ4_0;

}  // namespace quantd

#endif
