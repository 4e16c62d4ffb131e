// Addon forward: layers that are prepared and run, and rows of embeddings, for JavaScript.
//
//   new ForwardKernels({threads, isa?}) ──▶ prepare(layer), run(job), embed(job) ──▶ promises
//
// One task at a time, on a thread of its own that shares each loop with a team. A part of addon.cpp,
// in a file of its own for its length. Read next: addon-layer.h, executor.h.
#ifndef QUANTD_ADDON_FORWARD_H_
#define QUANTD_ADDON_FORWARD_H_

#include <string.h>

#include "addon-layer.h"
#include "dispatch.h"
#include "executor.h"
#include "forward-dispatch.h"
#include "forward-self-test.h"
#include "products-self-test.h"
#include "stopwatch.h"

namespace quantd {
namespace {

// What every task of the forward pass works with.
struct ForwardTools {
  const Kernels* kernels;  // For what does not depend on the set: widening, finding NaN.
  const ForwardKernels* forward;
  Team* team;
};

// Layers by the number that JavaScript knows them by. A task under way holds on to its own.
using PreparedLayers = std::map<size_t, std::shared_ptr<const PreparedLayer>>;

class ForwardTask : public Promised {
 public:
  ForwardTask(Napi::Env env, const ForwardTools& tools) : Promised(env), tools_(tools) {}

 protected:
  // Rejects with what a loading found: {errno, syscall, weight, piece} or {weight, element}. False
  // where it found nothing.
  bool RejectLoad(Napi::Env env, const LoadReply& reply) {
    if (!reply.stopped && reply.file.error == 0 && !reply.not_finite) return false;
    // Who did not cancel has closed.
    auto error = Napi::Error::New(env, reply.stopped ? kClosed : "cannot load a weight");
    if (reply.stopped) {
      deferred.Reject(error.Value());
      return true;
    }
    if (reply.file.error != 0) {
      error.Set("errno", Napi::Number::New(env, reply.file.error));
      error.Set("syscall", Napi::String::New(env, reply.file.syscall));
      error.Set("piece", static_cast<double>(reply.piece));
    } else {
      error.Set("element", static_cast<double>(reply.element));
    }
    error.Set("weight", static_cast<double>(reply.weight));
    deferred.Reject(error.Value());
    return true;
  }

  const ForwardTools tools_;
};

class PrepareTask : public ForwardTask {
 public:
  PrepareTask(Napi::Env env, const ForwardTools& tools, PreparedLayers& layers, size_t& last)
      : ForwardTask(env, tools), layers_(layers), last_(last) {}

  std::string Read(const Napi::Value& argument) { return ReadLayer(argument, layer_->spec); }

  void Run(Worker&) override {
    reply_ = LoadWeights(layer_->spec, *tools_.kernels, *tools_.forward, *tools_.team, stop,
                         layer_->loaded);
  }

  // The number of the layer.
  void Settle(Napi::Env env) override {
    if (RejectLoad(env, reply_)) return;
    layers_[++last_] = layer_;
    deferred.Resolve(Napi::Number::New(env, static_cast<double>(last_)));
  }

 private:
  PreparedLayers& layers_;
  size_t& last_;
  const std::shared_ptr<PreparedLayer> layer_ = std::make_shared<PreparedLayer>();
  LoadReply reply_;
};

class RunTask : public ForwardTask {
 public:
  RunTask(Napi::Env env, const ForwardTools& tools, const PreparedLayers& layers)
      : ForwardTask(env, tools), layers_(layers) {}

  // {layer, chunks, positions, state: in the order of its registers, scratch, sums?}
  std::string Read(const Napi::Value& argument) {
    Fields fields(argument);
    const size_t number = fields.Whole("layer");
    request_.chunks = fields.Whole("chunks", kTokensMax);
    request_.positions = fields.Whole("positions", kTokensMax);
    if (!fields.fits) return "layer, chunks or positions is no whole number";
    const auto found = layers_.find(number);
    if (found == layers_.end()) return "the layer is closed";
    layer_ = found->second;
    const std::string wrong = CheckWave(layer_->spec, request_.chunks, request_.positions);
    if (!wrong.empty()) return wrong;
    const std::string stateless = ReadState(fields.Get("state"));
    return stateless.empty() ? ReadRest(fields) : "state " + stateless;
  }

  void Run(Worker&) override {
    const CpuStopwatch running;
    reply_ = RunLayer(*layer_, *tools_.kernels, *tools_.forward, *tools_.team, request_, stop);
    spent.compute = running.Seconds();
  }

  // Indexes of bad chunks, or an error, with `shrunk` where a file is to blame.
  void Settle(Napi::Env env) override {
    if (reply_.stopped || reply_.file_shrunk) {
      // Who did not cancel has closed.
      auto error = Napi::Error::New(env, reply_.stopped ? kClosed : "a file became shorter");
      if (reply_.file_shrunk) error.Set("shrunk", Napi::Boolean::New(env, true));
      deferred.Reject(error.Value());
      return;
    }
    auto bad = Napi::Array::New(env, reply_.bad.size());
    for (uint32_t i = 0; i < reply_.bad.size(); ++i) bad[i] = Napi::Number::New(env, reply_.bad[i]);
    deferred.Resolve(bad);
  }

