// Check: every instruction set against the scalar kernels, and everything else that can be tried
// without JavaScript.
//
//   check                  aborts at the first difference; prints what held
//   check --quick          the same with a quarter of the rows, for emulators and sanitizers
//   check --self-test      the stored hashes alone
//   check --hashes         prints self-test-hashes.inc, made by the scalar kernels
//   check --float-hashes   prints self-test-float-hashes.inc, made by them too
//
// QUANTD_CPU_WITHOUT=avx512,sha-ni makes it as if the CPU had not these.
//
// Built with the address and undefined-behaviour sanitizers by `build.mjs --sanitize`; run by
// scripts/kernel-checks.mjs.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vector>

#include "dispatch.h"
#include "float-state.h"
#include "job.h"
#include "numbers.h"
#include "samples.h"
#include "self-test.h"

namespace quantd {
namespace {

// Between the lengths of the rows of one kind. Every kind begins elsewhere, so that all lengths
// occur.
constexpr size_t kFullStep = 3;
constexpr size_t kQuickStep = 11;

[[noreturn]] void Fail(const char* what, const char* which) {
  fprintf(stderr, "check: %s: %s\n", what, which);
  abort();
}

size_t BytesOf(uint32_t format, size_t elements) {
  return elements / kFormats[format].block_elements * kFormats[format].block_bytes;
}

struct Rows {
  size_t rows;
  size_t columns;
  std::vector<float> values;
  std::vector<float> importance;  // Empty where there is none.
};

// What a kernel makes of rows, cut to the blocks that it could make; exactly as large as needed,
// so that a sanitizer sees a step beyond the end.
std::vector<uint8_t> Make(QuantizeRows make, uint32_t format, const Rows& rows) {
  std::vector<uint8_t> blocks(BytesOf(format, rows.values.size()));
  const float* importance = rows.importance.empty() ? nullptr : rows.importance.data();
  const size_t made =
      make(rows.values.data(), rows.rows, rows.columns, importance, blocks.data());
  if (made > rows.values.size()) Fail("makes too many elements", kFormats[format].name);
  blocks.resize(BytesOf(format, made));
  return blocks;
}

QuantizeRows KernelOf(const Kernels& kernels, uint32_t format, bool weighted) {
  return weighted ? kernels.make[format].weighted : kernels.make[format].plain;
}

// Rows of one kind, which fill lanes to a different degree for every number of blocks.
Rows SampleRows(uint32_t kind, size_t blocks, uint32_t format, bool weighted) {
  const uint32_t elements = kFormats[format].block_elements;
  const size_t columns = blocks * (elements < 32 ? 32 : elements);
  Rows rows = {1 + blocks % 3, columns, {}, {}};
  rows.values.resize(rows.rows * columns);
  FillSample(kind, blocks, rows.values.size(), rows.values.data());
  if (weighted) {
    rows.importance.resize(columns);
    FillImportance(static_cast<uint32_t>(kind + blocks), blocks, columns, rows.importance.data());
  }
  return rows;
}

// Every set against the scalar one: rows of 1 to 32 blocks of every kind, `step` apart.
void CompareWithScalar(uint32_t format, bool weighted, size_t step) {
  const FloatState controlled;
  const QuantizeRows scalar_make = KernelOf(scalar::kKernels, format, weighted);
  for (uint32_t kind = 0; kind < kSampleKinds; ++kind) {
    for (size_t blocks = 1 + kind % step; blocks <= 32; blocks += step) {
      const Rows rows = SampleRows(kind, blocks, format, weighted);
      std::vector<uint8_t> expected;
      if (scalar_make != nullptr) expected = Make(scalar_make, format, rows);
      for (const Kernels* const* set = RunnableKernels(); *set != nullptr; ++set) {
        const QuantizeRows make = KernelOf(**set, format, weighted);
        if ((make == nullptr) != (scalar_make == nullptr)) {
          Fail("is not in every set", kFormats[format].name);
        }
        if (make == nullptr || make == scalar_make) continue;
        if (Make(make, format, rows) != expected) {
          Fail(weighted ? "with importance differs from scalar" : "differs from scalar",
               kFormats[format].name);
        }
      }
    }
  }
}

// All 65536 halves and bfloat16s there and back; the non-finite ones are found.
void CheckElements(const Kernels& kernels) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    uint8_t source[2];
    StoreU16(source, static_cast<uint16_t>(bits));
    const bool finite_half = (bits & kHalfExponent) != kHalfExponent;
    const bool finite_float = (bits & kFloatExponent) != kFloatExponent;
    if ((kernels.find_non_finite[kF16](source, 1) == 1) != finite_half ||
        (kernels.find_non_finite[kBF16](source, 1) == 1) != finite_float) {
      Fail("non-finite elements are missed", kernels.isa);
    }
    float value;
    uint8_t back[2];
    kernels.dequantize[kF16](source, 1, &value);
    kernels.make[kF16].plain(&value, 1, 1, nullptr, back);
    if (finite_half && LoadU16(back) != bits) Fail("halves change", kernels.isa);
    kernels.dequantize[kBF16](source, 1, &value);
    kernels.make[kBF16].plain(&value, 1, 1, nullptr, back);
    if (finite_float && LoadU16(back) != bits) Fail("bfloat16s change", kernels.isa);
  }
}

