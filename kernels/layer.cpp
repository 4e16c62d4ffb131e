#include "layer.h"

namespace quantd {
namespace {

constexpr char kBadRegister[] = "names a register that does not exist";
constexpr char kBadWeight[] = "names a weight that does not exist";
constexpr char kBadWidth[] = "has registers whose widths do not fit";
constexpr char kBadShape[] = "has a weight whose shape does not fit";
constexpr char kBadStatistic[] = "has a statistic that does not fit";
constexpr char kBadTable[] = "has a table that does not fit";
constexpr char kInPlace[] = "cannot work in place";
constexpr char kBadCount[] = "has a count that does not fit";

// What is wrong with one step; null when nothing is.
class StepCheck {
 public:
  explicit StepCheck(const LayerSpec& layer) : layer_(layer) {}

  const char* operator()(const NormStep& step) const {
    if (!HasRegisters({step.into, step.from})) return kBadRegister;
    const size_t width = Width(step.into);
    if (Width(step.from) != width || step.width < 1 || width % step.width != 0) return kBadWidth;
    return step.weight == kNone ? nullptr : CheckVector(step.weight, step.width);
  }
  const char* operator()(const ScaleStep& step) const {
    return HasRegisters({step.into}) ? nullptr : kBadRegister;
  }
  const char* operator()(const MultiplyStep& step) const {
    if (!HasRegisters({step.into})) return kBadRegister;
    if (CheckVector(step.weight, 1) == nullptr) return nullptr;
    return CheckVector(step.weight, Width(step.into));
  }
  const char* operator()(const ProductStep& step) const {
    if (!HasRegisters({step.into, step.from})) return kBadRegister;
    if (step.into == step.from) return kInPlace;
    return CheckMatrix(step.weight, Width(step.from), Width(step.into), 1);
  }
  const char* operator()(const CollectStep& step) const {
    if (!HasRegisters({step.from})) return kBadRegister;
    return CheckStatistic(step.statistic, 1, Width(step.from));
  }
  const char* operator()(const RotateStep& step) const {
    if (!HasRegisters({step.into})) return kBadRegister;
    if (step.width < 2 || step.width % 2 != 0) return kBadWidth;
    if (Width(step.into) % step.width != 0) return kBadWidth;
    if (step.table >= layer_.tables.size()) return kBadTable;
    return layer_.tables[step.table].pairs == step.width / 2 ? nullptr : kBadTable;
  }
  const char* operator()(const AttentionStep& step) const {
    if (!HasRegisters({step.into, step.queries, step.keys, step.values})) return kBadRegister;
    if (step.into == step.keys || step.into == step.values) return kInPlace;
    if (!IsCount(step.heads) || !IsCount(step.key_heads) || !IsCount(step.width)) return kBadCount;
    if (step.heads % step.key_heads != 0 || step.window > kTokensMax) return kBadCount;
    const size_t queries = step.heads * step.width;
    const size_t keys = step.key_heads * step.width;
    const bool fits = Width(step.into) == queries && Width(step.queries) == queries &&
                      Width(step.keys) == keys && Width(step.values) == keys;
    return fits ? nullptr : kBadWidth;
  }
  const char* operator()(const GateStep& step) const {
    if (!HasRegisters({step.into, step.gate, step.up})) return kBadRegister;
    return AreAlike({step.into, step.gate, step.up}) ? nullptr : kBadWidth;
  }
  const char* operator()(const RouteStep& step) const {
    if (!HasRegisters({step.into, step.logits})) return kBadRegister;
    if (step.into == step.logits) return kInPlace;
    const size_t experts = Width(step.logits);
    if (step.used < 1 || step.used > kUsedMax || step.used > experts) return kBadCount;
    if (Width(step.into) != 2 * step.used) return kBadWidth;
    return step.scales == kNone ? nullptr : CheckVector(step.scales, experts);
  }
  const char* operator()(const ExpertsStep& step) const {
    if (!HasRegisters({step.into, step.from, step.routing})) return kBadRegister;
    if (step.into == step.from || step.into == step.routing) return kInPlace;
    if (step.gate_up >= layer_.weights.size()) return kBadWeight;
    if (step.down >= layer_.weights.size()) return kBadWeight;
    const WeightSpec& down = layer_.weights[step.down];
    const size_t hidden = Width(step.from);
    const size_t inner = down.columns;
    const size_t experts = down.matrices;
    if (step.used < 1 || step.used > kUsedMax || step.used > experts) return kBadCount;
    if (Width(step.routing) != 2 * step.used || Width(step.into) != hidden) return kBadWidth;
    const char* const wrong = CheckMatrix(step.gate_up, hidden, 2 * inner, experts);
    if (wrong != nullptr) return wrong;
    if (down.rows != hidden) return kBadShape;
    if (step.statistics[0] == step.statistics[1]) return kBadStatistic;
    const char* const first = CheckStatistic(step.statistics[0], experts, hidden);
    return first != nullptr ? first : CheckStatistic(step.statistics[1], experts, inner);
  }
  const char* operator()(const AddStep& step) const {
    if (!HasRegisters({step.into, step.left, step.right})) return kBadRegister;
    return AreAlike({step.into, step.left, step.right}) ? nullptr : kBadWidth;
  }
  const char* operator()(const LossStep& step) const {
    if (!HasRegisters({step.into, step.from, step.targets})) return kBadRegister;
    if (step.into == step.from || step.into == step.targets) return kInPlace;
    if (Width(step.into) != 3 || Width(step.targets) != 1) return kBadWidth;
    if (step.weight >= layer_.weights.size()) return kBadWeight;
    const size_t rows = layer_.weights[step.weight].rows;
    // A target is a binary32 number.
    if (rows > 1 << 24) return kBadShape;
    return CheckMatrix(step.weight, Width(step.from), rows, 1);
  }

