// Addon tasks: blocks and digests that JavaScript asks for.
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
#include "file-hash.h"
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

// Of a digest or a checksum.
template <typename Digested>
Napi::Value ToUint8Array(Napi::Env env, const Digested& digest) {
  auto array = Napi::Uint8Array::New(env, sizeof digest.bytes);
  // There is no memory when a worker is being terminated; then nobody waits for it either.
  if (array.Data() != nullptr) memcpy(array.Data(), digest.bytes, sizeof digest.bytes);
  return array;
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

class BytesHashTask : public Promised {
 public:
  BytesHashTask(Napi::Env env, const Sha256Code& sha256) : Promised(env), sha256_(sha256) {}

  std::string Read(const Napi::Value& value) {
    const std::string wrong = ReadBytes(value, bytes_);
    if (!wrong.empty()) return "bytes " + wrong;
    Keep(value, bytes_);
    return "";
  }

  void Run(Worker&) override {
    const CpuStopwatch running;
    Sha256 state;
    Sha256Start(state);
    for (size_t at = 0; at < bytes_.size && !stop.load(std::memory_order_relaxed);) {
      const size_t left = bytes_.size - at;
      const size_t size = left < kStepBytes ? left : kStepBytes;
      Sha256Update(sha256_, state, bytes_.data + at, size);
      at += size;
    }
    Sha256Finish(sha256_, state, digest_.bytes);
    spent.hash = running.Seconds();
  }

  void Settle(Napi::Env env) override {
    if (stop.load()) {
      deferred.Reject(Napi::Error::New(env, kClosed).Value());
    } else {
      deferred.Resolve(ToUint8Array(env, digest_));
    }
  }

 private:
  // Between two looks at `stop`.
  static constexpr size_t kStepBytes = 1 << 20;
  const Sha256Code& sha256_;
  Bytes bytes_ = {};
  Digest digest_ = {};
};

// An Error with `errno` (positive) and `syscall`, or with `stopped`.
Napi::Error ReadError(Napi::Env env, const FileHashReply& reply) {
  auto error = Napi::Error::New(env, reply.stopped ? "stopped" : "cannot read the file");
  if (reply.stopped) {
    error.Set("stopped", Napi::Boolean::New(env, true));
  } else {
    error.Set("errno", Napi::Number::New(env, reply.error));
    error.Set("syscall", Napi::String::New(env, reply.syscall));
  }
  return error;
}

class FileHashTask : public Promised {
 public:
  FileHashTask(Napi::Env env, const Sha256Code& sha256) : Promised(env), sha256_(sha256) {}

  std::string Read(const Napi::Value& value) {
    if (!value.IsString()) return "path is no string";
    path_ = value.As<Napi::String>();
    return path_.find('\0') == std::string::npos ? "" : "path holds a zero byte";
  }

  void Run(Worker& worker) override {
    const CpuStopwatch running;
    reply_ = HashFile(sha256_, path_.c_str(), worker.read_buffer, stop);
    spent.wait = reply_.wait_seconds;
    spent.hash = running.Seconds();
  }

  // A digest, or an error.
  void Settle(Napi::Env env) override {
    if (!reply_.stopped && reply_.error == 0) {
      deferred.Resolve(ToUint8Array(env, reply_.digest));
      return;
    }
    deferred.Reject(ReadError(env, reply_).Value());
  }

 private:
  const Sha256Code& sha256_;
  std::string path_;
  FileHashReply reply_;
};

// The pieces that are wanted, and what becomes of them: of whatever reads neighbouring pieces.
class PiecesTask : public Promised {
 public:
  PiecesTask(Napi::Env env, const DigestCodes& with) : Promised(env), codes(with) {
    StartPieces(progress);
  }

 protected:
  // What JavaScript counts exactly.
  static constexpr double kFileBytesMax = 9007199254740991.0;

  // {pieces: sizes, sums?: which of them want their checksum, chain?: SHA-256 of what stands before}
  std::string ReadWanted(const Napi::Object& job, double offset) {
    std::string wrong = ReadPieces(job.Get("pieces"), offset);
    if (!wrong.empty()) return "pieces " + wrong;
    wrong = ReadSums(job.Get("sums"));
    return wrong.empty() ? ReadChain(job.Get("chain")) : "sums " + wrong;
  }

  // {pieces: digests or checksums, digest: of all so far, chain}
  Napi::Object Found(Napi::Env env, const std::vector<PieceResult>& results, const Digest& digest) {
    auto pieces = Napi::Array::New(env, results.size());
    for (uint32_t i = 0; i < results.size(); ++i) {
      const PieceResult& each = results[i];
      pieces[i] = each.checksum ? ToUint8Array(env, each.sum) : ToUint8Array(env, each.digest);
    }
    auto chain = Napi::Uint8Array::New(env, kSha256StateBytes);
    if (chain.Data() != nullptr) Sha256Export(progress.all, chain.Data());
    auto result = Napi::Object::New(env);
    result.Set("pieces", pieces);
    result.Set("digest", ToUint8Array(env, digest));
    result.Set("chain", chain);
    return result;
  }

  const DigestCodes codes;
  std::vector<WantedPiece> wanted;
  PieceProgress progress;

 private:
  // A call lasts a fraction of a second; this many pieces would be of a few bytes each.
  static constexpr uint32_t kPiecesMax = 1 << 16;

  std::string ReadPieces(const Napi::Value& value, double offset) {
    if (!value.IsArray()) return "is no array";
    const auto list = value.As<Napi::Array>();
    const uint32_t count = list.Length();
    if (count > kPiecesMax) return "has too many entries";
    double sum = offset;
    for (uint32_t i = 0; i < count; ++i) {
      size_t size = 0;
      if (!ReadWhole(list.Get(i), 0, kFileBytesMax, size)) return "holds what is no size";
      sum += static_cast<double>(size);
      if (sum > kFileBytesMax) return "ends beyond any file";
      wanted.push_back({size, false});
    }
    return "";
  }

  std::string ReadSums(const Napi::Value& value) {
    if (value.IsUndefined()) return "";
    if (!value.IsArray()) return "is no array";
    const auto list = value.As<Napi::Array>();
    if (list.Length() != wanted.size()) return "has not one entry per piece";
    for (uint32_t i = 0; i < wanted.size(); ++i) {
      wanted[i].checksum = list.Get(i).ToBoolean().Value();
    }
    return "";
  }

  std::string ReadChain(const Napi::Value& value) {
    if (value.IsUndefined()) return "";
    Bytes bytes = {};
    const std::string wrong = ReadBytes(value, bytes);
    if (!wrong.empty()) return "chain " + wrong;
    const bool taken = bytes.size == kSha256StateBytes && Sha256Import(bytes.data, progress.all);
    return taken ? "" : "chain is no state";
  }
};

// Of a file.
class PiecesHashTask : public PiecesTask {
 public:
  using PiecesTask::PiecesTask;

  // {path, offset} and what is wanted; the first piece begins at the offset.
  std::string Read(const Napi::Value& argument) {
    if (!argument.IsObject()) return "job is no object";
    const auto job = argument.As<Napi::Object>();
    const Napi::Value path = job.Get("path");
    if (!path.IsString()) return "path is no string";
    path_ = path.As<Napi::String>();
    if (path_.find('\0') != std::string::npos) return "path holds a zero byte";
    size_t offset = 0;
    if (!ReadWhole(job.Get("offset"), 0, kFileBytesMax, offset)) return "offset is no whole number";
    offset_ = offset;
    return ReadWanted(job, static_cast<double>(offset));
  }

  void Run(Worker& worker) override {
    const CpuStopwatch running;
    reply_ = HashPieces(codes, path_.c_str(), offset_, wanted, progress, worker.read_buffer, stop);
    spent.wait = reply_.whole.wait_seconds;
    spent.hash = running.Seconds();
  }

  // What was found, or an error as of FileHashTask.
  void Settle(Napi::Env env) override {
    const FileHashReply& whole = reply_.whole;
    if (whole.stopped || whole.error != 0) {
      deferred.Reject(ReadError(env, whole).Value());
      return;
    }
    deferred.Resolve(Found(env, reply_.pieces, whole.digest));
  }

 private:
  std::string path_;
  uint64_t offset_ = 0;
  PiecesHashReply reply_;
};

// Of bytes that somebody else has read: one step of many, the last piece of which may go on.
class PiecesStepTask : public PiecesTask {
 public:
  using PiecesTask::PiecesTask;
  bool IsUrgent() const override { return true; }

  // {bytes, progress?: what the step before gave} and what is wanted.
  std::string Read(const Napi::Value& argument) {
    if (!argument.IsObject()) return "job is no object";
    const auto job = argument.As<Napi::Object>();
    const Napi::Value array = job.Get("bytes");
    std::string wrong = ReadBytes(array, bytes_);
    if (!wrong.empty()) return "bytes " + wrong;
    if (bytes_.size > kStepBytesMax) return "bytes are too many for a step";
    wrong = ReadWanted(job, 0);
    if (!wrong.empty()) return wrong;
    Keep(array, bytes_);
    return ReadProgress(job.Get("progress"));
  }

  void Run(Worker&) override {
    const CpuStopwatch running;
    PieceHasher hasher(codes, wanted, progress, results_);
    hasher.Take(bytes_.data, bytes_.size);
    Finish(running.Seconds());
  }

  // Every urgent task is one of these.
  void RunBeside(Task& task, Worker&) override {
    auto& other = static_cast<PiecesStepTask&>(task);
    const CpuStopwatch running;
    PieceHasher own(codes, wanted, progress, results_);
    PieceHasher others(other.codes, other.wanted, other.progress, other.results_);
    PieceHasher::TakeTwo(own, bytes_.data, bytes_.size, others, other.bytes_.data,
                         other.bytes_.size);
    const double seconds = running.Seconds();
    Finish(seconds / 2);
    other.Finish(seconds / 2);
  }

  // What was found, and the progress for the next step.
  void Settle(Napi::Env env) override {
    Napi::Object found = Found(env, results_, digest_);
    auto state = Napi::Uint8Array::New(env, sizeof progress);
    if (state.Data() != nullptr) memcpy(state.Data(), &progress, sizeof progress);
    found.Set("progress", state);
    deferred.Resolve(found);
  }

 private:
  // Some milliseconds: another task waits for it.
  static constexpr size_t kStepBytesMax = 16 << 20;

  void Finish(double seconds) {
    Sha256 copy = progress.all;
    Sha256Finish(codes.sha256, copy, digest_.bytes);
    spent.hash = seconds;
  }

  std::string ReadProgress(const Napi::Value& value) {
    if (value.IsUndefined()) return "";
    Bytes bytes = {};
    const std::string wrong = ReadBytes(value, bytes);
    if (!wrong.empty()) return "progress " + wrong;
    if (bytes.size != sizeof progress) return "progress is none";
    memcpy(&progress, bytes.data, sizeof progress);
    const bool fits = wanted.empty() ? progress.bytes == 0 : progress.bytes <= wanted[0].size;
    return fits ? "" : "progress is beyond its piece";
  }

  Bytes bytes_ = {};
  Digest digest_ = {};
  std::vector<PieceResult> results_;
};

}  // namespace
}  // namespace quantd

#endif
