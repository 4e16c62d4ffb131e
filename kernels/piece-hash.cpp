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
  Cut(bytes, size, [this](const uint8_t* part, size_t length) { MixAll(part, length); });
}

void PieceHasher::TakeTwo(PieceHasher& first, const uint8_t* first_bytes, size_t first_size,
                          PieceHasher& second, const uint8_t* second_bytes, size_t second_size) {
  const size_t both = first_size < second_size ? first_size : second_size;
  for (size_t at = 0; at < both; at += kStepBytes) {
    const size_t left = both - at;
    const size_t step = left < kStepBytes ? left : kStepBytes;
    // A piece that wants its digest has a partner for it: all that was read.
    if (first.IsDigesting() || second.IsDigesting()) {
      first.Take(first_bytes + at, step);
      second.Take(second_bytes + at, step);
      continue;
    }
    Sha256UpdateTwo(first.codes_.sha256, first.progress_.all, first_bytes + at,
                    second.progress_.all, second_bytes + at, step);
    for (PieceHasher* each : {&first, &second}) {
      const uint8_t* bytes = each == &first ? first_bytes : second_bytes;
      each->Cut(bytes + at, step,
                [each](const uint8_t* part, size_t length) { each->MixPiece(part, length); });
    }
  }
  first.Take(first_bytes + both, first_size - both);
  second.Take(second_bytes + both, second_size - both);
}

bool PieceHasher::IsDigesting() const {
  return results_.size() < pieces_.size() && !pieces_[results_.size()].checksum;
}

template <typename Mix>
void PieceHasher::Cut(const uint8_t* bytes, size_t size, const Mix& mix) {
  for (size_t at = 0; at < size && results_.size() < pieces_.size();) {
    const uint64_t missing = pieces_[results_.size()].size - progress_.bytes;
    const size_t left = size - at;
    const size_t taken = missing < left ? static_cast<size_t>(missing) : left;
    mix(bytes + at, taken);
    progress_.bytes += taken;
    at += taken;
    FinishFull();
  }
}

void PieceHasher::MixPiece(const uint8_t* bytes, size_t size) {
  if (pieces_[results_.size()].checksum) {
    ChecksumUpdate(codes_.checksum, progress_.sum, bytes, size);
  } else {
    Sha256Update(codes_.sha256, progress_.piece, bytes, size);
  }
}

void PieceHasher::MixAll(const uint8_t* bytes, size_t size) {
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