 private:
  static bool IsCount(size_t value) { return value >= 1 && value <= kWidthMax; }
  bool HasRegisters(std::initializer_list<Index> registers) const {
    for (const Index index : registers) {
      if (index >= layer_.registers.size()) return false;
    }
    return true;
  }
  size_t Width(Index index) const { return layer_.registers[index].width; }
  bool AreAlike(std::initializer_list<Index> registers) const {
    for (const Index index : registers) {
      if (Width(index) != Width(*registers.begin())) return false;
    }
    return true;
  }
  const char* CheckMatrix(Index index, size_t columns, size_t rows, size_t matrices) const {
    if (index >= layer_.weights.size()) return kBadWeight;
    const WeightSpec& weight = layer_.weights[index];
    const bool fits =
        weight.columns == columns && weight.rows == rows && weight.matrices == matrices;
    return fits ? nullptr : kBadShape;
  }
  const char* CheckVector(Index index, size_t count) const {
    return CheckMatrix(index, count, 1, 1);
  }
  const char* CheckStatistic(Index index, size_t matrices, size_t columns) const {
    if (index >= layer_.statistics.size()) return kBadStatistic;
    const StatisticSpec& statistic = layer_.statistics[index];
    const bool fits = statistic.matrices == matrices && statistic.columns == columns;
    return fits ? nullptr : kBadStatistic;
  }

