#include "weights.h"

#include <string.h>

#include <map>
#include <mutex>

namespace quantd {
namespace {

// Bytes of whole rows that one turn reads: long enough to be worth a turn, short enough that a stop
// is seen soon.
constexpr size_t kTurnBytes = 1 << 20;

// Indexed by WeightType.
constexpr uint32_t kFormatOf[kWeightTypes] = {kF32, kF16, kBF16};

uint32_t FormatOf(WeightType type) { return kFormatOf[static_cast<uint32_t>(type)]; }

size_t RowBytes(const WeightSpec& spec) {
  return spec.columns * kFormats[FormatOf(spec.type)].block_bytes;
}

// A part of a piece.
struct Turn {
  size_t weight;
  size_t first;  // Row of the weight.
  size_t rows;
  const uint8_t* bytes;
};

struct Range {
  uint64_t begin = UINT64_MAX;
  uint64_t end = 0;
};

// One mapping for each path, over all that some piece wants of it.
class Files {
 public:
  explicit Files(std::vector<std::unique_ptr<MappedFile>>& owned) : owned_(owned) {}

  FileError Map(const std::vector<WeightSpec>& weights, size_t& weight, size_t& piece) {
    std::map<std::string, Range> ranges;
    for (const WeightSpec& spec : weights) {
      for (const PieceSpec& wanted : spec.pieces) {
        Range& range = ranges[wanted.path];
        const uint64_t end = wanted.offset + wanted.rows * RowBytes(spec);
        if (wanted.offset < range.begin) range.begin = wanted.offset;
        if (end > range.end) range.end = end;
      }
    }
    for (weight = 0; weight < weights.size(); ++weight) {
      const std::vector<PieceSpec>& pieces = weights[weight].pieces;
      for (piece = 0; piece < pieces.size(); ++piece) {
        const FileError error = MapOne(pieces[piece].path, ranges[pieces[piece].path]);
        if (error.error != 0) return error;
      }
    }
    return {};
  }

  const MappedFile& Of(const std::string& path) const { return *by_path_.at(path); }

 private:
  FileError MapOne(const std::string& path, const Range& range) {
    if (by_path_.count(path) != 0) return {};
    owned_.push_back(std::make_unique<MappedFile>());
    by_path_[path] = owned_.back().get();
    return owned_.back()->Open(path.c_str(), range.begin, range.end);
  }

  std::vector<std::unique_ptr<MappedFile>>& owned_;
  std::map<std::string, MappedFile*> by_path_;
};

}  // namespace

size_t LoadedWeight::FindRun(size_t row) const {
  size_t low = 0;
  size_t high = runs_.size();
  while (high - low > 1) {
    const size_t middle = low + (high - low) / 2;
    (runs_[middle].first <= row ? low : high) = middle;
  }
  return low;
}

class WeightLoader {
 public:
  WeightLoader(const LayerSpec& layer, const Kernels& kernels, const ForwardKernels& forward,
               LoadedWeights& into)
      : layer_(layer), kernels_(kernels), forward_(forward), into_(into), files_(into.files) {}

  LoadReply Load(Team& team, const std::atomic<bool>& stop) {
    reply_.file = files_.Map(layer_.weights, reply_.weight, reply_.piece);
    if (reply_.file.error != 0) return reply_;
    into_.weights.resize(layer_.weights.size());
    for (size_t i = 0; i < layer_.weights.size(); ++i) PlanWeight(i);
    flushed_.resize(turns_.size());
    team.ForEach(turns_.size(), stop, [&](size_t turn, size_t) { TakeTurn(turn); });
    reply_.stopped = stop.load();
    if (!reply_.stopped && !reply_.not_finite) {
      for (size_t i = 0; i < turns_.size(); ++i) AddRun(i);
    }
    return reply_;
  }

 private:
  // The first bfloat16 that is 2^96 or more, or not finite; `count` when there is none. A product with
  // one could leave binary32, where multiplying before adding is not what a fused step does.
  static size_t FindTooLarge(const uint8_t* bytes, size_t count) {
    constexpr uint16_t kExponent = (127 + 96) << 7;
    constexpr size_t kBlock = 4096;
    for (size_t start = 0; start < count; start += kBlock) {
      const size_t end = start + kBlock < count ? start + kBlock : count;
      uint16_t largest = 0;
      for (size_t i = start; i < end; ++i) {
        uint16_t bits;
        memcpy(&bits, bytes + 2 * i, sizeof bits);
        const uint16_t magnitude = bits & 0x7FFF;
        largest = magnitude > largest ? magnitude : largest;
      }
      if (largest < kExponent) continue;
      for (size_t i = start; i < end; ++i) {
        uint16_t bits;
        memcpy(&bits, bytes + 2 * i, sizeof bits);
        if ((bits & 0x7FFF) >= kExponent) return i;
      }
    }
    return count;
  }

  void PlanWeight(size_t index) {
    const WeightSpec& spec = layer_.weights[index];
    LoadedWeight& loaded = into_.weights[index];
    const bool widens = IsWidened(layer_, static_cast<Index>(index));
    loaded.type = widens ? WeightType::kF32 : spec.type;
    loaded.columns = spec.columns;
    loaded.row_bytes = widens ? spec.columns * sizeof(float) : RowBytes(spec);
    if (widens) loaded.values_.resize(spec.rows * spec.matrices * spec.columns);
    const size_t row_bytes = RowBytes(spec);
    const size_t rows_a_turn = row_bytes < kTurnBytes ? kTurnBytes / row_bytes : 1;
    size_t row = 0;
    for (const PieceSpec& piece : spec.pieces) {
      const MappedFile& file = files_.Of(piece.path);
      file.Announce(piece.offset, piece.rows * row_bytes);
      for (size_t done = 0; done < piece.rows;) {
        const size_t left = piece.rows - done;
        const size_t rows = left < rows_a_turn ? left : rows_a_turn;
        turns_.push_back({index, row + done, rows, file.At(piece.offset + done * row_bytes)});
        done += rows;
      }
      row += piece.rows;
    }
  }

