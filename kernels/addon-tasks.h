// Addon tasks: blocks that JavaScript asks for.
//
//   call argument ──▶ Read (main thread) ──▶ Run (pool thread) ──▶ Settle (main thread)
//
// A part of addon.cpp, in a file of its own for its length; nothing else includes it.
#ifndef QUANTD_ADDON_TASKS_H_
#define QUANTD_ADDON_TASKS_H_

#include <float.h>
#include <napi.h>

#include <string>
#include <vector>

#include "addon-promises.h"
#include "job.h"
#include "stopwatch.h"

namespace quantd {
namespace {

// Every type wanted of one row group; there are fewer formats than this.
constexpr uint32_t kTargetsMax = 64;
// Row groups have a few MiB; this only keeps every product of sizes far from 2^64.
constexpr double kElementsMax = 1099511627776.0;  // 2^40.
// Mean squares are neither negative nor infinite, and a kernel may take that for granted.
bool AreImportance(const float* values, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    if (!(values[i] >= 0.0f && values[i] <= FLT_MAX)) return false;
  }
  return true;
}

// The format that a source has, by name.
bool ReadElement(const Napi::Value& value, uint32_t& format) {
  if (!value.IsString()) return false;
  const std::string name = value.As<Napi::String>();
  for (format = 0; format < kFormatCount; ++format) {
    if (name == kFormats[format].name) return true;
  }
  return false;
}

bool FindFormat(size_t id, uint32_t& format) {
  for (format = 0; format < kFormatCount; ++format) {
    if (kFormats[format].id == id) return true;
  }
  return false;
}

class QuantizeTask : public Promised {
 public:
  QuantizeTask(Napi::Env env, const Kernels& kernels, const DigestCodes& codes)
      : Promised(env), kernels_(kernels), codes_(codes) {}

  // An empty string, or what is wrong with the job.
  std::string Read(const Napi::Value& argument) {
    if (!argument.IsObject()) return "job is no object";
    const auto job = argument.As<Napi::Object>();
    Bytes source = {};
    const Napi::Value array = job.Get("source");
    const std::string wrong = ReadBytes(array, source);
    if (!wrong.empty()) return "source " + wrong;
    if (!ReadElement(job.Get("element"), request_.format)) return "element is unknown";
    const Napi::Value rows = job.Get("rows");
    const Napi::Value columns = job.Get("columns");
    if (!ReadWhole(rows, 1, kElementsMax, request_.rows)) return "rows is no positive integer";
    if (!ReadWhole(columns, 1, kElementsMax, request_.columns)) {
      return "columns is no positive integer";
    }
    // Both are below 2^41, so the product of the doubles is good enough to compare.
    if (static_cast<double>(request_.rows) * static_cast<double>(request_.columns) > kElementsMax) {
      return "rows * columns is too large";
    }
    const Format& format = kFormats[request_.format];
    if (request_.columns % format.block_elements != 0) return "element does not divide the columns";
    const size_t blocks = request_.rows * (request_.columns / format.block_elements);
    if (source.size != blocks * format.block_bytes) return "source has not rows * columns elements";
    request_.source = source.data;
    Keep(array, source);
    std::vector<Bytes> taken = {source};
    const std::string weightless = ReadImportance(job.Get("importance"), taken);
    if (!weightless.empty()) return "importance " + weightless;
    return ReadTargets(job.Get("targets"), taken);
  }

  void Run(Worker& worker) override {
    const CpuStopwatch running;
    worker.urgent_seconds = 0;
    ElseUrgent between(worker);
    reply_ = RunQuantize(kernels_, codes_, request_, worker.scratch, stop, &between);
    const double seconds = running.Seconds() - worker.urgent_seconds;
    spent.hash = seconds * reply_.hash_share;
    spent.digest = spent.hash;
    spent.compute = seconds - spent.hash;
  }