  const LayerSpec& layer_;
};

bool IsBetween(size_t value, size_t low, size_t high) { return value >= low && value <= high; }

std::string At(const char* what, size_t index, const char* wrong) {
  return std::string(what) + "[" + std::to_string(index) + "] " + wrong;
}

bool IsSoundRegister(const LayerSpec& layer, const RegisterSpec& spec) {
  if (!IsBetween(spec.width, 1, kWidthMax)) return false;
  if (spec.is_state) return true;
  return spec.at <= layer.scratch_width && spec.width <= layer.scratch_width - spec.at;
}

bool IsSoundWeight(const WeightSpec& spec) {
  if (!IsBetween(spec.columns, 1, kWidthMax) || !IsBetween(spec.rows, 1, kRowsMax)) return false;
  if (!IsBetween(spec.matrices, 1, kWidthMax) || spec.rows > kRowsMax / spec.matrices) return false;
  size_t left = spec.rows * spec.matrices;
  for (const PieceSpec& piece : spec.pieces) {
    if (!IsBetween(piece.rows, 1, left)) return false;
    left -= piece.rows;
  }
  return left == 0;
}

std::string CheckParts(const LayerSpec& layer) {
  // Sixteen registers of the greatest width side by side.
  if (layer.scratch_width > 16 * kWidthMax) return "scratchWidth is too large";
  for (size_t i = 0; i < layer.registers.size(); ++i) {
    if (!IsSoundRegister(layer, layer.registers[i])) return At("registers", i, "does not fit");
  }
  for (size_t i = 0; i < layer.weights.size(); ++i) {
    if (!IsSoundWeight(layer.weights[i])) return At("weights", i, "has rows that do not fit");
  }
  for (size_t i = 0; i < layer.statistics.size(); ++i) {
    const StatisticSpec& spec = layer.statistics[i];
    if (!IsBetween(spec.matrices, 1, kWidthMax) || !IsBetween(spec.columns, 1, kWidthMax)) {
      return At("statistics", i, "does not fit");
    }
  }
  for (size_t i = 0; i < layer.tables.size(); ++i) {
    const TableSpec& table = layer.tables[i];
    const bool fits = IsBetween(table.pairs, 1, kWidthMax) &&
                      IsBetween(table.positions, 1, kTokensMax) &&
                      table.cosine.size() == table.positions * table.pairs &&
                      table.sine.size() == table.cosine.size();
    if (!fits) return At("tables", i, "does not fit");
  }
  return "";
}

// Whether a step reads the weight as a vector.
struct VectorRead {
  Index weight;
  bool operator()(const NormStep& step) const { return step.weight == weight; }
  bool operator()(const MultiplyStep& step) const { return step.weight == weight; }
  bool operator()(const RouteStep& step) const { return step.scales == weight; }
  template <typename Other>
  bool operator()(const Other&) const {
    return false;
  }
};

}  // namespace

std::string CheckLayer(const LayerSpec& layer) {
  const std::string wrong = CheckParts(layer);
  if (!wrong.empty()) return wrong;
  for (size_t i = 0; i < layer.leaves.size(); ++i) {
    const Index leaf = layer.leaves[i];
    if (leaf >= layer.registers.size()) return At("leaves", i, kBadRegister);
    if (!layer.registers[leaf].is_state) return At("leaves", i, "is no state");
  }
  const StepCheck check(layer);
  for (size_t i = 0; i < layer.steps.size(); ++i) {
    const char* const reason = std::visit(check, layer.steps[i]);
    if (reason != nullptr) return At("operations", i, reason);
  }
  for (size_t i = 0; i < layer.weights.size(); ++i) {
    const WeightSpec& weight = layer.weights[i];
    const size_t numbers = weight.columns * weight.rows * weight.matrices;
    if (numbers > kWidenedMax && IsWidened(layer, static_cast<Index>(i))) {
      return At("weights", i, "is too large to be kept in F32");
    }
  }
  return "";
}

std::string CheckWave(const LayerSpec& layer, size_t chunks, size_t positions) {
  if (!IsBetween(chunks, 1, kTokensMax) || !IsBetween(positions, 1, kTokensMax / chunks)) {
    return "chunks or positions does not fit";
  }
  for (const Step& step : layer.steps) {
    const auto* const rotate = std::get_if<RotateStep>(&step);
    if (rotate != nullptr && layer.tables[rotate->table].positions < positions) {
      return "positions has more than a table";
    }
  }
  return "";
}

size_t SumsBytes(const LayerSpec& layer) {
  size_t bytes = 0;
  for (const StatisticSpec& spec : layer.statistics) {
    bytes += spec.matrices * spec.columns * 16 + spec.matrices * sizeof(uint64_t);
  }
  return bytes;
}

bool IsWidened(const LayerSpec& layer, Index weight) {
  for (const Step& step : layer.steps) {
    if (std::visit(VectorRead{weight}, step)) return true;
  }
  const WeightSpec& spec = layer.weights[weight];
  return spec.is_kept_f32 && spec.type != WeightType::kF32;
}

}  // namespace quantd
