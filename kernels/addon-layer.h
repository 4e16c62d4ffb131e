// Addon layer: what JavaScript says of a layer, as a LayerSpec that is sound.
//
//   {registers, scratchWidth, leaves, weights, statistics, tables, operations} ──▶ ReadLayer ──▶ LayerSpec
//
// The form is that of daemon/adapters/forward.ts: names are indexes already. A part of addon.cpp,
// in a file of its own for its length. Read next: addon-forward.h.
#ifndef QUANTD_ADDON_LAYER_H_
#define QUANTD_ADDON_LAYER_H_

#include <math.h>

#include "addon-promises.h"
#include "layer.h"

namespace quantd {
namespace {

// Of any list of a layer: the longest, its operations, has tens of entries.
constexpr uint32_t kEntriesMax = 1 << 16;

// The fields of one object; `fits` falls at the first that is not what it should be.
class Fields {
 public:
  explicit Fields(const Napi::Value& value) : fits(value.IsObject()) {
    if (fits) object_ = value.As<Napi::Object>();
  }

  Napi::Value Get(const char* name) const {
    return fits ? object_.Get(name) : Napi::Value();
  }
  bool Has(const char* name) const { return fits && !Get(name).IsUndefined(); }
  size_t Whole(const char* name, double high = kWholeMax) {
    size_t whole = 0;
    fits = fits && ReadWhole(object_.Get(name), 0, high, whole);
    return whole;
  }
  Index At(const char* name) { return static_cast<Index>(Whole(name, kNone - 1.0)); }
  Index AtOrNone(const char* name) { return Has(name) ? At(name) : kNone; }
  bool Truth(const char* name) {
    const Napi::Value value = Get(name);
    fits = fits && value.IsBoolean();
    return fits && value.As<Napi::Boolean>();
  }
  // Rounded to binary32.
  float Real(const char* name) {
    const Napi::Value value = Get(name);
    fits = fits && value.IsNumber();
    const float number = fits ? value.As<Napi::Number>().FloatValue() : 0.0f;
    fits = fits && isfinite(number);
    return number;
  }
  std::string Text(const char* name) {
    const Napi::Value value = Get(name);
    fits = fits && value.IsString();
    return fits ? value.As<Napi::String>().Utf8Value() : std::string();
  }
  Activation Gate() {
    const std::string name = Text("activation");
    fits = fits && (name == "gelu" || name == "silu");
    return name == "silu" ? Activation::kSilu : Activation::kGelu;
  }

  bool fits;

