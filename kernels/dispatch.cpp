// Picks the kernels. A new instruction set is one row below and one list of flags in the build.
//
// The CPU checks live here, not beside the kernels: this file is compiled for every CPU, so
// asking "can you run AVX-512?" never needs AVX-512 to answer.
#include "dispatch.h"

#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

namespace quantd {
namespace {

#if defined(__x86_64__)

struct Features {
  bool avx2;    // With FMA, F16C and BMI, and an operating system that saves the registers.
  bool avx512;  // The x86-64-v4 level: F, BW, CD, DQ, VL.
  bool avx512bf16;
  bool amx;  // Its tiles and those of bfloat16, and a process that may use them.
  bool sha;
  bool crc;
};

bool Has(uint32_t bits, uint32_t wanted) { return (bits & wanted) == wanted; }

// Linux keeps no room for tiles where a thread is put aside until a process asks for it.
bool AskForTiles() {
#if defined(__linux__)
  constexpr int kRequestPermission = 0x1023;
  constexpr int kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

Features AskCpu() {
  uint32_t a = 0;
  uint32_t b = 0;
  uint32_t c = 0;
  uint32_t d = 0;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return {};
  const uint32_t leaf1 = c;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return {};
  const uint32_t leaf7 = b;
  const uint32_t leaf7d = d;
  uint32_t saved = 0;
  if (Has(leaf1, bit_OSXSAVE)) {
    uint32_t high = 0;
    __asm__ volatile("xgetbv" : "=a"(saved), "=d"(high) : "c"(0));
  }
  // XCR0: 1 SSE, 2 AVX, 5-7 the AVX-512 state.
  const bool avx2 = Has(saved, 0x06) && Has(leaf1, bit_FMA | bit_AVX | bit_F16C) &&
                    Has(leaf7, bit_AVX2 | bit_BMI | bit_BMI2);
  const uint32_t level4 =
      bit_AVX512F | bit_AVX512DQ | bit_AVX512CD | bit_AVX512BW | bit_AVX512VL;
  const bool avx512 = avx2 && Has(saved, 0xE6) && Has(leaf7, level4);
  const bool sha = Has(leaf7, bit_SHA) && Has(leaf1, bit_SSE4_1 | bit_SSSE3);
  constexpr uint32_t kBf16 = 1 << 5;
  const bool bf16 = __get_cpuid_count(7, 1, &a, &b, &c, &d) && Has(a, kBf16);
  // XCR0: 17 the shapes of tiles, 18 the tiles.
  constexpr uint32_t kAmx = 1 << 22 | 1 << 24;
  const bool amx = avx512 && bf16 && Has(leaf7d, kAmx) && Has(saved, 0x60000) && AskForTiles();
  return {avx2, avx512, avx512 && bf16, amx, sha, Has(leaf1, bit_SSE4_2)};
}

const Features& Cpu() {
  static const Features features = AskCpu();
  return features;
}

#elif defined(__aarch64__)

bool HasShaInstructions() {
#if defined(__linux__)
  constexpr unsigned long kHwcapSha2 = 1 << 6;
  return (getauxval(AT_HWCAP) & kHwcapSha2) != 0;
#else
  return true;  // Every aarch64 machine of Apple has them.
#endif
}

bool HasCrcInstructions() {
#if defined(__linux__)
  constexpr unsigned long kHwcapCrc32 = 1 << 7;
  return (getauxval(AT_HWCAP) & kHwcapCrc32) != 0;
#else
  return true;  // Likewise.
#endif
}

#endif

// What FeignCpuWithout was told.
const char* feigned_lacks = "";

bool IsFeignedLack(const char* set) {
  const size_t length = strlen(set);
  for (const char* at = feigned_lacks; (at = strstr(at, set)) != nullptr; ++at) {
    const bool begins = at == feigned_lacks || at[-1] == ',';
    if (begins && (at[length] == ',' || at[length] == '\0')) return true;
  }
  return false;
}

struct Row {
  const Kernels* kernels;
  bool (*supported)();
};

[[maybe_unused]] bool Always() { return true; }

const Row kFastestFirst[] = {
#if defined(QUANTD_HAVE_AVX512)
    {&avx512::kKernels, [] { return Cpu().avx512; }},
#endif
#if defined(QUANTD_HAVE_AVX2)
    {&avx2::kKernels, [] { return Cpu().avx2; }},
#endif
#if defined(QUANTD_HAVE_NEON)
    {&neon::kKernels, Always},
#endif
    {&scalar::kKernels, Always},
};

constexpr size_t kRows = sizeof kFastestFirst / sizeof kFastestFirst[0];

struct Sets {
  const Kernels* runnable[kRows + 1] = {};
  const Kernels* lacking[kRows + 1] = {};
  Sets() {
    const Kernels** run = runnable;
    const Kernels** lack = lacking;
    for (const Row& row : kFastestFirst) {
      const bool runs = row.supported() && !IsFeignedLack(row.kernels->isa);
      // The scalar kernels are what the others are compared with.
      *(runs || row.kernels == &scalar::kKernels ? run : lack)++ = row.kernels;
    }
  }
};

const Sets& KernelSets() {
  static const Sets sets;
  return sets;
}

struct ShaCodes {
  Sha256Code runnable[2] = {};
  size_t count = 0;
  const char* lacking = nullptr;
  ShaCodes() {
#if defined(__x86_64__)
    Offer({"sha-ni", Sha256CompressX86, Sha256CompressTwoX86}, Cpu().sha);
#elif defined(__aarch64__)
    Offer({"armv8", Sha256CompressArm}, HasShaInstructions());
#endif
    runnable[count++] = {"scalar", Sha256CompressScalar};
  }
  [[maybe_unused]] void Offer(const Sha256Code& code, bool supported) {
    if (supported && !IsFeignedLack(code.name)) {
      runnable[count++] = code;
    } else {
      lacking = code.name;
    }
  }
};

struct CrcCodes {
  ChecksumCode runnable[2] = {};
  size_t count = 0;
  CrcCodes() {
#if defined(__x86_64__)
    if (Cpu().crc && !IsFeignedLack("sse4.2")) runnable[count++] = {"sse4.2", ChecksumBlocksX86};
#elif defined(__aarch64__)
    if (HasCrcInstructions() && !IsFeignedLack("crc")) {
      runnable[count++] = {"crc", ChecksumBlocksArm};
    }
#endif
    runnable[count++] = {"scalar", ChecksumBlocksScalar};
  }
};

const ShaCodes& Sha256Codes() {
  static const ShaCodes codes;
  return codes;
}

}  // namespace

const Kernels* const* RunnableKernels() { return KernelSets().runnable; }

const Kernels* const* LackingKernels() { return KernelSets().lacking; }

const Kernels* PickKernels(const char* forced) {
  for (const Kernels* const* row = RunnableKernels(); *row != nullptr; ++row) {
    if (forced == nullptr || strcmp(forced, (*row)->isa) == 0) return *row;
  }
  return nullptr;
}

bool CpuRuns(const char* set) {
  const auto is = [set](const char* name) { return strcmp(set, name) == 0; };
  // The scalar kernels are what the others are compared with.
  if (is("scalar")) return true;
  if (IsFeignedLack(set)) return false;
#if defined(__x86_64__)
  return (is("avx2") && Cpu().avx2) || (is("avx512") && Cpu().avx512) ||
         (is("avx512bf16") && Cpu().avx512bf16) || (is("amx") && Cpu().amx);
#else
  return is("neon");
#endif
}

const Sha256Code* RunnableSha256(size_t* count) {
  *count = Sha256Codes().count;
  return Sha256Codes().runnable;
}

const ChecksumCode* RunnableChecksums(size_t* count) {
  static const CrcCodes codes;
  *count = codes.count;
  return codes.runnable;
}

const char* LackingSha256() { return Sha256Codes().lacking; }

void FeignCpuWithout(const char* sets) { feigned_lacks = sets == nullptr ? "" : sets; }

}  // namespace quantd
