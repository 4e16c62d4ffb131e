#include "codebooks.h"

#include <stddef.h>

#include <vector>

#include "codebook-grids.h"

namespace quantd {
namespace {

// A grid of kCount points; the nearest kShells distinct distances make a list of neighbours.
template <uint32_t kLevelBits, uint32_t kLevelMax, uint32_t kCount, uint32_t kShells>
class CodebookTables {
 public:
  explicit CodebookTables(const uint16_t (&grid)[kCount])
      : grid_(grid), points_(kCodes), indices_(kCodes) {
    for (uint32_t i = 0; i < kCount; ++i) indices_[grid[i]] = static_cast<uint16_t>(i);
    for (uint32_t code = 0; code < kCodes; ++code) {
      const bool on_grid = grid[indices_[code]] == code;
      if (IsReachable(code) && !on_grid) AddNeighbours(code);
    }
    ready_ = {points_.data(), indices_.data(), neighbours_.data()};
  }

  const Codebook& ready() const { return ready_; }

 private:
  static constexpr uint32_t kElements = kLevelBits == 2 ? 8 : 4;
  static constexpr uint32_t kCodes = 1u << (kLevelBits * kElements);
  static constexpr uint32_t kMask = (1u << kLevelBits) - 1;
  static constexpr uint32_t kDistances = kElements * kLevelMax * kLevelMax + 1;

  static uint32_t LevelOf(uint32_t code, uint32_t element) {
    return (code >> (kLevelBits * element)) & kMask;
  }

  static bool IsReachable(uint32_t code) {
    for (uint32_t e = 0; e < kElements; ++e) {
      if (LevelOf(code, e) > kLevelMax) return false;
    }
    return true;
  }

  // Squared distances are small integers, so every point goes straight to the bucket of its own;
  // within a bucket the points stay in the order of the grid.
  void AddNeighbours(uint32_t code) {
    uint32_t sizes[kDistances] = {};
    for (uint32_t i = 0; i < kCount; ++i) {
      const uint32_t distance = Distance(code, grid_[i]);
      buckets_[distance][sizes[distance]++] = grid_[i];
    }
    const size_t start = neighbours_.size();
    uint32_t shells = 0;
    for (uint32_t d = 0; d < kDistances && shells < kShells; ++d) {
      if (sizes[d] == 0) continue;
      neighbours_.insert(neighbours_.end(), buckets_[d], buckets_[d] + sizes[d]);
      ++shells;
    }
    while (neighbours_.size() % kNeighbourBatch != 0) neighbours_.push_back(neighbours_.back());
    const size_t batches = (neighbours_.size() - start) / kNeighbourBatch;
    points_[code] = static_cast<uint32_t>(start / kNeighbourBatch << kBatchCountBits | batches);
  }

  // In units of levels: the coordinates of the format, 2 * level + 1, order points the same way.
  static uint32_t Distance(uint32_t a, uint32_t b) {
    uint32_t sum = 0;
    for (uint32_t e = 0; e < kElements; ++e) {
      const int difference = static_cast<int>(LevelOf(a, e)) - static_cast<int>(LevelOf(b, e));
      sum += static_cast<uint32_t>(difference * difference);
    }
    return sum;
  }

  const uint16_t (&grid_)[kCount];
  std::vector<uint32_t> points_;
  std::vector<uint16_t> indices_;
  std::vector<uint16_t> neighbours_;
  uint16_t buckets_[kDistances][kCount];
  Codebook ready_;
};

}  // namespace

// The tables are never freed: a thread of the pool may still read them while the process ends.
const Codebook& Iq1Codebook() {
  static const auto* tables = new CodebookTables<2, 2, 2048, 3>(kIq1Grid);
  return tables->ready();
}
const Codebook& Iq2XxsCodebook() {
  static const auto* tables = new CodebookTables<2, 2, 256, 2>(kIq2XxsGrid);
  return tables->ready();
}
const Codebook& Iq2XsCodebook() {
  static const auto* tables = new CodebookTables<2, 2, 512, 2>(kIq2XsGrid);
  return tables->ready();
}
const Codebook& Iq2SCodebook() {
  static const auto* tables = new CodebookTables<2, 2, 1024, 1>(kIq2SGrid);
  return tables->ready();
}
const Codebook& Iq3XxsCodebook() {
  static const auto* tables = new CodebookTables<3, 7, 256, 2>(kIq3XxsGrid);
  return tables->ready();
}
const Codebook& Iq3SCodebook() {
  static const auto* tables = new CodebookTables<3, 7, 512, 3>(kIq3SGrid);
  return tables->ready();
}

}  // namespace quantd
