#include "file-hash.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "read-ahead.h"
#include "stopwatch.h"

namespace quantd {
namespace {

// An open file, closed at the end; not open where `reply` has an error.
class RegularFile {
 public:
  RegularFile(const char* path, FileHashReply& reply) {
    // O_NONBLOCK: opening a pipe without a writer would wait for ever. Regular files ignore it.
    file_ = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file_ < 0) {
      reply.error = errno;
      reply.syscall = "open";
      return;
    }
    reply.error = Refusal();
    if (reply.error != 0) reply.syscall = "read";
#if defined(__linux__)
    posix_fadvise(file_, 0, 0, POSIX_FADV_SEQUENTIAL);
#endif
  }
  ~RegularFile() {
    if (file_ >= 0) close(file_);
  }
  RegularFile(const RegularFile&) = delete;
  RegularFile& operator=(const RegularFile&) = delete;
  int descriptor() const { return file_; }

 private:
  // Why it cannot be hashed; 0 when it can.
  int Refusal() const {
    struct stat about;
    if (fstat(file_, &about) != 0) return errno;
    if (S_ISDIR(about.st_mode)) return EISDIR;
    // A pipe or a device has no end to wait for.
    return S_ISREG(about.st_mode) ? 0 : EINVAL;
  }

  int file_;
};

// Hands every step of [offset, offset + size) to `use` until the end, an error or `stop`.
template <typename Use>
void ReadSteps(const RegularFile& file, uint64_t offset, uint64_t size,
               std::vector<uint8_t>& buffer, const std::atomic<bool>& stop, FileHashReply& reply,
               const Use& use) {
  ReadAhead reading(file.descriptor(), offset, size, buffer);
  for (;;) {
    if (stop.load(std::memory_order_relaxed)) {
      reply.stopped = true;
      return;
    }
    const Stopwatch waiting;
    const ReadStep step = reading.Next();
    reply.wait_seconds += waiting.Seconds();
    if (step.error != 0) {
      reply.error = step.error;
      reply.syscall = "read";
    }
    if (step.size == 0) return;
    use(step);
  }
}

}  // namespace

FileHashReply HashFile(const Sha256Code& sha256, const char* path, std::vector<uint8_t>& buffer,
                       const std::atomic<bool>& stop) {
  FileHashReply reply;
  const RegularFile file(path, reply);
  if (reply.error != 0) return reply;
  Sha256 state;
  Sha256Start(state);
  ReadSteps(file, 0, UINT64_MAX, buffer, stop, reply, [&](const ReadStep& step) {
    Sha256Update(sha256, state, step.data, step.size);
  });
  Sha256Finish(sha256, state, reply.digest.bytes);
  return reply;
}

PiecesHashReply HashPieces(const DigestCodes& codes, const char* path, uint64_t offset,
                           const std::vector<WantedPiece>& pieces, PieceProgress& progress,
                           std::vector<uint8_t>& buffer, const std::atomic<bool>& stop) {
  PiecesHashReply reply;
  FileHashReply& whole = reply.whole;
  const RegularFile file(path, whole);
  if (whole.error != 0) return reply;
  uint64_t size = 0;
  for (const WantedPiece& piece : pieces) size += piece.size;
  PieceHasher hasher(codes, pieces, progress, reply.pieces);
  ReadSteps(file, offset, size, buffer, stop, whole,
            [&](const ReadStep& step) { hasher.Take(step.data, step.size); });
  if (!whole.stopped && whole.error == 0 && reply.pieces.size() < pieces.size()) {
    whole.error = ENODATA;
    whole.syscall = "read";
  }
  Sha256 copy = progress.all;
  Sha256Finish(codes.sha256, copy, whole.digest.bytes);
  return reply;
}

}  // namespace quantd
