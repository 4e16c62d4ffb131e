// Piece hash: neighbouring pieces of a file as they come, each digested by itself, and all together.
//
//   steps of any size ──▶ PieceHasher::Take ──▶ SHA-256 or checksum of each piece, SHA-256 of all
#ifndef QUANTD_PIECE_HASH_H_
#define QUANTD_PIECE_HASH_H_

#include <vector>

#include "job.h"

namespace quantd {

struct WantedPiece {
  uint64_t size;
  bool checksum;  // Instead of its SHA-256.
};

// Where a reading stands; plain bytes, so that another call can go on.
struct PieceProgress {
  Sha256 all;
  Sha256 piece;
  Checksum sum;
  uint64_t bytes;  // Of the piece that is open.
};

void StartPieces(PieceProgress& progress);

// One of the two, as was wanted.
struct PieceResult {
  bool checksum;
  Digest digest;
  Sum sum;
};

class PieceHasher {
 public:
  // The first of the pieces is the one that is open in `progress`, if any is.
  PieceHasher(const DigestCodes& codes, const std::vector<WantedPiece>& pieces,
              PieceProgress& progress, std::vector<PieceResult>& results);

  // No more bytes than the pieces have left.
  void Take(const uint8_t* bytes, size_t size);

  // The same of two readings, where SHA-256 of the one beside that of the other costs less.
  static void TakeTwo(PieceHasher& first, const uint8_t* first_bytes, size_t first_size,
                      PieceHasher& second, const uint8_t* second_bytes, size_t second_size);

 private:
  // Digests bytes of the open pieces with `mix`, piece by piece.
  template <typename Mix>
  void Cut(const uint8_t* bytes, size_t size, const Mix& mix);
  void MixAll(const uint8_t* bytes, size_t size);
  // Into the piece alone.
  void MixPiece(const uint8_t* bytes, size_t size);
  bool IsDigesting() const;
  // A piece may be empty, so that more than one can be full.
  void FinishFull();

  const DigestCodes& codes_;
  const std::vector<WantedPiece>& pieces_;
  PieceProgress& progress_;
  std::vector<PieceResult>& results_;
};

}  // namespace quantd

#endif
