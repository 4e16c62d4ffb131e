#include "piece-hash.h"

namespace quantd {
namespace {

// What is digested twice is still in the first-level cache the second time.
constexpr size_t kStepBytes = 1 << 14;

void OpenPiece(PieceProgress& progress) {
  Sha256Start(progress.piece);
  ChecksumStart(progress.sum);
  progress.bytes = 0;
}

}  // namespace

void StartPieces(PieceProgress& progress) {
  Sha256Start(progress.all);
  OpenPiece(progress);
}

PieceHasher::PieceHasher(const DigestCodes& codes, const std::vector<WantedPiece>& pieces,
                         PieceProgress& progress, std::vector<PieceResult>& results)
    : codes_(codes), pieces_(pieces), progress_(progress), results_(results) {
  FinishFull();
}

void PieceHasher::Take(const uint8_t* bytes, size_t size) {
  for (size_t at = 0; at < size && results_.size() < pieces_.size();) {
    const uint64_t missing = pieces_[results_.size()].size - progress_.bytes;
    const size_t left = size - at;
    const size_t taken = missing < left ? static_cast<size_t>(missing) : left;
    Mix(bytes + at, taken);
    at += taken;
    FinishFull();
  }
}

void PieceHasher::Mix(const uint8_t* bytes, size_t size) {
  progress_.bytes += size;
  if (!pieces_[results_.size()].checksum) {
    Sha256UpdateTwo(codes_.sha256, progress_.all, bytes, progress_.piece, bytes, size);
    return;
  }
  for (size_t at = 0; at < size; at += kStepBytes) {
    const size_t left = size - at;
    const size_t step = left < kStepBytes ? left : kStepBytes;
    Sha256Update(codes_.sha256, progress_.all, bytes + at, step);
    ChecksumUpdate(codes_.checksum, progress_.sum, bytes + at, step);
  }
}

void PieceHasher::FinishFull() {
  while (results_.size() < pieces_.size() && progress_.bytes == pieces_[results_.size()].size) {
    PieceResult result = {};
    result.checksum = pieces_[results_.size()].checksum;
    if (result.checksum) {
      ChecksumFinish(progress_.sum, result.sum.bytes);
    } else {
      Sha256Finish(codes_.sha256, progress_.piece, result.digest.bytes);
    }
    results_.push_back(result);
    OpenPiece(progress_);
  }
}

}  // namespace quantd
