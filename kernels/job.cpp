#include "job.h"

#include "numbers.h"
#include "stopwatch.h"

namespace quantd {
namespace {

// Whether the scale that is spread over the top nibbles of four words is infinite or no number.
bool IsBadSpreadHalf(const uint8_t* words) {
  uint32_t bits = 0;
  for (int i = 0; i < 4; ++i) bits |= (LoadU16(words + 2 * i) >> 12 & 15u) << 4 * i;
  return (bits & kHalfExponent) == kHalfExponent;
}

bool IsBadBlock(const Format& format, const uint8_t* block) {
  const uint8_t* at = block + format.check_at[0];
  if (format.check == Check::kFourNibbles) return IsBadSpreadHalf(at);
  if (format.check == Check::kPowerOfTwo) return *at == 0xFF;
  for (uint32_t i = 0; i < format.checked; ++i) {
    if ((LoadU16(block + format.check_at[i]) & kHalfExponent) == kHalfExponent) return true;
  }
  return false;
}

// Elements [start, start + count) of the flat source; never more than one row when it is not
// whole rows.
struct Span {
  size_t start;
  size_t rows;
  size_t columns;
};

struct Failure {
  Outcome outcome;
  size_t element;
  size_t target;
};

// Makes a span's blocks in every format, and finds the first element that one could not store.
// Returns false when there is one.
bool MakeSpan(const Kernels& kernels, const QuantizeRequest& request, const Span& span,
              const float* values, Failure& failure) {
  const size_t count = span.rows * span.columns;
  size_t first = count;
  for (size_t t = 0; t < request.targets.size(); ++t) {
    const Target& target = request.targets[t];
    const Format& format = kFormats[target.format];
    uint8_t* into = target.into + span.start / format.block_elements * format.block_bytes;
    const QuantizeRows make = FindQuantizer(kernels, target.format, request.importance != nullptr);
    const size_t made = make(values, span.rows, span.columns, request.importance, into);
    const size_t bad =
        FindBadBlock(kernels, target.format, into, made / format.block_elements) *
        format.block_elements;
    if (bad < first) {
      first = bad;
      const Outcome outcome = bad < made ? Outcome::kScaleOverflow : Outcome::kNoGridPoint;
      failure = {outcome, span.start + bad, t};
    }
  }
  return first == count;
}

// The blocks of a span in one of its formats.
struct Made {
  const uint8_t* bytes;
  size_t size;
};

Made FindMade(const Target& target, const Span& span) {
  const Format& format = kFormats[target.format];
  const size_t blocks = span.rows * span.columns / format.block_elements;
  return {target.into + span.start / format.block_elements * format.block_bytes,
          blocks * format.block_bytes};
}

// What has been digested of each target.
struct Digesting {
  const DigestCodes& codes;
  std::vector<Sha256> hashes;
  std::vector<Checksum> sums;

  Digesting(const DigestCodes& with, size_t targets) : codes(with), hashes(targets), sums(targets) {
    for (Sha256& hash : hashes) Sha256Start(hash);
    for (Checksum& sum : sums) ChecksumStart(sum);
  }

