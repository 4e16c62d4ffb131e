#include "read-ahead.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

namespace quantd {
namespace {

// Large enough that the calls cost nothing, small enough that it stays in the second-level cache.
constexpr size_t kReadBytes = 1 << 18;
// A disk of some GB/s has so much under way; announced in halves, so that it never runs dry.
constexpr uint64_t kAheadBytes = 16 << 20;

uint8_t* GrowTo(std::vector<uint8_t>& buffer, size_t size) {
  if (buffer.size() < size) buffer.resize(size);
  return buffer.data();
}

}  // namespace

ReadAhead::ReadAhead(int file, uint64_t offset, uint64_t size, std::vector<uint8_t>& buffer)
    : file_(file),
      offset_(offset),
      end_(size < UINT64_MAX - offset ? offset + size : UINT64_MAX),
      step_(GrowTo(buffer, kReadBytes)),
      announced_(offset) {}

void ReadAhead::Announce() {
#ifdef POSIX_FADV_WILLNEED
  if (announced_ >= end_ || announced_ > offset_ + kAheadBytes / 2) return;
  const uint64_t left = end_ - announced_;
  const uint64_t bytes = left < kAheadBytes ? left : kAheadBytes;
  // Only a hint: where it is refused, reading waits as it would have without it.
  posix_fadvise(file_, static_cast<off_t>(announced_), static_cast<off_t>(bytes),
                POSIX_FADV_WILLNEED);
  announced_ += bytes;
#endif
}

ReadStep ReadAhead::Next() {
  Announce();
  const uint64_t left = end_ - offset_;
  const size_t wanted = left < kReadBytes ? static_cast<size_t>(left) : kReadBytes;
  for (;;) {
    const ssize_t got = pread(file_, step_, wanted, static_cast<off_t>(offset_));
    if (got >= 0) {
      offset_ += static_cast<uint64_t>(got);
      return {step_, static_cast<size_t>(got), 0};
    }
    if (errno != EINTR) return {nullptr, 0, errno};
  }
}

}  // namespace quantd