// Two states that do not begin at the same byte, and both go on where they were cut.
void CheckSha256Two(const Sha256Code& code, const std::vector<uint8_t>& message, size_t cut,
                    const uint8_t expected[kSha256Bytes]) {
  Sha256 whole;
  Sha256 part;
  Sha256 plain;
  uint8_t digest[kSha256Bytes];
  uint8_t of_part[kSha256Bytes];
  for (Sha256* state : {&whole, &part, &plain}) Sha256Start(*state);
  const size_t first = cut / 3;
  const uint8_t* bytes = message.data();
  Sha256Update(code, whole, bytes, first);
  Sha256UpdateTwo(code, whole, bytes + first, part, bytes + first, cut - first);
  Sha256UpdateTwo(code, part, bytes + cut, whole, bytes + cut, message.size() - cut);
  Sha256Update(code, plain, bytes + first, message.size() - first);
  Sha256Finish(code, whole, digest);
  if (memcmp(digest, expected, sizeof digest) != 0) Fail("SHA-256 of two differs", code.name);
  Sha256Finish(code, part, digest);
  Sha256Finish(code, plain, of_part);
  if (memcmp(digest, of_part, sizeof digest) != 0) Fail("SHA-256 of two differs", code.name);
}

// Any cut of a message gives the digest of the whole, also through an exported state, also when
// the codes take turns.
void CheckSha256() {
  size_t count = 0;
  const Sha256Code* codes = RunnableSha256(&count);
  std::vector<uint8_t> message(1000);
  for (size_t i = 0; i < message.size(); ++i) message[i] = static_cast<uint8_t>(i * i >> 3);
  for (size_t cut = 0; cut <= message.size(); ++cut) {
    Sha256 whole;
    uint8_t expected[kSha256Bytes];
    Sha256Start(whole);
    Sha256Update({"scalar", Sha256CompressScalar}, whole, message.data(), message.size());
    Sha256Finish({"scalar", Sha256CompressScalar}, whole, expected);
    for (size_t i = 0; i < count; ++i) {
      Sha256 first;
      Sha256Start(first);
      Sha256Update(codes[i], first, message.data(), cut);
      uint8_t exported[kSha256StateBytes];
      Sha256Export(first, exported);
      Sha256 second;
      if (!Sha256Import(exported, second)) Fail("SHA-256 state is refused", codes[i].name);
      const Sha256Code& other = codes[(i + 1) % count];
      Sha256Update(other, second, message.data() + cut, message.size() - cut);
      uint8_t digest[kSha256Bytes];
      Sha256Finish(other, second, digest);
      if (memcmp(digest, expected, sizeof digest) != 0) Fail("SHA-256 differs", codes[i].name);
      CheckSha256Two(codes[i], message, cut, expected);
    }
  }
  uint8_t broken[kSha256StateBytes] = {};
  broken[kSha256StateBytes - 1] = 1;
  Sha256 refused;
  if (Sha256Import(broken, refused)) Fail("SHA-256 takes a broken state", "import");
}