  void Finish(QuantizeReply& reply) {
    reply.digests.resize(hashes.size());
    reply.sums.resize(sums.size());
    for (size_t t = 0; t < hashes.size(); ++t) {
      Sha256Finish(codes.sha256, hashes[t], reply.digests[t].bytes);
      ChecksumFinish(sums[t], reply.sums[t].bytes);
    }
  }
};

void SumSpan(const QuantizeRequest& request, const Span& span, Digesting& digesting) {
  for (size_t t = 0; t < request.targets.size(); ++t) {
    const Made made = FindMade(request.targets[t], span);
    ChecksumUpdate(digesting.codes.checksum, digesting.sums[t], made.bytes, made.size);
  }
}

// Two targets at a time, which is faster than one after the other.
void HashSpan(const Sha256Code& sha256, const QuantizeRequest& request, const Span& span,
              std::vector<Sha256>& hashes) {
  const size_t count = hashes.size();
  for (size_t t = 0; t < count; t += 2) {
    const Made first = FindMade(request.targets[t], span);
    size_t both = 0;
    if (t + 1 < count) {
      const Made second = FindMade(request.targets[t + 1], span);
      both = first.size < second.size ? first.size : second.size;
      Sha256UpdateTwo(sha256, hashes[t], first.bytes, hashes[t + 1], second.bytes, both);
      Sha256Update(sha256, hashes[t + 1], second.bytes + both, second.size - both);
    }
    Sha256Update(sha256, hashes[t], first.bytes + both, first.size - both);
  }
}

// The next span from `start`: as many whole rows as fit, or a piece of a row that does not. With
// importance a row is never cut.
Span NextSpan(const QuantizeRequest& request, size_t start) {
  const size_t left = request.rows * request.columns - start;
  if (request.columns > kSpanElements) {
    if (request.importance != nullptr) return {start, 1, request.columns};
    const size_t in_row = request.columns - start % request.columns;
    return {start, 1, in_row < kSpanElements ? in_row : kSpanElements};
  }
  const size_t rows = kSpanElements / request.columns;
  const size_t rows_left = left / request.columns;
  return {start, rows < rows_left ? rows : rows_left, request.columns};
}

}  // namespace

size_t FindBadBlock(const Kernels& kernels, uint32_t index, const uint8_t* blocks, size_t count) {
  const Format& format = kFormats[index];
  if (format.check == Check::kNothing) return count;
  if (format.check == Check::kElement) return kernels.find_non_finite[index](blocks, count);
  for (size_t b = 0; b < count; ++b) {
    if (IsBadBlock(format, blocks + b * format.block_bytes)) return b;
  }
  return count;
}

QuantizeRows FindQuantizer(const Kernels& kernels, uint32_t format, bool weighted) {
  const bool uses = weighted && kFormats[format].importance != Importance::kIgnored;
  return uses ? kernels.make[format].weighted : kernels.make[format].plain;
}

QuantizeReply RunQuantize(const Kernels& kernels, const DigestCodes& codes,
                          const QuantizeRequest& request, std::vector<float>& scratch,
                          const std::atomic<bool>& stop, Between* between) {
  QuantizeReply reply;
  const size_t count = request.rows * request.columns;
  const auto fail = [&](Outcome outcome, size_t element, size_t target) {
    reply.outcome = outcome;
    reply.row = element / request.columns;
    reply.column = element % request.columns;
    reply.target = target;
    return reply;
  };

  const Format& format = kFormats[request.format];
  const Stopwatch running;
  double hash_seconds = 0;
  double other_seconds = 0;
  bool failed = false;
  Failure failure = {};
  Digesting digesting(codes, request.targets.size());
  for (size_t start = 0; start < count;) {
    if (stop.load(std::memory_order_relaxed)) return fail(Outcome::kStopped, 0, 0);
    const Span span = NextSpan(request, start);
    const size_t size = span.rows * span.columns;
    const uint8_t* source =
        request.source + start / format.block_elements * format.block_bytes;
    if (scratch.size() < size) scratch.resize(size);
    kernels.dequantize[request.format](source, size, scratch.data());
    const size_t bad =
        kernels.find_non_finite[kF32](reinterpret_cast<const uint8_t*>(scratch.data()), size);
    if (bad < size) return fail(Outcome::kSourceNotFinite, start + bad, 0);
    // What is no number is the better news, so the rest is looked at even when nothing is made.
    if (!failed) {
      failed = !MakeSpan(kernels, request, span, scratch.data(), failure);
    }
    if (!failed) {
      const Stopwatch hashing;
      HashSpan(codes.sha256, request, span, digesting.hashes);
      SumSpan(request, span, digesting);
      hash_seconds += hashing.Seconds();
    }
    if (between != nullptr) {
      const Stopwatch elsewhere;
      between->Run();
      other_seconds += elsewhere.Seconds();
    }
    start += size;
  }
  if (failed) return fail(failure.outcome, failure.element, failure.target);

  const double seconds = running.Seconds() - other_seconds;
  if (seconds > 0) reply.hash_share = hash_seconds / seconds;
  digesting.Finish(reply);
  return reply;
}

}  // namespace quantd
