// Fuzz: any floats under any importance, through every kernel of every instruction set: equal to
// the scalar kernel's blocks, without a step outside of a buffer.
//
//   bytes of libFuzzer ──▶ format, rows, floats, importance ──▶ scalar = every other set
//
//   node kernels/build.mjs --fuzz && build/kernels/fuzz -max_total_time=20
//
// It begins with the self-test, so that the kernels of a second compiler have the stored hashes.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vector>

#include "float-state.h"
#include "job.h"
#include "numbers.h"
#include "self-test.h"

namespace quantd {
namespace {

constexpr size_t kBlocksMax = 40;  // More than two groups of the widest lanes.
constexpr size_t kRowsMax = 5;

// Takes bytes from the front, then zeros.
struct Bytes {
  const uint8_t* data;
  size_t size;
  uint8_t Next() {
    if (size == 0) return 0;
    --size;
    return *data++;
  }
};

// What the bits of a value mean; a search over bits alone would rarely see a plain number.
enum Manner : uint8_t { kAnyBits, kSteps, kBfloat16, kSmallSteps, kManners };

float Finite(uint32_t bits) {
  if ((bits >> 23 & 255u) == 255u) bits ^= 1u << 30;
  return FloatOf(bits);
}

// Fills values from the bytes, from the front again when they end, each time turned a little.
void FillValues(const Bytes& bytes, Manner manner, std::vector<float>& values) {
  uint32_t turn = 0;
  size_t at = 0;
  for (float& value : values) {
    uint32_t bits = 0;
    for (int i = 0; i < (manner == kAnyBits ? 4 : 2); ++i) {
      if (at == bytes.size) {
        at = 0;
        turn = turn * 5 + 1;
      }
      if (bytes.size > 0) bits |= static_cast<uint32_t>(bytes.data[at++] ^ (turn & 15u)) << 8 * i;
    }
    const float step = static_cast<float>(static_cast<int16_t>(bits));
    if (manner == kAnyBits) value = Finite(bits);
    if (manner == kSteps) value = step * 0x1p-12f;
    if (manner == kBfloat16) value = Finite(bits << 16);
    if (manner == kSmallSteps) value = static_cast<float>(static_cast<int8_t>(bits)) * 0.125f;
  }
}

[[noreturn]] void Fail(const char* what, const char* which) {
  fprintf(stderr, "fuzz: %s: %s\n", what, which);
  abort();
}

struct Case {
  uint32_t format;
  bool weighted;
  size_t rows;
  size_t columns;
  std::vector<float> values;
  std::vector<float> importance;
};

Case ReadCase(Bytes bytes) {
  Case made = {};
  made.format = bytes.Next() % kFormatCount;
  const uint8_t shape = bytes.Next();
  made.weighted = (shape & 1) != 0;
  made.rows = 1 + (shape >> 1) % kRowsMax;
  const Format& format = kFormats[made.format];
  made.columns = (1 + bytes.Next() % (kBlocksMax / made.rows)) * format.block_elements;
  const uint8_t manners = bytes.Next();
  made.values.resize(made.rows * made.columns);
  FillValues(bytes, static_cast<Manner>(manners % kManners), made.values);
  if (made.weighted) {
    made.importance.resize(made.columns);
    Bytes rest = bytes;
    rest.Next();
    FillValues(rest, static_cast<Manner>(manners / kManners % kManners), made.importance);
    for (float& weight : made.importance) weight = Magnitude(weight);
  }
  return made;
}

// The blocks that a kernel makes; exactly as large as needed.
std::vector<uint8_t> Make(const Kernels& kernels, const Case& wanted) {
  const Format& format = kFormats[wanted.format];
  std::vector<uint8_t> blocks(wanted.values.size() / format.block_elements * format.block_bytes);
  const float* importance = wanted.weighted ? wanted.importance.data() : nullptr;
  const QuantizeRows make = FindQuantizer(kernels, wanted.format, wanted.weighted);
  const size_t count =
      make(wanted.values.data(), wanted.rows, wanted.columns, importance, blocks.data());
  if (count > wanted.values.size()) Fail("too many elements", format.name);
  blocks.resize(count / format.block_elements * format.block_bytes);
  return blocks;
}

void CheckCase(const Case& wanted) {
  if (FindQuantizer(scalar::kKernels, wanted.format, wanted.weighted) == nullptr) return;
  const FloatState controlled;
  const std::vector<uint8_t> expected = Make(scalar::kKernels, wanted);
  for (const Kernels* const* row = RunnableKernels(); *row != nullptr; ++row) {
    if (*row != &scalar::kKernels && Make(**row, wanted) != expected) {
      Fail((*row)->isa, kFormats[wanted.format].name);
    }
  }
}

}  // namespace
}  // namespace quantd

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  for (const quantd::Kernels* const* row = quantd::RunnableKernels(); *row != nullptr; ++row) {
    const char* wrong = quantd::RunSelfTest(**row);
    if (wrong != nullptr) quantd::Fail("self-test", wrong);
  }
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  quantd::CheckCase(quantd::ReadCase({data, size}));
  return 0;
}
