// File hash: SHA-256 of a regular file, whole or in pieces, while the next bytes are being read.
//
//   path ──▶ ReadAhead ──▶ HashFile, HashPieces ──▶ digests
#ifndef QUANTD_FILE_HASH_H_
#define QUANTD_FILE_HASH_H_

#include <atomic>
#include <vector>

#include "piece-hash.h"

namespace quantd {

struct FileHashReply {
  bool stopped = false;
  int error = 0;               // errno; 0 when there is a digest.
  const char* syscall = "";    // Which call gave the error.
  Digest digest = {};
  double wait_seconds = 0;  // For bytes that had not been read yet.
};

// buffer grows to the size of two reads. Looks at `stop` between reads.
FileHashReply HashFile(const Sha256Code& sha256, const char* path, std::vector<uint8_t>& buffer,
                       const std::atomic<bool>& stop);

struct PiecesHashReply {
  // Its digest is that of everything `progress` has seen. A file that ends before its last piece
  // gives the error ENODATA.
  FileHashReply whole;
  std::vector<PieceResult> pieces;
};

// Digests of neighbouring pieces, the first of which begins at `offset`, and of all of them, from
// one reading.
PiecesHashReply HashPieces(const DigestCodes& codes, const char* path, uint64_t offset,
                           const std::vector<WantedPiece>& pieces, PieceProgress& progress,
                           std::vector<uint8_t>& buffer, const std::atomic<bool>& stop);

}  // namespace quantd

#endif
