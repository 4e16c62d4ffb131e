// Weights: those of one layer, multiplied from where they lie in the files.
//
//   WeightSpec[] ──▶ LoadWeights (team) ──▶ LoadedWeight: runs of rows, or a vector   (read next: executor.h)
//
// Every weight is read once here, which finds those that are no numbers and brings the files into
// the page cache. Copied are only vectors, weights that are multiplied in another type than they
// are stored in, and rows of bfloat16 with numbers that mode B takes as zero (DET-1.md §6), which
// are few.
#ifndef QUANTD_WEIGHTS_H_
#define QUANTD_WEIGHTS_H_

#include <atomic>
#include <memory>
#include <vector>

#include "kernels.h"
#include "layer.h"
#include "mapped-file.h"
#include "team.h"

namespace quantd {

// A matrix whose rows lie in few runs of memory; or a vector.
class LoadedWeight {
 public:
  // How its rows lie, and so which products multiply by them.
  WeightType type = WeightType::kF32;
  size_t columns = 0;
  size_t row_bytes = 0;

  // The numbers of a vector, aligned.
  const float* Values() const { return values_.data(); }

  // visit(rows, first, count) for each run of rows [first, first + count) that lie together.
  template <typename Visit>
  void VisitRows(size_t first, size_t count, const Visit& visit) const {
    size_t run = FindRun(first);
    for (const size_t end = first + count; first < end; ++run) {
      const size_t run_end = run + 1 < runs_.size() ? runs_[run + 1].first : end;
      const size_t stop = run_end < end ? run_end : end;
      visit(runs_[run].rows + (first - runs_[run].first) * row_bytes, first, stop - first);
      first = stop;
    }
  }

 private:
  friend class WeightLoader;
  struct Run {
    size_t first;
    const uint8_t* rows;
  };
  size_t FindRun(size_t row) const;

  std::vector<Run> runs_;      // In ascending order, the first at row 0.
  std::vector<float> values_;  // Of a weight that was widened.
  std::vector<std::unique_ptr<uint8_t[]>> flushed_;
};

struct LoadReply {
  bool stopped = false;
  FileError file;  // Of the file of `weight` and `piece`.
  // Whether a number is not finite: element `element` of `weight`, rows counted through matrices.
  bool not_finite = false;
  size_t weight = 0;
  size_t piece = 0;
  size_t element = 0;
};

struct LoadedWeights {
  std::vector<LoadedWeight> weights;
  // One for each path. The weights point into them.
  std::vector<std::unique_ptr<MappedFile>> files;

  bool AreWhole() const {
    for (const auto& file : files) {
      if (!file->IsWhole()) return false;
    }
    return true;
  }
};

// `layer` has passed CheckLayer. Of several mistakes the one of the first weight is told, in it the
// first element, whoever found it.
LoadReply LoadWeights(const LayerSpec& layer, const Kernels& kernels, const ForwardKernels& forward,
                      Team& team, const std::atomic<bool>& stop, LoadedWeights& into);

struct EmbedRequest {
  WeightSpec table;  // One matrix.
  std::vector<uint32_t> tokens;  // Each below its rows.
  float factor;
  float* into;  // (tokens, columns)
};

// DET-1.md §11. `element` of the reply counts from the table's beginning.
LoadReply Embed(const EmbedRequest& request, const Kernels& kernels, const ForwardKernels& forward,
                Team& team, const std::atomic<bool>& stop);

}  // namespace quantd

#endif