 private:
  Napi::Object object_;
};

// read(entry) for each entry of a list; false where it is none or an entry does not fit.
template <typename Read>
bool ReadList(const Napi::Value& value, const Read& read) {
  if (!value.IsArray()) return false;
  const auto list = value.As<Napi::Array>();
  const uint32_t count = list.Length();
  if (count > kEntriesMax) return false;
  for (uint32_t i = 0; i < count; ++i) {
    if (!read(list.Get(i))) return false;
  }
  return true;
}

bool ReadPiece(const Napi::Value& value, PieceSpec& piece) {
  Fields fields(value);
  piece = {fields.Text("path"), fields.Whole("offset"), fields.Whole("rows", kRowsMax)};
  return fields.fits && piece.path.find('\0') == std::string::npos;
}

bool ReadWeightType(const std::string& name, WeightType& type) {
  if (name == "F32") type = WeightType::kF32;
  if (name == "F16") type = WeightType::kF16;
  if (name == "BF16") type = WeightType::kBF16;
  return name == "F32" || name == "F16" || name == "BF16";
}

bool ReadWeight(const Napi::Value& value, WeightSpec& spec) {
  Fields fields(value);
  if (!ReadWeightType(fields.Text("type"), spec.type)) return false;
  spec.is_kept_f32 = fields.Truth("isKeptF32");
  spec.columns = fields.Whole("columns", kWidthMax);
  spec.rows = fields.Whole("rows", kRowsMax);
  spec.matrices = fields.Whole("matrices", kWidthMax);
  return fields.fits && ReadList(fields.Get("pieces"), [&](const Napi::Value& entry) {
    PieceSpec piece;
    if (!ReadPiece(entry, piece)) return false;
    spec.pieces.push_back(std::move(piece));
    return true;
  });
}

bool ReadAngles(const Napi::Value& value, std::vector<float>& angles) {
  Bytes bytes = {};
  if (!ReadMemory(value, napi_float32_array, bytes).empty()) return false;
  const auto* const numbers = reinterpret_cast<const float*>(bytes.data);
  angles.assign(numbers, numbers + bytes.size / sizeof(float));
  return true;
}

bool ReadTable(const Napi::Value& value, TableSpec& table) {
  Fields fields(value);
  table.pairs = fields.Whole("pairs", kWidthMax);
  if (!fields.fits || table.pairs == 0) return false;
  if (!ReadAngles(fields.Get("cosine"), table.cosine)) return false;
  if (!ReadAngles(fields.Get("sine"), table.sine)) return false;
  table.positions = table.cosine.size() / table.pairs;
  return true;
}

bool ReadExperts(Fields& fields, ExpertsStep& step) {
  step.into = fields.At("into");
  step.from = fields.At("from");
  step.routing = fields.At("routing");
  step.used = fields.Whole("used", kUsedMax);
  step.gate_up = fields.At("gateUp");
  step.down = fields.At("down");
  step.activation = fields.Gate();
  size_t count = 0;
  return ReadList(fields.Get("statistics"), [&](const Napi::Value& entry) {
           size_t index = 0;
           if (count == 2 || !ReadWhole(entry, 0, kNone - 1.0, index)) return false;
           step.statistics[count++] = static_cast<Index>(index);
           return true;
         }) &&
         count == 2;
}

// Fields are read in the order in which they are written.
bool ReadStep(const Napi::Value& value, Step& step) {
  Fields f(value);
  const std::string kind = f.Text("kind");
  if (kind == "norm") {
    step = NormStep{f.At("into"), f.At("from"), f.Whole("width", kWidthMax), f.AtOrNone("weight"),
                    f.Real("epsilon")};
  } else if (kind == "scale") {
    step = ScaleStep{f.At("into"), f.Real("factor")};
  } else if (kind == "multiply") {
    step = MultiplyStep{f.At("into"), f.At("weight")};
  } else if (kind == "product") {
    step = ProductStep{f.At("into"), f.At("from"), f.At("weight")};
  } else if (kind == "collect") {
    step = CollectStep{f.At("from"), f.At("statistic")};
  } else if (kind == "rotate") {
    step = RotateStep{f.At("into"), f.Whole("width", kWidthMax), f.At("table")};
  } else if (kind == "attention") {
    step = AttentionStep{f.At("into"), f.At("queries"), f.At("keys"), f.At("values"),
                         f.Whole("heads", kWidthMax), f.Whole("keyHeads", kWidthMax),
                         f.Whole("width", kWidthMax), f.Whole("window"), f.Real("scale")};
  } else if (kind == "gate") {
    step = GateStep{f.At("into"), f.At("gate"), f.At("up"), f.Gate()};
  } else if (kind == "route") {
    step = RouteStep{f.At("into"), f.At("logits"), f.Whole("used", kUsedMax),
                     f.AtOrNone("scales")};
  } else if (kind == "experts") {
    ExpertsStep experts = {};
    if (!ReadExperts(f, experts)) return false;
    step = experts;
  } else if (kind == "add") {
    step = AddStep{f.At("into"), f.At("left"), f.At("right")};
  } else if (kind == "loss") {
    step = LossStep{f.At("into"), f.At("from"), f.At("weight"), f.At("targets"),
                    f.Real("softcap")};
  } else {
    return false;
  }
  return f.fits;
}

bool ReadRegister(const Napi::Value& value, RegisterSpec& spec) {
  Fields fields(value);
  spec.width = fields.Whole("width", kWidthMax);
  spec.is_state = !fields.Has("at");
  spec.at = spec.is_state ? 0 : fields.Whole("at");
  return fields.fits;
}

// Appends what `read` makes of each entry.
template <typename Item>
bool ReadItems(const Napi::Value& value, bool (*read)(const Napi::Value&, Item&),
               std::vector<Item>& items) {
  return ReadList(value, [&](const Napi::Value& entry) {
    Item item = {};
    if (!read(entry, item)) return false;
    items.push_back(std::move(item));
    return true;
  });
}

bool ReadStatistic(const Napi::Value& value, StatisticSpec& spec) {
  Fields fields(value);
  spec = {fields.Whole("matrices", kWidthMax), fields.Whole("columns", kWidthMax)};
  return fields.fits;
}

bool ReadLeaf(const Napi::Value& value, Index& leaf) {
  size_t index = 0;
  if (!ReadWhole(value, 0, kNone - 1.0, index)) return false;
  leaf = static_cast<Index>(index);
  return true;
}

// An empty string, or what is wrong with the layer.
std::string ReadLayer(const Napi::Value& value, LayerSpec& layer) {
  Fields fields(value);
  if (!fields.fits) return "layer is no object";
  layer.scratch_width = fields.Whole("scratchWidth");
  if (!fields.fits) return "scratchWidth is no whole number";
  if (!ReadItems(fields.Get("registers"), ReadRegister, layer.registers)) {
    return "registers do not fit";
  }
  if (!ReadItems(fields.Get("leaves"), ReadLeaf, layer.leaves)) return "leaves do not fit";
  if (!ReadItems(fields.Get("weights"), ReadWeight, layer.weights)) return "weights do not fit";
  if (!ReadItems(fields.Get("statistics"), ReadStatistic, layer.statistics)) {
    return "statistics do not fit";
  }
  if (!ReadItems(fields.Get("tables"), ReadTable, layer.tables)) return "tables do not fit";
  if (!ReadItems(fields.Get("operations"), ReadStep, layer.steps)) return "operations do not fit";
  return CheckLayer(layer);
}

}  // namespace
}  // namespace quantd

#endif