  void Settle(Napi::Env env) override {
    if (reply_.outcome == Outcome::kStopped) {
      deferred.Reject(Napi::Error::New(env, kClosed).Value());
      return;
    }
    auto result = Napi::Object::New(env);
    result.Set("ok", reply_.outcome == Outcome::kDone);
    if (reply_.outcome == Outcome::kDone) {
      auto digests = Napi::Array::New(env, reply_.digests.size());
      for (uint32_t i = 0; i < reply_.digests.size(); ++i) {
        digests[i] = ToUint8Array(env, reply_.digests[i]);
      }
      result.Set("digests", digests);
      auto sums = Napi::Array::New(env, reply_.sums.size());
      for (uint32_t i = 0; i < reply_.sums.size(); ++i) sums[i] = ToUint8Array(env, reply_.sums[i]);
      result.Set("sums", sums);
    } else {
      const bool of_source = reply_.outcome == Outcome::kSourceNotFinite;
      result.Set("reason", ReasonOf(reply_.outcome));
      result.Set("row", static_cast<double>(reply_.row));
      result.Set("column", static_cast<double>(reply_.column));
      if (!of_source) result.Set("target", static_cast<double>(reply_.target));
    }
    deferred.Resolve(result);
  }

 private:
  // A job may last for a second; what reads files back waits for a thread meanwhile.
  class ElseUrgent : public Between {
   public:
    explicit ElseUrgent(Worker& worker) : worker_(worker) {}
    void Run() override { worker_.pool->RunUrgent(worker_); }

   private:
    Worker& worker_;
  };

  static const char* ReasonOf(Outcome outcome) {
    if (outcome == Outcome::kSourceNotFinite) return "source-not-finite";
    return outcome == Outcome::kNoGridPoint ? "no-grid-point" : "scale-overflow";
  }

  std::string ReadImportance(const Napi::Value& value, std::vector<Bytes>& taken) {
    if (value.IsUndefined()) return "";
    Bytes importance = {};
    const std::string wrong = ReadMemory(value, napi_float32_array, importance);
    if (!wrong.empty()) return wrong;
    if (importance.size != request_.columns * sizeof(float)) return "has not one value per column";
    if (request_.columns > kWeightedColumnsMax) return "is too long";
    const auto* values = reinterpret_cast<const float*>(importance.data);
    if (!AreImportance(values, request_.columns)) return "is negative or not finite";
    request_.importance = values;
    taken.push_back(importance);
    Keep(value, importance);
    return "";
  }

  std::string ReadTargets(const Napi::Value& value, std::vector<Bytes>& taken) {
    if (!value.IsArray()) return "targets is no array";
    const auto list = value.As<Napi::Array>();
    const uint32_t count = list.Length();
    if (count < 1 || count > kTargetsMax) return "targets has a wrong length";
    for (uint32_t i = 0; i < count; ++i) {
      const Napi::Value entry = list.Get(i);
      const std::string wrong = ReadTarget(entry, taken);
      if (!wrong.empty()) return "targets[" + std::to_string(i) + "] " + wrong;
    }
    return "";
  }

  std::string ReadTarget(const Napi::Value& value, std::vector<Bytes>& taken) {
    if (!value.IsObject()) return "is no object";
    const auto entry = value.As<Napi::Object>();
    size_t id = 0;
    Target target = {};
    if (!ReadWhole(entry.Get("type"), 0, UINT32_MAX, id)) return "type is no integer";
    if (!FindFormat(id, target.format)) return "type has no kernel";
    const bool weighted = request_.importance != nullptr;
    if (FindQuantizer(kernels_, target.format, weighted) == nullptr) {
      return weighted ? "type has no kernel for importance" : "type has no kernel without importance";
    }
    Bytes into = {};
    const Napi::Value array = entry.Get("into");
    const std::string wrong = ReadBytes(array, into);
    if (!wrong.empty()) return "into " + wrong;
    const Format& format = kFormats[target.format];
    if (request_.columns % format.block_elements != 0) return "type does not divide the columns";
    const size_t blocks = request_.rows * (request_.columns / format.block_elements);
    if (into.size != blocks * format.block_bytes) return "into has a wrong length";
    for (const Bytes& other : taken) {
      if (Overlap(into, other)) return "into overlaps another buffer of the job";
    }
    taken.push_back(into);
    target.into = into.data;
    request_.targets.push_back(target);
    Keep(array, into);
    return "";
  }

  const Kernels& kernels_;
  const DigestCodes codes_;
  QuantizeRequest request_ = {};
  QuantizeReply reply_;
};

}  // namespace
}  // namespace quantd

#endif
