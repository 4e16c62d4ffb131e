// Checks the executor: every table, team and cut into waves gives the same bits, and none touches a
// byte beyond what ScratchBytes says.
//
//   check-executor      exit 0, or a message and exit 1
//
// Built with sanitizers this is the test of the executor's memory: every buffer is exactly as long
// as it must be. What the bits are is the matter of daemon/adapters/forward.test.ts.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "dispatch.h"
#include "executor.h"
#include "float-state.h"
#include "forward-dispatch.h"

namespace quantd {
namespace {

constexpr size_t kHidden = 37;
constexpr size_t kHeads = 4;
constexpr size_t kKeyHeads = 2;
constexpr size_t kHead = 6;
constexpr size_t kWide = 205;
constexpr size_t kExperts = 5;
constexpr size_t kUsed = 2;
constexpr size_t kInner = 7;
constexpr size_t kRowsOfOutput = 600;
constexpr size_t kPositions = 67;
constexpr size_t kChunks = 11;

enum Register : Index {
  kState, kTargets, kLoss, kNormed, kQueries, kKeys, kValues, kBranch, kGate, kUp, kLogits,
  kRouting, kMixture, kRegisters
};
enum Tensor : Index {
  kNorm, kQ, kK, kV, kO, kGateUp, kDown, kRouter, kGateUpExperts, kDownExperts, kOutput
};

[[noreturn]] void Fail(const char* what) {
  fprintf(stderr, "check-executor: %s\n", what);
  exit(1);
}

// A number in (-1, 1).
float Next(uint32_t& state) {
  state = state * 1664525u + 1013904223u;
  return static_cast<float>(static_cast<int32_t>(state)) * 0x1p-31f;
}

// Adds a weight behind the others in the file, its rows in two pieces that meet.
void AddWeight(LayerSpec& layer, FILE* file, const std::string& path, WeightType type,
               size_t columns, size_t rows, size_t matrices = 1) {
  const size_t all = rows * matrices;
  uint32_t seed = static_cast<uint32_t>(layer.weights.size());
  const auto start = static_cast<uint64_t>(ftell(file));
  for (size_t i = 0; i < all * columns; ++i) {
    // Some that mode B takes for zero.
    const float value = i % 1013 == 7 ? 0x1p-70f : Next(seed);
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    const auto half = static_cast<uint16_t>(bits >> 16);
    if (type == WeightType::kF32) {
      fwrite(&value, sizeof value, 1, file);
    } else {
      fwrite(&half, sizeof half, 1, file);
    }
  }
  const size_t row_bytes = columns * (type == WeightType::kF32 ? 4 : 2);
  const size_t first = all / 3;
  WeightSpec spec = {type, false, columns, rows, matrices, {}};
  if (first > 0) spec.pieces.push_back({path, start, first});
  spec.pieces.push_back({path, start + first * row_bytes, all - first});
  layer.weights.push_back(std::move(spec));
}

void AddRegister(LayerSpec& layer, size_t width, bool is_state = false) {
  layer.registers.push_back({width, is_state, is_state ? 0 : layer.scratch_width});
  if (!is_state) layer.scratch_width += width;
}

void AddSteps(LayerSpec& layer) {
  layer.steps = {
      NormStep{kNormed, kState, kHidden, kNorm, 1e-6f},
      CollectStep{kNormed, 0},
      ProductStep{kQueries, kNormed, kQ},
      ProductStep{kKeys, kNormed, kK},
      ProductStep{kValues, kNormed, kV},
      AttentionStep{kQueries, kQueries, kKeys, kValues, kHeads, kKeyHeads, kHead, 50, 0.5f},
      ProductStep{kBranch, kQueries, kO},
      AddStep{kState, kState, kBranch},
      ProductStep{kGate, kState, kGateUp},
      ProductStep{kUp, kState, kGateUp},
      GateStep{kUp, kGate, kUp, Activation::kGelu},
      ProductStep{kBranch, kUp, kDown},
      NormStep{kBranch, kBranch, kHidden, kNone, 1e-6f},
      ProductStep{kLogits, kBranch, kRouter},
      RouteStep{kRouting, kLogits, kUsed, kNone},
      ExpertsStep{kMixture, kBranch, kRouting, kUsed, kGateUpExperts, kDownExperts,
                  Activation::kSilu, {1, 2}},
      AddStep{kState, kState, kMixture},
      LossStep{kLoss, kBranch, kOutput, kTargets, 30.0f},
  };
}

LayerSpec MakeLayer(const std::string& path) {
  LayerSpec layer = {};
  AddRegister(layer, kHidden, true);
  AddRegister(layer, 1, true);
  AddRegister(layer, 3, true);
  for (const size_t width : {kHidden, kHeads * kHead, kKeyHeads * kHead, kKeyHeads * kHead, kHidden,
                             kWide, kWide, kExperts, 2 * kUsed, kHidden}) {
    AddRegister(layer, width);
  }
  layer.leaves = {kState, kLoss};
  layer.statistics = {{1, kHidden}, {kExperts, kHidden}, {kExperts, kInner}};
  FILE* const file = fopen(path.c_str(), "wb");
  if (file == nullptr) Fail("cannot write a file beside the program");
  fputc('.', file);  // So that nothing is aligned.
  constexpr WeightType kB = WeightType::kBF16;
  AddWeight(layer, file, path, kB, kHidden, 1);
  AddWeight(layer, file, path, kB, kHidden, kHeads * kHead);
  AddWeight(layer, file, path, WeightType::kF32, kHidden, kKeyHeads * kHead);
  AddWeight(layer, file, path, kB, kHidden, kKeyHeads * kHead);
  AddWeight(layer, file, path, kB, kHeads * kHead, kHidden);
  AddWeight(layer, file, path, kB, kHidden, kWide);
  AddWeight(layer, file, path, kB, kWide, kHidden);
  AddWeight(layer, file, path, WeightType::kF32, kHidden, kExperts);
  AddWeight(layer, file, path, kB, kHidden, 2 * kInner, kExperts);
  AddWeight(layer, file, path, kB, kInner, kHidden, kExperts);
  AddWeight(layer, file, path, kB, kHidden, kRowsOfOutput);
  fclose(file);
  AddSteps(layer);
  const std::string wrong = CheckLayer(layer);
  if (!wrong.empty()) Fail(wrong.c_str());
  return layer;
}

struct Made {
  std::vector<float> state;  // Hidden and loss, chunk after chunk.
  std::vector<uint8_t> sums;
  bool operator==(const Made& other) const {
    return sums == other.sums && state.size() == other.state.size() &&
           memcmp(state.data(), other.state.data(), state.size() * sizeof(float)) == 0;
  }
};

void RunWave(const PreparedLayer& layer, const ForwardKernels& forward, Team& team, size_t first,
             size_t chunks, Made& made) {
  const size_t tokens = chunks * kPositions;
  std::vector<float> hidden(tokens * kHidden);
  std::vector<float> targets(tokens);
  std::vector<float> loss(tokens * 3);
  for (size_t c = 0; c < chunks; ++c) {
    auto seed = static_cast<uint32_t>(77 * (first + c));
    for (size_t i = 0; i < kPositions * kHidden; ++i) {
      hidden[c * kPositions * kHidden + i] = Next(seed);
    }
    for (size_t t = 0; t < kPositions; ++t) {
      targets[c * kPositions + t] = static_cast<float>(t * 31 % kRowsOfOutput);
    }
  }
  // Exactly as long as it must be, one byte off every alignment.
  const size_t bytes = ScratchBytes(layer, forward, team.size(), chunks, kPositions);
  const auto scratch = std::make_unique<uint8_t[]>(bytes + 1);
  memset(scratch.get(), 0xFF, bytes + 1);
  const std::atomic<bool> stop{false};
  const WaveReply reply =
      RunLayer(layer, *PickKernels(nullptr), forward, team,
               {chunks, kPositions, {hidden.data(), targets.data(), loss.data()},
                scratch.get() + 1, made.sums.data()},
               stop);
  if (reply.stopped || reply.file_shrunk || !reply.bad.empty()) Fail("a wave did not pass");
  for (size_t t = 0; t < tokens; ++t) {
    const float* const row = hidden.data() + t * kHidden;
    made.state.insert(made.state.end(), row, row + kHidden);
    made.state.insert(made.state.end(), loss.data() + 3 * t, loss.data() + 3 * t + 3);
  }
}

Made RunAll(const LayerSpec& spec, const ForwardKernels& forward, uint32_t threads,
            const std::vector<size_t>& cut) {
  Team team(threads);
  PreparedLayer layer = {spec, {}};
  const std::atomic<bool> stop{false};
  const LoadReply loaded =
      LoadWeights(layer.spec, *PickKernels(nullptr), forward, team, stop, layer.loaded);
  if (loaded.stopped || loaded.not_finite || loaded.file.error != 0) Fail("weights do not load");
  Made made = {{}, std::vector<uint8_t>(SumsBytes(spec))};
  size_t first = 0;
  for (const size_t chunks : cut) {
    RunWave(layer, forward, team, first, chunks, made);
    first += chunks;
  }
  return made;
}

void CheckAll(const std::string& path) {
  const LayerSpec spec = MakeLayer(path);
  const Made wanted = RunAll(spec, *FindForward("scalar"), 1, {kChunks});
  for (const ForwardKernels* const* row = RunnableForward(); *row != nullptr; ++row) {
    for (const uint32_t threads : {1u, 3u}) {
      const bool same = RunAll(spec, **row, threads, {kChunks}) == wanted &&
                        RunAll(spec, **row, threads, {1, 2, kChunks - 3}) == wanted;
      printf("%-12s %u threads  %s\n", (*row)->isa, threads, same ? "same" : "DIFFERENT");
      if (!same) Fail("bits differ");
    }
  }
}

}  // namespace
}  // namespace quantd

int main(int, char** arguments) {
  const quantd::FloatState controlled;
  const std::string path = std::string(arguments[0]) + ".weights";
  quantd::CheckAll(path);
  unlink(path.c_str());
  return 0;
}
