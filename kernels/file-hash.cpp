#include "file-hash.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace quantd {
namespace {

// Large enough that the calls cost nothing, small enough to stay in the second-level cache.
constexpr size_t kReadBytes = 1 << 20;

// Why an open file cannot be hashed; 0 when it can.
int Refusal(int file) {
  struct stat about;
  if (fstat(file, &about) != 0) return errno;
  if (S_ISDIR(about.st_mode)) return EISDIR;
  // A pipe or a device has no end to wait for.
  return S_ISREG(about.st_mode) ? 0 : EINVAL;
}

void ReadAll(const Sha256Code& sha256, int file, std::vector<uint8_t>& buffer,
             const std::atomic<bool>& stop, FileHashReply& reply) {
  buffer.resize(kReadBytes);
  Sha256 state;
  Sha256Start(state);
  for (;;) {
    if (stop.load(std::memory_order_relaxed)) {
      reply.stopped = true;
      return;
    }
    const ssize_t got = read(file, buffer.data(), kReadBytes);
    if (got == 0) break;
    if (got > 0) {
      Sha256Update(sha256, state, buffer.data(), static_cast<size_t>(got));
    } else if (errno != EINTR) {
      reply.error = errno;
      reply.syscall = "read";
      return;
    }
  }
  Sha256Finish(sha256, state, reply.digest.bytes);
}

}  // namespace

FileHashReply HashFile(const Sha256Code& sha256, const char* path, std::vector<uint8_t>& buffer,
                       const std::atomic<bool>& stop) {
  FileHashReply reply;
  // O_NONBLOCK: opening a pipe without a writer would wait for ever. Regular files ignore it.
  const int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) {
    reply.error = errno;
    reply.syscall = "open";
    return reply;
  }
  reply.error = Refusal(file);
  if (reply.error != 0) {
    reply.syscall = "read";
  } else {
#if defined(__linux__)
    posix_fadvise(file, 0, 0, POSIX_FADV_SEQUENTIAL);
#endif
    ReadAll(sha256, file, buffer, stop, reply);
  }
  close(file);
  return reply;
}

}  // namespace quantd
