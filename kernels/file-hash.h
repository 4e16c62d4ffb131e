// File hash: SHA-256 of a regular file, read by the thread that hashes it.
#ifndef QUANTD_FILE_HASH_H_
#define QUANTD_FILE_HASH_H_

#include <atomic>
#include <vector>

#include "job.h"

namespace quantd {

struct FileHashReply {
  bool stopped = false;
  int error = 0;               // errno; 0 when there is a digest.
  const char* syscall = "";    // Which call gave the error.
  Digest digest = {};
};

// buffer grows to the size of one read. Looks at `stop` between reads.
FileHashReply HashFile(const Sha256Code& sha256, const char* path, std::vector<uint8_t>& buffer,
                       const std::atomic<bool>& stop);

}  // namespace quantd

#endif
