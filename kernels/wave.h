// Wave: what the parts of the executor share while a layer runs over one wave.
//
// A part of executor.h, in a file of its own because three sources include it.
#ifndef QUANTD_WAVE_H_
#define QUANTD_WAVE_H_

#include "executor.h"

namespace quantd {

// Numbers that a turn of the simple operations takes: some hundred microseconds.
inline constexpr size_t kTurnNumbers = 1 << 16;
// Columns whose squares are summed together: a few lines of each row, and enough turns for a team.
inline constexpr size_t kCollectColumns = 128;

constexpr size_t CeilDivide(size_t a, size_t b) { return (a + b - 1) / b; }

// Hands out parts of one block of memory, each at a multiple of 64 from its beginning. Without a
// block it only counts, so that a size is computed by the code that uses it.
class Arena {
 public:
  explicit Arena(uint8_t* block) : block_(block) {}
  template <typename Item>
  Item* Take(size_t count) {
    uint8_t* const at = block_ == nullptr ? nullptr : block_ + used_;
    used_ += CeilDivide(count * sizeof(Item), 64) * 64;
    return reinterpret_cast<Item*>(at);
  }
  size_t used() const { return used_; }

 private:
  uint8_t* const block_;
  size_t used_ = 0;
};

struct Wave {
  const PreparedLayer& layer;
  const ForwardKernels& forward;
  size_t members;  // Threads of the team.
  size_t chunks;
  size_t positions;
  size_t tokens;

  const LoadedWeight& Weight(Index index) const { return layer.loaded.weights[index]; }
  const Products& ProductsOf(const LoadedWeight& weight) const {
    return forward.ProductsOf(weight.type);
  }
  size_t Width(Index index) const { return layer.spec.registers[index].width; }
};

// A wave that is under way.
struct RunningWave : Wave {
  Team& team;
  const std::atomic<bool>& stop;
  std::vector<float*> registers;  // (tokens, width) each.
  uint8_t* sums;                  // Or null.
  std::vector<uint8_t> is_bad;    // By chunk.

  float* Rows(Index index) const { return registers[index]; }

  template <typename Turn>
  void ForEach(size_t count, const Turn& turn) const {
    team.ForEach(count, stop, turn);
  }

  // turn(first, count) for runs of tokens that have some `width` numbers each.
  template <typename Turn>
  void ForTokens(size_t width, const Turn& turn) const {
    const size_t run = width < kTurnNumbers ? kTurnNumbers / width : 1;
    ForEach(CeilDivide(tokens, run), [&](size_t index, size_t) {
      const size_t first = index * run;
      turn(first, tokens - first < run ? tokens - first : run);
    });
  }

  // On any thread.
  void TellBad(size_t chunk) { __atomic_store_n(&is_bad[chunk], uint8_t{1}, __ATOMIC_RELAXED); }
};

// What a member needs for the sums of one chunk.
struct CollectMemory {
  const float** rows;  // (members, positions)
  double* sums;        // (members, kCollectColumns)
  CollectMemory(Arena& arena, const Wave& wave)
      : rows(arena.Take<const float*>(wave.members * wave.positions)),
        sums(arena.Take<double>(wave.members * kCollectColumns)) {}
};

// Where the sums and the count of a matrix of a statistic lie.
size_t SumsOffset(const LayerSpec& layer, Index statistic, size_t matrix, size_t column);
size_t CountOffset(const LayerSpec& layer, Index statistic, size_t matrix);

// Adds to the sums of columns [column, column + count) what rows of one chunk say of them:
// rows[t] is where the first of those columns lies. count <= kCollectColumns. DET-1.md §12.
void CollectSquares(RunningWave& wave, size_t chunk, const float* const* rows, size_t tokens,
                    size_t count, double* sums, uint8_t* into);

// Not for two threads at once.
void AddCount(RunningWave& wave, Index statistic, size_t matrix, uint64_t rows);

}  // namespace quantd

#endif
