#include "self-test.h"

#include <string.h>

#include <initializer_list>

#include "float-state.h"
#include "forward-dispatch.h"
#include "forward-self-test.h"
#include "job.h"
#include "numbers.h"
#include "samples.h"

namespace quantd {
namespace {

// One row of each kind: large enough for every path, small enough to run at each start.
constexpr size_t kColumns = 1024;
constexpr size_t kBytesMax = kColumns * 4;
// With importance, each row under two kinds of it.
constexpr uint32_t kImportancesPerRow = 2;

// Made by `node kernels/build.mjs --check && build/kernels/check --hashes`; the floats that blocks
// stand for, by `check --float-hashes`. They change only when samples.cpp changes; where a kernel
// changes them, the kernel is wrong.
struct Stored {
  const char* format;
  bool weighted;
  const char* hash;
};
const Stored kStored[] = {
#include "self-test-hashes.inc"
};

struct StoredFloats {
  const char* format;
  const char* hash;
};
const StoredFloats kStoredFloats[] = {
#include "self-test-float-hashes.inc"
};

bool IsStored(const char* format, bool weighted, const char* hash) {
  for (const Stored& stored : kStored) {
    if (stored.weighted == weighted && strcmp(stored.format, format) == 0) {
      return strcmp(stored.hash, hash) == 0;
    }
  }
  return false;
}

bool AreStoredFloats(const char* format, const char* hash) {
  for (const StoredFloats& stored : kStoredFloats) {
    if (strcmp(stored.format, format) == 0) return strcmp(stored.hash, hash) == 0;
  }
  return false;
}

// FIPS 180-4 example of two blocks, and the empty message.
const char kMessage[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
const char kMessageHash[] = "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1";
const char kEmptyHash[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

void WriteHex(const uint8_t digest[kSha256Bytes], char hash[2 * kSha256Bytes + 1]) {
  const char digits[] = "0123456789abcdef";
  for (size_t i = 0; i < kSha256Bytes; ++i) {
    hash[2 * i] = digits[digest[i] >> 4];
    hash[2 * i + 1] = digits[digest[i] & 15];
  }
  hash[2 * kSha256Bytes] = '\0';
}

bool HashesTo(const Sha256Code& code, const char* message, const char* expected) {
  Sha256 state;
  uint8_t digest[kSha256Bytes];
  char hash[2 * kSha256Bytes + 1];
  Sha256Start(state);
  Sha256Update(code, state, reinterpret_cast<const uint8_t*>(message), strlen(message));
  Sha256Finish(code, state, digest);
  WriteHex(digest, hash);
  return strcmp(hash, expected) == 0;
}

// Worthless blocks fail their job and nobody reads them: the sign of the NaN in one depends on the
// CPU.
void ClearBadBlocks(const Kernels& kernels, uint32_t format, uint8_t* blocks, size_t count) {
  const size_t bytes = kFormats[format].block_bytes;
  for (size_t b = 0; b < count; ++b) {
    if (FindBadBlock(kernels, format, blocks + b * bytes, 1) == 0) {
      memset(blocks + b * bytes, 0, bytes);
    }
  }
}

// Adds what the kernel makes of a row: the number of elements, then their blocks.
void HashRow(const Kernels& kernels, const Sha256Code& code, Sha256& state, uint32_t format,
             const float* values, const float* importance) {
  uint8_t blocks[kBytesMax];
  const QuantizeRows make = FindQuantizer(kernels, format, importance != nullptr);
  const size_t made = make(values, 1, kColumns, importance, blocks);
  ClearBadBlocks(kernels, format, blocks, made / kFormats[format].block_elements);
  // Made in full, as nearly every row is, it says nothing that the length does not.
  if (made < kColumns) {
    uint8_t count[2];
    StoreU16(count, static_cast<uint16_t>(made));
    Sha256Update(code, state, count, sizeof count);
  }
  const Format& row = kFormats[format];
  Sha256Update(code, state, blocks, made / row.block_elements * row.block_bytes);
}

}  // namespace

void HashKernel(const Kernels& kernels, uint32_t format, bool weighted,
                char hash[2 * kSha256Bytes + 1]) {
  const FloatState controlled;
  const Sha256Code code = {"scalar", Sha256CompressScalar};
  Sha256 state;
  Sha256Start(state);
  for (uint32_t kind = 0; kind < kSampleKinds; ++kind) {
    float values[kColumns];
    FillSample(kind, 1, kColumns, values);
    for (uint32_t i = 0; i < (weighted ? kImportancesPerRow : 1); ++i) {
      float importance[kColumns];
      FillImportance(kImportancesPerRow * kind + i, 1, kColumns, importance);
      HashRow(kernels, code, state, format, values, weighted ? importance : nullptr);
    }
  }
  uint8_t digest[kSha256Bytes];
  Sha256Finish(code, state, digest);
  WriteHex(digest, hash);
}

void HashDequantizer(DequantizeBlocks dequantize, uint32_t format,
                     char hash[2 * kSha256Bytes + 1]) {
  const FloatState controlled;
  uint8_t blocks[kBytesMax];
  float values[kColumns];
  FillBlocks(format, 1, kColumns / kFormats[format].block_elements, blocks);
  dequantize(blocks, kColumns, values);
  Sha256 state;
  Sha256Start(state);
  const Sha256Code code = {"scalar", Sha256CompressScalar};
  Sha256Update(code, state, reinterpret_cast<const uint8_t*>(values), sizeof values);
  uint8_t digest[kSha256Bytes];
  Sha256Finish(code, state, digest);
  WriteHex(digest, hash);
}

const char* RunSelfTest(const Kernels& kernels) {
  size_t count = 0;
  const Sha256Code* codes = RunnableSha256(&count);
  for (size_t i = 0; i < count; ++i) {
    if (!HashesTo(codes[i], kMessage, kMessageHash)) return codes[i].name;
    if (!HashesTo(codes[i], "", kEmptyHash)) return codes[i].name;
  }
  for (uint32_t format = 0; format < kFormatCount; ++format) {
    const Quantizer& quantizer = kernels.make[format];
    for (const bool weighted : {false, true}) {
      const QuantizeRows make = weighted ? quantizer.weighted : quantizer.plain;
      if (make == nullptr) continue;
      char hash[2 * kSha256Bytes + 1];
      HashKernel(kernels, format, weighted, hash);
      if (!IsStored(kFormats[format].name, weighted, hash)) return kFormats[format].name;
    }
  }
  for (uint32_t format = 0; format < kFormatCount; ++format) {
    char hash[2 * kSha256Bytes + 1];
    HashDequantizer(kernels.dequantize[format], format, hash);
    if (!AreStoredFloats(kFormats[format].name, hash)) return kFormats[format].name;
  }
  const ForwardKernels* const forward = PickForward(kernels.isa);
  return forward == nullptr ? nullptr : RunForwardSelfTest(*forward);
}

}  // namespace quantd
