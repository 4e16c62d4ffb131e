#include "job.h"

#include "numbers.h"

namespace quantd {
namespace {

// The index of the first block that cannot be used; `count` when all can.
size_t FindBadBlock(const Kernels& kernels, uint32_t index, const uint8_t* blocks, size_t count) {
  if (index < kPlainCount) return kernels.find_non_finite[index](blocks, count);
  const Format& format = kFormats[index];
  for (size_t b = 0; b < count; ++b) {
    for (uint32_t i = 0; i < format.checked; ++i) {
      const uint16_t bits = LoadU16(blocks + b * format.block_bytes + format.check_at[i]);
      if ((bits & kHalfExponent) == kHalfExponent) return b;
    }
  }
  return count;
}

// Elements [start, start + count) of the flat source; never more than one row when it is not
// whole rows.
struct Span {
  size_t start;
  size_t rows;
  size_t columns;
};

struct Overflow {
  size_t element;
  size_t target;
};

// Makes a span's blocks in every format, and finds the first element that none could store.
// Returns false when there is one.
bool MakeSpan(const Kernels& kernels, const Sha256Code& sha256, const QuantizeRequest& request,
              const Span& span, const float* values, std::vector<Sha256>& hashes,
              Overflow& overflow) {
  const size_t count = span.rows * span.columns;
  size_t first = count;
  for (size_t t = 0; t < request.targets.size(); ++t) {
    const Target& target = request.targets[t];
    const Format& format = kFormats[target.format];
    uint8_t* into = target.into + span.start / format.block_elements * format.block_bytes;
    const size_t blocks = count / format.block_elements;
    kernels.quantize[target.format](values, span.rows, span.columns, into);
    const size_t bad =
        FindBadBlock(kernels, target.format, into, blocks) * format.block_elements;
    if (bad < first) {
      first = bad;
      overflow = {span.start + bad, t};
    }
    Sha256Update(sha256, hashes[t], into, blocks * format.block_bytes);
  }
  return first == count;
}

// The next span from `start`: as many whole rows as fit, or a piece of a row that does not.
Span NextSpan(const QuantizeRequest& request, size_t start) {
  const size_t left = request.rows * request.columns - start;
  if (request.columns > kSpanElements) {
    const size_t in_row = request.columns - start % request.columns;
    return {start, 1, in_row < kSpanElements ? in_row : kSpanElements};
  }
  const size_t rows = kSpanElements / request.columns;
  const size_t rows_left = left / request.columns;
  return {start, rows < rows_left ? rows : rows_left, request.columns};
}

}  // namespace

QuantizeReply RunQuantize(const Kernels& kernels, const Sha256Code& sha256,
                          const QuantizeRequest& request, float* scratch,
                          const std::atomic<bool>& stop) {
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
  bool overflowed = false;
  Overflow overflow = {};
  std::vector<Sha256> hashes(request.targets.size());
  for (Sha256& hash : hashes) Sha256Start(hash);
  for (size_t start = 0; start < count;) {
    if (stop.load(std::memory_order_relaxed)) return fail(Outcome::kStopped, 0, 0);
    const Span span = NextSpan(request, start);
    const size_t size = span.rows * span.columns;
    const uint8_t* source =
        request.source + start / format.block_elements * format.block_bytes;
    kernels.dequantize[request.format](source, size, scratch);
    const size_t bad =
        kernels.find_non_finite[kF32](reinterpret_cast<const uint8_t*>(scratch), size);
    if (bad < size) return fail(Outcome::kSourceNotFinite, start + bad, 0);
    // What is no number is the better news, so the rest is looked at even when nothing is made.
    if (!overflowed) {
      overflowed = !MakeSpan(kernels, sha256, request, span, scratch, hashes, overflow);
    }
    start += size;
  }
  if (overflowed) return fail(Outcome::kScaleOverflow, overflow.element, overflow.target);

  reply.digests.resize(hashes.size());
  for (size_t t = 0; t < hashes.size(); ++t) {
    Sha256Finish(sha256, hashes[t], reply.digests[t].bytes);
  }
  return reply;
}

}  // namespace quantd
