#include "read-ahead.h"

#include <errno.h>
#include <unistd.h>

namespace quantd {
namespace {

// Large enough that the calls cost nothing, small enough that two stay in the second-level cache.
constexpr size_t kReadBytes = 1 << 20;

uint8_t* GrowTo(std::vector<uint8_t>& buffer, size_t size) {
  if (buffer.size() < size) buffer.resize(size);
  return buffer.data();
}

}  // namespace

ReadAhead::ReadAhead(int file, uint64_t offset, uint64_t size, std::vector<uint8_t>& buffer)
    : file_(file),
      offset_(offset),
      end_(size < UINT64_MAX - offset ? offset + size : UINT64_MAX),
      halves_{GrowTo(buffer, 2 * kReadBytes), buffer.data() + kReadBytes},
      thread_([this] { Fill(); }) {}

ReadAhead::~ReadAhead() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

ReadStep ReadAhead::Next() {
  std::unique_lock<std::mutex> lock(mutex_);
  if (turn_ >= 0) {
    full_[turn_] = false;
    changed_.notify_one();
  }
  turn_ = turn_ == 0 ? 1 : 0;
  changed_.wait(lock, [this] { return full_[turn_]; });
  return steps_[turn_];
}

void ReadAhead::Fill() {
  for (int half = 0;; half ^= 1) {
    {
      std::unique_lock<std::mutex> lock(mutex_);
      changed_.wait(lock, [this, half] { return stopping_ || !full_[half]; });
      if (stopping_) return;
    }
    const ReadStep step = ReadInto(halves_[half]);
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      steps_[half] = step;
      full_[half] = true;
    }
    changed_.notify_one();
    if (step.size == 0) return;
  }
}

ReadStep ReadAhead::ReadInto(uint8_t* half) {
  const uint64_t left = end_ - offset_;
  const size_t wanted = left < kReadBytes ? static_cast<size_t>(left) : kReadBytes;
  for (;;) {
    const ssize_t got = pread(file_, half, wanted, static_cast<off_t>(offset_));
    if (got >= 0) {
      offset_ += static_cast<uint64_t>(got);
      return {half, static_cast<size_t>(got), 0};
    }
    if (errno != EINTR) return {nullptr, 0, errno};
  }
}

}  // namespace quantd
