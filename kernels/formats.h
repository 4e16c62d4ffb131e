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

// The order of kFormats and of every kernel table.
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
  kFormatCount,
};

struct Format {
  uint32_t id;  // ggml_type of the GGUF format.
  const char* name;
  uint32_t block_elements;
  uint32_t block_bytes;
  // Where the half-precision scales lie: a block with an infinite one is worthless.
  uint32_t checked;  // How many of check_at count.
  uint32_t check_at[2];
};

inline constexpr uint16_t kHalfExponent = 0x7C00;
inline constexpr uint16_t kFloatExponent = 0x7F80;

inline constexpr Format kFormats[kFormatCount] = {
    {0, "F32", 1, 4, 0, {0, 0}},
    {1, "F16", 1, 2, 0, {0, 0}},
    {30, "BF16", 1, 2, 0, {0, 0}},
    {2, "Q4_0", 32, 18, 1, {0, 0}},
    {3, "Q4_1", 32, 20, 2, {0, 2}},
    {6, "Q5_0", 32, 22, 1, {0, 0}},
    {7, "Q5_1", 32, 24, 2, {0, 2}},
    {8, "Q8_0", 32, 34, 1, {0, 0}},
    {10, "Q2_K", 256, 84, 2, {80, 82}},
    {11, "Q3_K", 256, 110, 1, {108, 0}},
    {12, "Q4_K", 256, 144, 2, {0, 2}},
    {13, "Q5_K", 256, 176, 2, {0, 2}},
    {14, "Q6_K", 256, 210, 1, {208, 0}},
};

// The largest block; spans that are a multiple of it are whole blocks of every format.
inline constexpr size_t kBlockElementsMax = 256;

// The formats before this one store each element as a number of its own.
inline constexpr uint32_t kPlainCount = kQ4_0;

}  // namespace quantd

#endif