 private:
  std::string ReadState(const Napi::Value& value) {
    std::vector<size_t> widths;
    for (const RegisterSpec& spec : layer_->spec.registers) {
      if (spec.is_state) widths.push_back(spec.width);
    }
    const size_t tokens = request_.chunks * request_.positions;
    std::string wrong;
    const bool is_list = ReadList(value, [&](const Napi::Value& entry) {
      Bytes bytes = {};
      wrong = ReadMemory(entry, napi_float32_array, bytes);
      if (!wrong.empty()) return false;
      const size_t index = request_.state.size();
      if (index >= widths.size()) return false;
      if (bytes.size != tokens * widths[index] * sizeof(float)) return false;
      request_.state.push_back(reinterpret_cast<float*>(bytes.data));
      return Take(entry, bytes);
    });
    if (!wrong.empty()) return wrong;
    return is_list && request_.state.size() == widths.size() ? "" : "has wrong lengths";
  }

  std::string ReadRest(Fields& fields) {
    Bytes scratch = {};
    const Napi::Value memory = fields.Get("scratch");
    const std::string wrong = ReadBytes(memory, scratch);
    if (!wrong.empty()) return "scratch " + wrong;
    const size_t wanted = ScratchBytes(*layer_, *tools_.forward, tools_.team->size(),
                                       request_.chunks, request_.positions);
    if (scratch.size < wanted) return "scratch is too short";
    request_.scratch = scratch.data;
    if (!Take(memory, scratch)) return "scratch overlaps another buffer of the job";
    const Napi::Value wanted_sums = fields.Get("sums");
    if (wanted_sums.IsUndefined()) return "";
    Bytes sums = {};
    const std::string bad = ReadBytes(wanted_sums, sums);
    if (!bad.empty()) return "sums " + bad;
    if (sums.size != SumsBytes(layer_->spec)) return "sums has a wrong length";
    request_.sums = sums.data;
    return Take(wanted_sums, sums) ? "" : "sums overlaps another buffer of the job";
  }

  // False where the memory belongs to another buffer of the job.
  bool Take(const Napi::Value& array, const Bytes& bytes) {
    for (const Bytes& other : taken_) {
      if (Overlap(bytes, other)) return false;
    }
    taken_.push_back(bytes);
    Keep(array, bytes);
    return true;
  }

  const PreparedLayers& layers_;
  std::shared_ptr<const PreparedLayer> layer_;
  WaveRequest request_ = {};
  std::vector<Bytes> taken_;
  WaveReply reply_;
};

class EmbedTask : public ForwardTask {
 public:
  using ForwardTask::ForwardTask;

  // {table, tokens, factor, into}
  std::string Read(const Napi::Value& argument) {
    Fields fields(argument);
    if (!ReadWeight(fields.Get("table"), request_.table)) return "table does not fit";
    // As the one weight of a layer without operations.
    LayerSpec layer = {};
    layer.weights.push_back(request_.table);
    const std::string wrong = CheckLayer(layer);
    if (!wrong.empty()) return wrong;
    request_.factor = fields.Real("factor");
    if (!fields.fits || request_.table.matrices != 1) return "table or factor does not fit";
    const std::string lost = ReadTokens(fields.Get("tokens"));
    if (!lost.empty()) return "tokens " + lost;
    const Napi::Value array = fields.Get("into");
    Bytes into = {};
    const std::string bad = ReadMemory(array, napi_float32_array, into);
    if (!bad.empty()) return "into " + bad;
    const size_t numbers = request_.tokens.size() * request_.table.columns;
    if (into.size != numbers * sizeof(float)) return "into has a wrong length";
    request_.into = reinterpret_cast<float*>(into.data);
    Keep(array, into);
    return "";
  }

  void Run(Worker&) override {
    reply_ = Embed(request_, *tools_.kernels, *tools_.forward, *tools_.team, stop);
  }

  void Settle(Napi::Env env) override {
    if (!RejectLoad(env, reply_)) deferred.Resolve(env.Undefined());
  }

 private:
  std::string ReadTokens(const Napi::Value& value) {
    Bytes bytes = {};
    const std::string wrong = ReadMemory(value, napi_int32_array, bytes);
    if (!wrong.empty()) return wrong;
    const size_t count = bytes.size / sizeof(int32_t);
    if (count > kTokensMax) return "are too many";
    request_.tokens.resize(count);
    if (count > 0) memcpy(request_.tokens.data(), bytes.data, bytes.size);
    for (const uint32_t token : request_.tokens) {
      // A negative one is a large one.
      if (token >= request_.table.rows) return "are not in the table";
    }
    return "";
  }

