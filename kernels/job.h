// Job: rows of a source to blocks of every wanted format, with their digests.
//
//   source bytes ──▶ finite? ──▶ span by span: float (and importance) ──▶ blocks ──▶ valid?
//                                                                             ──▶ SHA-256
//
// Plain C++, so that the check program runs it too. Read next: addon.cpp, which checks what
// JavaScript passes and then calls this.
#ifndef QUANTD_JOB_H_
#define QUANTD_JOB_H_

#include <atomic>
#include <vector>

#include "checksum.h"
#include "kernels.h"
#include "sha256.h"

namespace quantd {

// The floats of one span: 128 KiB, which stays in a core's second-level cache while several
// formats are made of it.
inline constexpr size_t kSpanElements = 32768;
static_assert(kSpanElements % kBlockElementsMax == 0);

// Rows with importance go through the kernels whole; this bounds the floats of one, 4 MiB.
inline constexpr size_t kWeightedColumnsMax = 1 << 20;

struct Target {
  uint32_t format;  // Index into kFormats.
  uint8_t* into;    // Exactly the bytes of the rows in this format.
};

struct QuantizeRequest {
  const uint8_t* source;
  uint32_t format;  // Of the source: index into kFormats.
  size_t rows;
  size_t columns;  // A whole number of blocks of the source and of every target.
  // (columns), or null. Where it is given, columns <= kWeightedColumnsMax.
  const float* importance;
  // Each has a kernel (FindQuantizer).
  std::vector<Target> targets;
};

struct Digest {
  uint8_t bytes[kSha256Bytes];
};

struct Sum {
  uint8_t bytes[kChecksumBytes];
};

// What bytes are digested with.
struct DigestCodes {
  const Sha256Code& sha256;
  const ChecksumCode& checksum;
};

// What a thread does between two spans, some thousand times a second.
struct Between {
  virtual ~Between() = default;
  virtual void Run() = 0;
};

enum class Outcome {
  kDone,
  kSourceNotFinite,
  kScaleOverflow,  // A scale or a plain number became infinite: the format cannot hold the row.
  kNoGridPoint,    // A codebook has no entry for so large a number.
  kStopped,
};

struct QuantizeReply {
  Outcome outcome = Outcome::kDone;
  // Where it failed: the first row, in it the first column (of the first bad block), there the
  // first target.
  size_t row = 0;
  size_t column = 0;
  size_t target = 0;
  std::vector<Digest> digests;  // One per target, and so of sums.
  std::vector<Sum> sums;
  double hash_share = 0;  // Of the time that the job took.
};

// The kernel for a format with or without importance at hand, null when there is none. Formats
// that ignore importance have one kernel for both.
QuantizeRows FindQuantizer(const Kernels& kernels, uint32_t format, bool weighted);

// The index of the first block that is worthless: a scale, or the number itself, is infinite or no
// number. `count` when there is none.
size_t FindBadBlock(const Kernels& kernels, uint32_t format, const uint8_t* blocks, size_t count);

// scratch grows to the floats of one span. Looks at `stop` between spans.
QuantizeReply RunQuantize(const Kernels& kernels, const DigestCodes& codes,
                          const QuantizeRequest& request, std::vector<float>& scratch,
                          const std::atomic<bool>& stop, Between* between = nullptr);

}  // namespace quantd

#endif
