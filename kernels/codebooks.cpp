#include "codebooks.h"

#include <stddef.h>
#include <string.h>

#include <vector>

#include "codebook-grids.h"

namespace quantd {
namespace {

// A grid of kCount points; the nearest kShells distinct distances make a list of neighbours.
//
// Most of the time goes into the distance of every code to every point. It is the sum of those of
// its two halves, which are few, and fits a byte: all loops over the points add and compare bytes.
template <uint32_t kLevelBits, uint32_t kLevelMax, uint32_t kCount, uint32_t kShells>
class CodebookTables {
 public:
  explicit CodebookTables(const uint16_t (&grid)[kCount])
      : grid_(grid), points_(kCodes), indices_(kCodes) {
    for (uint32_t i = 0; i < kCount; ++i) indices_[grid[i]] = static_cast<uint16_t>(i);
    std::vector<Distances> from_low(kHalves);
    for (uint32_t half = 0; half < kHalves; ++half) {
      if (IsReachable(half)) MeasureHalf(half, 0, from_low[half]);
    }
    for (uint32_t high = 0; high < kHalves; ++high) {
      if (IsReachable(high)) AddCodes(high, from_low);
    }
    ready_ = {points_.data(), indices_.data(), neighbours_.data()};
  }

  const Codebook& ready() const { return ready_; }

 private:
  static constexpr uint32_t kElements = kLevelBits == 2 ? 8 : 4;
  static constexpr uint32_t kCodes = 1u << (kLevelBits * kElements);
  static constexpr uint32_t kMask = (1u << kLevelBits) - 1;
  static constexpr uint32_t kHalfBits = kLevelBits * kElements / 2;
  static constexpr uint32_t kHalves = 1u << kHalfBits;
  static constexpr uint8_t kFarthest = 255;
  static_assert(kElements * kLevelMax * kLevelMax < kFarthest, "distances fit a byte");
  static_assert(kCount % 8 == 0, "points are looked through eight at a time");

  // The squared distance of something to each point of the grid.
  struct Distances {
    uint8_t to[kCount];
  };

  static uint32_t LevelOf(uint32_t half, uint32_t element) {
    return (half >> (kLevelBits * element)) & kMask;
  }

  static bool IsReachable(uint32_t half) {
    for (uint32_t e = 0; e < kElements / 2; ++e) {
      if (LevelOf(half, e) > kLevelMax) return false;
    }
    return true;
  }

  // In units of levels: the coordinates of the format, 2 * level + 1, order points the same way.
  // `shift` says to which half of the points.
  void MeasureHalf(uint32_t half, uint32_t shift, Distances& distances) const {
    uint8_t from[kHalves];
    for (uint32_t other = 0; other < kHalves; ++other) {
      uint32_t sum = 0;
      for (uint32_t e = 0; e < kElements / 2; ++e) {
        const int difference =
            static_cast<int>(LevelOf(half, e)) - static_cast<int>(LevelOf(other, e));
        sum += static_cast<uint32_t>(difference * difference);
      }
      from[other] = static_cast<uint8_t>(sum);
    }
    for (uint32_t i = 0; i < kCount; ++i) {
      distances.to[i] = from[(grid_[i] >> shift) & (kHalves - 1)];
    }
  }

  void AddCodes(uint32_t high, const std::vector<Distances>& from_low) {
    Distances from_high;
    MeasureHalf(high, kHalfBits, from_high);
    for (uint32_t low = 0; low < kHalves; ++low) {
      const uint32_t code = high << kHalfBits | low;
      const bool on_grid = grid_[indices_[code]] == code;
      if (IsReachable(low) && !on_grid) AddNeighbours(code, from_high, from_low[low]);
    }
  }

  // Each shell keeps the order of the grid.
  void AddNeighbours(uint32_t code, const Distances& from_high, const Distances& from_low) {
    Distances all;
    for (uint32_t i = 0; i < kCount; ++i) {
      all.to[i] = static_cast<uint8_t>(from_high.to[i] + from_low.to[i]);
    }
    uint16_t list[kCount + kNeighbourBatch];
    uint32_t size = 0;
    for (uint32_t shell = 0; shell < kShells; ++shell) size += TakeShell(all, list + size);
    while (size % kNeighbourBatch != 0) {
      list[size] = list[size - 1];
      ++size;
    }
    const size_t start = neighbours_.size() / kNeighbourBatch;
    neighbours_.insert(neighbours_.end(), list, list + size);
    points_[code] = static_cast<uint32_t>(start << kBatchCountBits | size / kNeighbourBatch);
  }

  // Writes the nearest points to `into`, in the order of the grid, and puts them out of reach;
  // returns how many there are.
  uint32_t TakeShell(Distances& all, uint16_t* into) const {
    uint8_t least = kFarthest;
    for (uint32_t i = 0; i < kCount; ++i) least = all.to[i] < least ? all.to[i] : least;
    if (least == kFarthest) return 0;
    uint8_t hits[kCount];
    for (uint32_t i = 0; i < kCount; ++i) hits[i] = all.to[i] == least ? kFarthest : 0;
    for (uint32_t i = 0; i < kCount; ++i) all.to[i] |= hits[i];
    uint32_t taken = 0;
    for (uint32_t i = 0; i < kCount; i += 8) {
      // Both architectures keep the first of eight bytes in the lowest bits.
      uint64_t left;
      memcpy(&left, hits + i, sizeof left);
      while (left != 0) {
        const uint32_t bit = static_cast<uint32_t>(__builtin_ctzll(left));
        into[taken++] = grid_[i + bit / 8];
        left &= ~(uint64_t{0xFF} << bit);
      }
    }
    return taken;
  }

  const uint16_t (&grid_)[kCount];
  std::vector<uint32_t> points_;
  std::vector<uint16_t> indices_;
  std::vector<uint16_t> neighbours_;
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