  EmbedRequest request_ = {};
  LoadReply reply_;
};

class ForwardBorder : public Promising<ForwardBorder> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "ForwardKernels",
                       {InstanceMethod<&ForwardBorder::Prepare>("prepare"),
                        InstanceMethod<&ForwardBorder::ScratchBytesOf>("scratchBytes"),
                        InstanceMethod<&ForwardBorder::RunWave>("run"),
                        InstanceMethod<&ForwardBorder::Release>("release"),
                        InstanceMethod<&ForwardBorder::EmbedTokens>("embed"),
                        InstanceMethod<&ForwardBorder::CancelTask>("cancel"),
                        InstanceMethod<&ForwardBorder::SelfTest>("selfTest"),
                        InstanceMethod<&ForwardBorder::Close>("close"),
                        InstanceAccessor<&ForwardBorder::Info>("info")});
  }

  explicit ForwardBorder(const Napi::CallbackInfo& call) : Promising<ForwardBorder>(call) {
    const Napi::Env env = call.Env();
    size_t threads = 0;
    std::string isa;
    if (!ReadOptions(call[0], threads, isa)) return;
    tools_.kernels = PickKernels(nullptr);
    tools_.forward = isa.empty() ? PickForward(tools_.kernels->isa) : PickForward(isa.c_str());
    if (tools_.forward == nullptr) {
      ThrowUnavailable(env, isa);
      return;
    }
    // The task's own thread is one of the team.
    if (!Open(env, "quantd forward", 1)) return;
    team_ = std::make_unique<Team>(static_cast<uint32_t>(threads));
    tools_.team = team_.get();
  }

  ~ForwardBorder() override { Shut(Env()); }

 private:
  void OnStopped() override {
    team_.reset();
    layers_.clear();
  }

  Napi::Value Prepare(const Napi::CallbackInfo& call) {
    return SubmitCancellable(
        std::make_unique<PrepareTask>(call.Env(), tools_, layers_, last_layer_), call[0]);
  }

  Napi::Value RunWave(const Napi::CallbackInfo& call) {
    return SubmitCancellable(std::make_unique<RunTask>(call.Env(), tools_, layers_), call[0]);
  }

  Napi::Value EmbedTokens(const Napi::CallbackInfo& call) {
    return Submit(std::make_unique<EmbedTask>(call.Env(), tools_), call[0]).promise;
  }

  // (layer, chunks, positions); throws where they are none.
  Napi::Value ScratchBytesOf(const Napi::CallbackInfo& call) {
    const Napi::Env env = call.Env();
    size_t layer = 0;
    size_t chunks = 0;
    size_t positions = 0;
    const bool fits = ReadWhole(call[0], 0, kWholeMax, layer) &&
                      ReadWhole(call[1], 0, kTokensMax, chunks) &&
                      ReadWhole(call[2], 0, kTokensMax, positions);
    const auto found = layers_.find(layer);
    const std::string wrong = !fits ? "chunks or positions is no whole number"
                              : !IsOpen() || found == layers_.end()
                                  ? "the layer is closed"
                                  : CheckWave(found->second->spec, chunks, positions);
    if (!wrong.empty()) {
      Napi::TypeError::New(env, wrong).ThrowAsJavaScriptException();
      return env.Undefined();
    }
    return Napi::Number::New(
        env, static_cast<double>(ScratchBytes(*found->second, *tools_.forward,
                                              tools_.team->size(), chunks, positions)));
  }

  Napi::Value Release(const Napi::CallbackInfo& call) {
    size_t layer = 0;
    if (ReadWhole(call[0], 0, kWholeMax, layer)) layers_.erase(layer);
    return call.Env().Undefined();
  }

  Napi::Value CancelTask(const Napi::CallbackInfo& call) { return Cancel(call); }

  // Undefined when every operation gives what is stored; otherwise the name of one that fails.
  Napi::Value SelfTest(const Napi::CallbackInfo& call) {
    const char* wrong = RunForwardSelfTest(*tools_.forward);
    if (wrong == nullptr) wrong = RunProductsSelfTest(*tools_.forward);
    if (wrong == nullptr) return call.Env().Undefined();
    return Napi::String::New(call.Env(), wrong);
  }

  Napi::Value Info(const Napi::CallbackInfo& call) {
    const Napi::Env env = call.Env();
    auto info = Napi::Object::New(env);
    auto isas = Napi::Array::New(env);
    for (const ForwardKernels* const* row = RunnableForward(); *row != nullptr; ++row) {
      isas.Set(isas.Length(), (*row)->isa);
    }
    info.Set("isa", tools_.forward->isa);
    info.Set("isas", isas);
    info.Set("threads", team_ == nullptr ? 0 : team_->size());
    return info;
  }

  Napi::Value Close(const Napi::CallbackInfo& call) {
    Shut(call.Env());
    // Of tasks that had ended and were settled just now.
    layers_.clear();
    return call.Env().Undefined();
  }

  ForwardTools tools_ = {};
  std::unique_ptr<Team> team_;
  PreparedLayers layers_;
  size_t last_layer_ = 0;
};

}  // namespace
}  // namespace quantd

#endif