// Any cut of the bytes gives what one lane after the other gives in one go, also when the codes take
// turns; and a lane is CRC-32C: RFC 3720, appendix B.4, of 32 zeros and of the bytes 0 to 31.
void CheckChecksum() {
  size_t count = 0;
  const ChecksumCode* codes = RunnableChecksums(&count);
  std::vector<uint8_t> bytes(128);
  for (size_t i = 0; i < bytes.size(); ++i) {
    const size_t own = i / 32 * 8 + i % 8;
    bytes[i] = i / 8 % 4 == 1 ? static_cast<uint8_t>(own) : 0;
  }
  const uint8_t expected[kChecksumBytes] = {0xAA, 0x36, 0x91, 0x8A, 0x4E, 0x79, 0xDD, 0x46,
                                            0xAA, 0x36, 0x91, 0x8A, 0xAA, 0x36, 0x91, 0x8A};
  for (size_t end = 0; end <= bytes.size(); ++end) {
    Checksum whole;
    uint8_t of_whole[kChecksumBytes];
    ChecksumStart(whole);
    ChecksumUpdate({"scalar", ChecksumBlocksScalar}, whole, bytes.data(), end);
    ChecksumFinish(whole, of_whole);
    if (end == bytes.size() && memcmp(of_whole, expected, sizeof expected) != 0) {
      Fail("the checksum is not CRC-32C", "scalar");
    }
    for (size_t i = 0; i < count * (end + 1); ++i) {
      const size_t cut = i / count;
      Checksum state;
      uint8_t sum[kChecksumBytes];
      ChecksumStart(state);
      ChecksumUpdate(codes[i % count], state, bytes.data(), cut);
      ChecksumUpdate(codes[(i + 1) % count], state, bytes.data() + cut, end - cut);
      ChecksumFinish(state, sum);
      if (memcmp(sum, of_whole, sizeof sum) != 0) Fail("checksum differs", codes[i % count].name);
    }
  }
}

// A job with rows longer than a span, every target at once, and each way to fail.
void CheckJobs(const Kernels& kernels, bool weighted) {
  const size_t columns = kSpanElements + 512;
  const size_t rows = 3;
  std::vector<float> values(rows * columns);
  FillSample(0, 1, values.size(), values.data());
  std::vector<float> importance(columns);
  FillImportance(1, 1, columns, importance.data());
  const float* const weights = weighted ? importance.data() : nullptr;
  size_t count = 0;
  const DigestCodes codes = {*RunnableSha256(&count), *RunnableChecksums(&count)};
  std::vector<float> scratch;
  std::atomic<bool> stop{false};
  std::vector<std::vector<uint8_t>> blocks(kFormatCount);
  std::vector<uint8_t> source(values.size() * 4 + 1);
  memcpy(source.data() + 1, values.data(), values.size() * 4);  // Not aligned, on purpose.
  QuantizeRequest request = {source.data() + 1, kF32, rows, columns, weights, {}};
  for (uint32_t format = 0; format < kFormatCount; ++format) {
    if (FindQuantizer(kernels, format, weighted) == nullptr) continue;
    blocks[format].resize(BytesOf(format, values.size()));
    request.targets.push_back({format, blocks[format].data()});
  }
  if (RunQuantize(kernels, codes, request, scratch, stop).outcome != Outcome::kDone) {
    Fail("a good job fails", kernels.isa);
  }
  for (const auto& [format, into] : request.targets) {
    std::vector<uint8_t> expected(blocks[format].size());
    FindQuantizer(kernels, format, weighted)(values.data(), rows, columns, weights,
                                             expected.data());
    if (expected != blocks[format]) Fail("the cut into spans changes bytes", kFormats[format].name);
  }
  // No half holds it, but a float holds its square: the other blocks of its row stay good.
  const float huge = 1e10f;
  memcpy(source.data() + 1 + (columns + 70) * 4, &huge, 4);
  QuantizeReply reply = RunQuantize(kernels, codes, request, scratch, stop);
  // F16 cannot hold the very element; larger blocks that hold it begin earlier. A codebook may
  // have no entry for it.
  const Format& culprit = kFormats[request.targets[reply.target].format];
  if ((reply.outcome != Outcome::kScaleOverflow && reply.outcome != Outcome::kNoGridPoint) ||
      reply.row != 1 || reply.column != 70 - 70 % culprit.block_elements) {
    Fail("an overflow is not found", kernels.isa);
  }
  const uint32_t nan = 0x7FC00000;
  memcpy(source.data() + 1 + (2 * columns + 5) * 4, &nan, 4);
  reply = RunQuantize(kernels, codes, request, scratch, stop);
  if (reply.outcome != Outcome::kSourceNotFinite || reply.row != 2 || reply.column != 5) {
    Fail("a NaN is not found", kernels.isa);
  }
}