  void TakeTurn(size_t index) {
    const Turn& turn = turns_[index];
    const WeightSpec& spec = layer_.weights[turn.weight];
    const uint32_t format = FormatOf(spec.type);
    const size_t count = turn.rows * spec.columns;
    LoadedWeight& loaded = into_.weights[turn.weight];
    const bool is_mode_b = spec.type == WeightType::kBF16 && loaded.values_.empty();
    const size_t bad = is_mode_b ? FindTooLarge(turn.bytes, count)
                                 : kernels_.find_non_finite[format](turn.bytes, count);
    if (bad < count) {
      TellBad(turn.weight, turn.first * spec.columns + bad);
      return;
    }
    if (!loaded.values_.empty()) {
      float* const into = loaded.values_.data() + turn.first * spec.columns;
      kernels_.dequantize[format](turn.bytes, count, into);
    } else if (spec.type == WeightType::kBF16 && forward_.needs_flush(turn.bytes, count)) {
      flushed_[index] = std::make_unique<uint8_t[]>(count * sizeof(uint16_t));
      forward_.flush(turn.bytes, count, flushed_[index].get());
    }
  }

  void TellBad(size_t weight, size_t element) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const bool is_first = weight < reply_.weight ||
                          (weight == reply_.weight && element < reply_.element);
    if (reply_.not_finite && !is_first) return;
    reply_.not_finite = true;
    reply_.weight = weight;
    reply_.element = element;
  }

  void AddRun(size_t index) {
    const Turn& turn = turns_[index];
    LoadedWeight& loaded = into_.weights[turn.weight];
    if (!loaded.values_.empty()) {
      const auto* const values = reinterpret_cast<const uint8_t*>(loaded.values_.data());
      if (loaded.runs_.empty()) loaded.runs_.push_back({0, values});
      return;
    }
    const uint8_t* bytes = turn.bytes;
    if (flushed_[index] != nullptr) {
      bytes = flushed_[index].get();
      loaded.flushed_.push_back(std::move(flushed_[index]));
    }
    if (!loaded.runs_.empty()) {
      const LoadedWeight::Run& last = loaded.runs_.back();
      if (last.rows + (turn.first - last.first) * loaded.row_bytes == bytes) return;
    }
    loaded.runs_.push_back({turn.first, bytes});
  }

  const LayerSpec& layer_;
  const Kernels& kernels_;
  const ForwardKernels& forward_;
  LoadedWeights& into_;
  Files files_;
  std::vector<Turn> turns_;  // Weight after weight, row after row.
  std::vector<std::unique_ptr<uint8_t[]>> flushed_;  // By turn.
  std::mutex mutex_;
  LoadReply reply_;
};

LoadReply LoadWeights(const LayerSpec& layer, const Kernels& kernels, const ForwardKernels& forward,
                      Team& team, const std::atomic<bool>& stop, LoadedWeights& into) {
  return WeightLoader(layer, kernels, forward, into).Load(team, stop);
}

LoadReply Embed(const EmbedRequest& request, const Kernels& kernels, const ForwardKernels& forward,
                Team& team, const std::atomic<bool>& stop) {
  // Tokens of one turn.
  constexpr size_t kTurnTokens = 64;
  const WeightSpec& table = request.table;
  const size_t columns = table.columns;
  const size_t row_bytes = RowBytes(table);
  const uint32_t format = FormatOf(table.type);
  LoadReply reply;
  std::vector<std::unique_ptr<MappedFile>> owned;
  Files files(owned);
  reply.file = files.Map({table}, reply.weight, reply.piece);
  if (reply.file.error != 0) return reply;
  std::vector<size_t> ends;
  std::vector<const uint8_t*> starts;
  for (const PieceSpec& piece : table.pieces) {
    ends.push_back((ends.empty() ? 0 : ends.back()) + piece.rows);
    starts.push_back(files.Of(piece.path).At(piece.offset));
  }
  const auto row_at = [&](size_t row) {
    size_t piece = 0;
    while (row >= ends[piece]) ++piece;
    return starts[piece] + (row - (ends[piece] - table.pieces[piece].rows)) * row_bytes;
  };
  std::mutex mutex;
  const auto embed_token = [&](size_t at) {
    const uint32_t token = request.tokens[at];
    const uint8_t* const row = row_at(token);
    const size_t bad = kernels.find_non_finite[format](row, columns);
    if (bad < columns) {
      const std::lock_guard<std::mutex> lock(mutex);
      const size_t element = token * columns + bad;
      if (!reply.not_finite || element < reply.element) reply.element = element;
      reply.not_finite = true;
    }
    float* const into = request.into + at * columns;
    kernels.dequantize[format](row, columns, into);
    forward.scale(request.factor, columns, into);
  };
  const size_t count = request.tokens.size();
  team.ForEach((count + kTurnTokens - 1) / kTurnTokens, stop, [&](size_t turn, size_t) {
    const size_t end = (turn + 1) * kTurnTokens;
    for (size_t at = turn * kTurnTokens; at < end && at < count; ++at) embed_token(at);
  });
  reply.stopped = stop.load();
  return reply;
}

}  // namespace quantd
