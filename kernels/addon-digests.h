// Addon digests: SHA-256 and checksums of bytes and files that JavaScript asks for.
//
//   call argument ──▶ Read (main thread) ──▶ Run (pool thread) ──▶ Settle (main thread)
//
// A part of addon.cpp, in a file of its own for its length; nothing else includes it.
#ifndef QUANTD_ADDON_DIGESTS_H_
#define QUANTD_ADDON_DIGESTS_H_

#include <napi.h>

#include <string>
#include <vector>

#include "addon-promises.h"
#include "file-hash.h"
#include "stopwatch.h"

namespace quantd {
namespace {

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
  bool WaitsForDisk() const override { return true; }

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
  bool WaitsForDisk() const override { return true; }

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