void PrintHashes() {
  for (uint32_t format = 0; format < kFormatCount; ++format) {
    const Quantizer& quantizer = scalar::kKernels.make[format];
    for (const bool weighted : {false, true}) {
      if ((weighted ? quantizer.weighted : quantizer.plain) == nullptr) continue;
      char hash[2 * kSha256Bytes + 1];
      HashKernel(scalar::kKernels, format, weighted, hash);
      printf("    {\"%s\", %s,\n     \"%s\"},\n", kFormats[format].name,
             weighted ? "true" : "false", hash);
    }
  }
}

void PrintFloatHashes() {
  for (uint32_t format = 0; format < kFormatCount; ++format) {
    char hash[2 * kSha256Bytes + 1];
    HashDequantizer(scalar::kKernels.dequantize[format], format, hash);
    printf("    {\"%s\",\n     \"%s\"},\n", kFormats[format].name, hash);
  }
}

// What was built and is not checked here.
void PrintLeftOut() {
  for (const Kernels* const* row = LackingKernels(); *row != nullptr; ++row) {
    printf("%s: left out: CPU\n", (*row)->isa);
  }
  if (LackingSha256() != nullptr) printf("%s: left out: CPU\n", LackingSha256());
}

void CheckSelfTests() {
  for (const Kernels* const* row = RunnableKernels(); *row != nullptr; ++row) {
    const char* wrong = RunSelfTest(**row);
    if (wrong != nullptr) Fail((*row)->isa, wrong);
    printf("%s: stored hashes hold\n", (*row)->isa);
  }
  PrintLeftOut();
}

void CheckAll(size_t step) {
  CheckSha256();
  CheckChecksum();
  for (uint32_t format = 0; format < kFormatCount; ++format) {
    for (const bool weighted : {false, true}) CompareWithScalar(format, weighted, step);
  }
  for (const Kernels* const* row = RunnableKernels(); *row != nullptr; ++row) {
    const Kernels& kernels = **row;
    uint32_t kernel_count = 0;
    for (const Quantizer& quantizer : kernels.make) {
      kernel_count += (quantizer.plain != nullptr ? 1 : 0) + (quantizer.weighted != nullptr ? 1 : 0);
    }
    CheckElements(kernels);
    CheckJobs(kernels, false);
    CheckJobs(kernels, true);
    const char* wrong = RunSelfTest(kernels);
    if (wrong != nullptr) Fail("self-test", wrong);
    printf("%s: %u kernels hold\n", kernels.isa, static_cast<unsigned>(kernel_count));
  }
  PrintLeftOut();
}

}  // namespace
}  // namespace quantd

int main(int argc, char** argv) {
  quantd::FeignCpuWithout(getenv("QUANTD_CPU_WITHOUT"));
  if (argc > 1 && strcmp(argv[1], "--hashes") == 0) {
    quantd::PrintHashes();
  } else if (argc > 1 && strcmp(argv[1], "--float-hashes") == 0) {
    quantd::PrintFloatHashes();
  } else if (argc > 1 && strcmp(argv[1], "--self-test") == 0) {
    quantd::CheckSelfTests();
  } else {
    const bool quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
    quantd::CheckAll(quick ? quantd::kQuickStep : quantd::kFullStep);
  }
  return 0;
}
