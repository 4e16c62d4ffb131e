// Layer: a list of operations over registers, as daemon/core/models/forward.ts says it, in numbers.
//
//   (addon-forward.h) ──▶ LayerSpec ──▶ CheckLayer ──▶ executor.h
//
// Registers, weights, statistics and tables are named by their index. What each operation computes
// is DET-1.md.
#ifndef QUANTD_LAYER_H_
#define QUANTD_LAYER_H_

#include <stddef.h>
#include <stdint.h>

#include <string>
#include <variant>
#include <vector>

#include "forward.h"

namespace quantd {

// Of a register, a row of a weight, the experts and the chunks: no model comes near, and no product
// of such sizes with the bytes of a number comes near 2^64.
inline constexpr size_t kWidthMax = 1 << 20;
// Of a wave. A token in a register of kWidthMax then still has an offset below 2^48.
inline constexpr size_t kTokensMax = 1 << 24;
// Numbers of a weight that is widened: 1 GiB. Larger ones are multiplied from where they lie.
inline constexpr size_t kWidenedMax = 1 << 28;
// Rows of all matrices of a weight.
inline constexpr size_t kRowsMax = size_t{1} << 32;
// A token's experts are put on the stack.
inline constexpr size_t kUsedMax = 64;

using Index = uint32_t;
inline constexpr Index kNone = UINT32_MAX;

struct RegisterSpec {
  size_t width;  // Numbers a token.
  // Its numbers are given with each wave; else they begin at `at` numbers a token in the scratch.
  bool is_state;
  size_t at;
};

struct PieceSpec {
  std::string path;
  uint64_t offset;
  size_t rows;
};

struct WeightSpec {
  WeightType type;
  bool is_kept_f32;  // Multiplied as binary32, whatever its type.
  size_t columns;
  size_t rows;  // Of one matrix.
  size_t matrices;
  std::vector<PieceSpec> pieces;
};

struct StatisticSpec {
  size_t matrices;
  size_t columns;
};

struct TableSpec {
  size_t positions;
  size_t pairs;
  std::vector<float> cosine;  // (positions, pairs)
  std::vector<float> sine;
};

struct NormStep {
  Index into;
  Index from;
  size_t width;
  Index weight;  // Or kNone.
  float epsilon;
};
struct ScaleStep {
  Index into;
  float factor;
};
struct MultiplyStep {
  Index into;
  Index weight;
};
struct ProductStep {
  Index into;
  Index from;
  Index weight;
};
struct CollectStep {
  Index from;
  Index statistic;
};
struct RotateStep {
  Index into;
  size_t width;
  Index table;
};
struct AttentionStep {
  Index into;
  Index queries;
  Index keys;
  Index values;
  size_t heads;
  size_t key_heads;
  size_t width;
  size_t window;
  float scale;
};
struct GateStep {
  Index into;
  Index gate;
  Index up;
  Activation activation;
};
// A register of routing has 2 * used numbers a token: the number of an expert, its weight, the
// number of the next.
struct RouteStep {
  Index into;
  Index logits;
  size_t used;
  Index scales;  // Or kNone.
};
struct ExpertsStep {
  Index into;
  Index from;
  Index routing;
  size_t used;
  Index gate_up;
  Index down;
  Activation activation;
  Index statistics[2];
};
struct AddStep {
  Index into;
  Index left;
  Index right;
};
struct LossStep {
  Index into;
  Index from;
  Index weight;
  Index targets;
  float softcap;
};

using Step = std::variant<NormStep, ScaleStep, MultiplyStep, ProductStep, CollectStep, RotateStep,
                          AttentionStep, GateStep, RouteStep, ExpertsStep, AddStep, LossStep>;

struct LayerSpec {
  std::vector<RegisterSpec> registers;
  // Numbers a token of all registers that lie in the scratch.
  size_t scratch_width;
  // State that later layers read.
  std::vector<Index> leaves;
  std::vector<WeightSpec> weights;
  std::vector<StatisticSpec> statistics;
  std::vector<TableSpec> tables;
  std::vector<Step> steps;
};

// An empty string, or what is wrong with the layer: whatever a caller passes, no step that passed
// here reaches memory that is not its own.
std::string CheckLayer(const LayerSpec& layer);

// The same for a wave of so many chunks and positions.
std::string CheckWave(const LayerSpec& layer, size_t chunks, size_t positions);

// Bytes of the sums and counts of a layer.
size_t SumsBytes(const LayerSpec& layer);

// Whether a copy of the weight in binary32 is wanted: of what some step reads as a vector (a norm's,
// a factor's, the scales of experts), and of what a GGUF keeps in that type and the source does not.
bool IsWidened(const LayerSpec& layer, Index weight);

}  // namespace quantd

#endif
