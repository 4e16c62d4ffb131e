// The Node-API border: the only place that knows JavaScript.
//
//   new Kernels({threads, isa?}) ──▶ quantize(job), sha256(bytes), sha256File(path)  ──▶ promises
//
// Every argument is checked here, because a kernel checks nothing: what is wrong rejects the
// promise with a TypeError. Buffers are referenced while a task uses them; their owner must
// neither write nor transfer them until the promise settles. Read next: job.h, pool.h.
#include <napi.h>

#include <map>
#include <string>

#include "dispatch.h"
#include "file-hash.h"
#include "job.h"
#include "pool.h"
#include "self-test.h"

namespace quantd {
namespace {

// More threads than any machine has cores; a typing error must not start a million.
constexpr uint32_t kThreadsMax = 1024;
// Every type wanted of one row group; there are fewer formats than this.
constexpr uint32_t kTargetsMax = 64;
// Row groups have a few MiB; this only keeps every product of sizes far from 2^64.
constexpr double kElementsMax = 1099511627776.0;  // 2^40.
constexpr char kClosed[] = "the kernels are closed";

struct Bytes {
  uint8_t* data;
  size_t size;
};

// A task and what it needs of JavaScript: the promise it owes and the values it keeps alive.
class Promised : public Task {
 public:
  explicit Promised(Napi::Env env) : deferred(Napi::Promise::Deferred::New(env)) {}
  // On the main thread, after Run.
  virtual void Settle(Napi::Env env) = 0;
  void Keep(const Napi::Value& array, const Bytes& bytes) {
    kept_.push_back({Napi::Persistent(array.As<Napi::Object>()), bytes});
  }
  // Whether every kept array still is where it was: a getter that ran later may have detached one.
  bool StillThere() const {
    for (const Kept& kept : kept_) {
      size_t size = 0;
      void* data = nullptr;
      const napi_value array = kept.array.Value();
      if (napi_get_typedarray_info(kept.array.Env(), array, nullptr, &size, &data, nullptr,
                                   nullptr) != napi_ok) {
        return false;
      }
      if (size != kept.bytes.size || (size > 0 && data != kept.bytes.data)) return false;
    }
    return true;
  }
  // The environment is going and takes its references along.
  void Abandon() {
    for (Kept& kept : kept_) kept.array.SuppressDestruct();
  }

  const Napi::Promise::Deferred deferred;
  // Its number among those in flight; what the thread-safe function carries.
  uintptr_t ticket = 0;

 private:
  struct Kept {
    Napi::ObjectReference array;
    Bytes bytes;
  };
  std::vector<Kept> kept_;
};

// The memory of a Uint8Array; an empty string, or what is wrong with it.
std::string ReadBytes(const Napi::Value& value, Bytes& bytes) {
  if (!value.IsTypedArray()) return "is no Uint8Array";
  const auto array = value.As<Napi::TypedArray>();
  if (array.TypedArrayType() != napi_uint8_array) return "is no Uint8Array";
  napi_value buffer = nullptr;
  void* data = nullptr;
  size_t size = 0;
  if (napi_get_typedarray_info(value.Env(), value, nullptr, &size, &data, &buffer, nullptr) !=
      napi_ok) {
    return "cannot be read";
  }
  bool plain = false;
  if (napi_is_arraybuffer(value.Env(), buffer, &plain) != napi_ok || !plain) {
    return "lies in shared memory";
  }
  bool detached = true;
  if (napi_is_detached_arraybuffer(value.Env(), buffer, &detached) != napi_ok || detached) {
    return "is detached";
  }
  // A buffer that can shrink could take its pages away under a running task.
  if (Napi::Object(value.Env(), buffer).Get("resizable").ToBoolean()) return "is resizable";
  bytes = {static_cast<uint8_t*>(data), size};
  return "";
}

// A whole number in [low, high].
bool ReadWhole(const Napi::Value& value, double low, double high, size_t& whole) {
  if (!value.IsNumber()) return false;
  const double number = value.As<Napi::Number>().DoubleValue();
  if (!(number >= low && number <= high)) return false;
  whole = static_cast<size_t>(number);
  return static_cast<double>(whole) == number;
}

bool ReadElement(const Napi::Value& value, Element& element) {
  if (!value.IsString()) return false;
  const std::string name = value.As<Napi::String>();
  if (name == "F32") element = kElementF32;
  else if (name == "F16") element = kElementF16;
  else if (name == "BF16") element = kElementBF16;
  else return false;
  return true;
}

bool FindFormat(size_t id, uint32_t& format) {
  for (format = 0; format < kFormatCount; ++format) {
    if (kFormats[format].id == id) return true;
  }
  return false;
}

bool Overlap(const Bytes& a, const Bytes& b) {
  return a.size > 0 && b.size > 0 && a.data < b.data + b.size && b.data < a.data + a.size;
}

Napi::Value ToUint8Array(Napi::Env env, const Digest& digest) {
  auto array = Napi::Uint8Array::New(env, kSha256Bytes);
  // There is no memory when a worker is being terminated; then nobody waits for it either.
  if (array.Data() != nullptr) memcpy(array.Data(), digest.bytes, kSha256Bytes);
  return array;
}

class QuantizeTask : public Promised {
 public:
  QuantizeTask(Napi::Env env, const Kernels& kernels, const Sha256Code& sha256)
      : Promised(env), kernels_(kernels), sha256_(sha256) {}

  // An empty string, or what is wrong with the job.
  std::string Read(const Napi::Value& argument) {
    if (!argument.IsObject()) return "job is no object";
    const auto job = argument.As<Napi::Object>();
    Bytes source = {};
    const Napi::Value array = job.Get("source");
    const std::string wrong = ReadBytes(array, source);
    if (!wrong.empty()) return "source " + wrong;
    if (!ReadElement(job.Get("element"), request_.element)) return "element is unknown";
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
    if (source.size != request_.rows * request_.columns * kElementBytes[request_.element]) {
      return "source has not rows * columns elements";
    }
    request_.source = source.data;
    Keep(array, source);
    return ReadTargets(job.Get("targets"), source);
  }

  void Run(Worker& worker) override {
    reply_ = RunQuantize(kernels_, sha256_, request_, worker.scratch.get(), stop);
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
    } else {
      const bool overflow = reply_.outcome == Outcome::kScaleOverflow;
      result.Set("reason", overflow ? "scale-overflow" : "source-not-finite");
      result.Set("row", static_cast<double>(reply_.row));
      result.Set("column", static_cast<double>(reply_.column));
      if (overflow) result.Set("target", static_cast<double>(reply_.target));
    }
    deferred.Resolve(result);
  }

 private:
  std::string ReadTargets(const Napi::Value& value, const Bytes& source) {
    if (!value.IsArray()) return "targets is no array";
    const auto list = value.As<Napi::Array>();
    const uint32_t count = list.Length();
    if (count < 1 || count > kTargetsMax) return "targets has a wrong length";
    std::vector<Bytes> taken = {source};
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
  const Sha256Code& sha256_;
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
    Sha256 state;
    Sha256Start(state);
    for (size_t at = 0; at < bytes_.size && !stop.load(std::memory_order_relaxed);) {
      const size_t left = bytes_.size - at;
      const size_t size = left < kStepBytes ? left : kStepBytes;
      Sha256Update(sha256_, state, bytes_.data + at, size);
      at += size;
    }
    Sha256Finish(sha256_, state, digest_.bytes);
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

class FileHashTask : public Promised {
 public:
  FileHashTask(Napi::Env env, const Sha256Code& sha256) : Promised(env), sha256_(sha256) {}

  std::string Read(const Napi::Value& value) {
    if (!value.IsString()) return "path is no string";
    path_ = value.As<Napi::String>();
    return path_.find('\0') == std::string::npos ? "" : "path holds a zero byte";
  }

  void Run(Worker& worker) override {
    reply_ = HashFile(sha256_, path_.c_str(), worker.read_buffer, stop);
  }

  // A digest, or an Error with `errno` (positive) and `syscall`, or with `stopped`.
  void Settle(Napi::Env env) override {
    if (!reply_.stopped && reply_.error == 0) {
      deferred.Resolve(ToUint8Array(env, reply_.digest));
      return;
    }
    auto error = Napi::Error::New(env, reply_.stopped ? "stopped" : "cannot read the file");
    if (reply_.stopped) {
      error.Set("stopped", Napi::Boolean::New(env, true));
    } else {
      error.Set("errno", Napi::Number::New(env, reply_.error));
      error.Set("syscall", Napi::String::New(env, reply_.syscall));
    }
    deferred.Reject(error.Value());
  }

 private:
  const Sha256Code& sha256_;
  std::string path_;
  FileHashReply reply_;
};

// One pool and the table it works with. JavaScript owns it; it lives on while tasks run.
class Border : public Napi::ObjectWrap<Border> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "Kernels",
                       {InstanceMethod<&Border::Quantize>("quantize"),
                        InstanceMethod<&Border::HashBytes>("sha256"),
                        InstanceMethod<&Border::HashFileAt>("sha256File"),
                        InstanceMethod<&Border::Cancel>("cancel"),
                        InstanceMethod<&Border::SelfTest>("selfTest"),
                        InstanceMethod<&Border::Close>("close"),
                        InstanceAccessor<&Border::Info>("info")});
  }

  explicit Border(const Napi::CallbackInfo& call) : Napi::ObjectWrap<Border>(call) {
    const Napi::Env env = call.Env();
    size_t threads = 0;
    std::string isa;
    if (!ReadOptions(call[0], threads, isa)) {
      Napi::TypeError::New(env, "options are {threads: 1..1024, isa?: string}")
          .ThrowAsJavaScriptException();
      return;
    }
    kernels_ = PickKernels(isa.empty() ? nullptr : isa.c_str());
    if (kernels_ == nullptr) {
      auto error = Napi::Error::New(env, "no kernels for " + isa + " on this CPU");
      error.Set("code", Napi::String::New(env, "ISA_UNAVAILABLE"));
      error.ThrowAsJavaScriptException();
      return;
    }
    size_t codes = 0;
    sha256_ = RunnableSha256(&codes);
    // Its queue needs no limit: it holds one number for each task in flight.
    const napi_status made = napi_create_threadsafe_function(
        env, nullptr, nullptr, Napi::String::New(env, "quantd kernels"), 0, 1, nullptr, nullptr,
        this, OnDelivery, &finished_);
    if (made != napi_ok) {
      Napi::Error::New(env, "cannot make a thread-safe function").ThrowAsJavaScriptException();
      return;
    }
    napi_unref_threadsafe_function(env, finished_);
    // Added after the thread-safe function, so that it runs before that one is torn down.
    napi_add_env_cleanup_hook(env, OnEnvironmentEnd, this);
    threads_ = static_cast<uint32_t>(threads);
    pool_ = std::make_unique<Pool>(threads_, OnFinished, this);
  }

  ~Border() override { Shut(Env()); }

 private:
  static bool ReadOptions(const Napi::Value& value, size_t& threads, std::string& isa) {
    if (!value.IsObject()) return false;
    const auto options = value.As<Napi::Object>();
    if (!ReadWhole(options.Get("threads"), 1, kThreadsMax, threads)) return false;
    const Napi::Value name = options.Get("isa");
    if (name.IsUndefined()) return true;
    if (!name.IsString()) return false;
    isa = name.As<Napi::String>();
    return !isa.empty();
  }

  Napi::Value Quantize(const Napi::CallbackInfo& call) {
    return Submit(std::make_unique<QuantizeTask>(call.Env(), *kernels_, *sha256_), call[0]).promise;
  }

  Napi::Value HashBytes(const Napi::CallbackInfo& call) {
    return Submit(std::make_unique<BytesHashTask>(call.Env(), *sha256_), call[0]).promise;
  }

  // {promise, ticket}: the ticket is for cancel.
  Napi::Value HashFileAt(const Napi::CallbackInfo& call) {
    const Submitted made = Submit(std::make_unique<FileHashTask>(call.Env(), *sha256_), call[0]);
    auto result = Napi::Object::New(call.Env());
    result.Set("promise", made.promise);
    result.Set("ticket", static_cast<double>(made.ticket));
    return result;
  }

  Napi::Value Cancel(const Napi::CallbackInfo& call) {
    size_t ticket = 0;
    if (ReadWhole(call[0], 0, 9007199254740991.0, ticket)) {
      const auto found = in_flight_.find(ticket);
      if (found != in_flight_.end()) found->second->stop = true;
    }
    return call.Env().Undefined();
  }

  // Undefined when every kernel in use gives what is stored; otherwise the name of one that does not.
  Napi::Value SelfTest(const Napi::CallbackInfo& call) {
    const char* wrong = RunSelfTest(*kernels_);
    if (wrong == nullptr) return call.Env().Undefined();
    return Napi::String::New(call.Env(), wrong);
  }

  Napi::Value Info(const Napi::CallbackInfo& call) {
    auto info = Napi::Object::New(call.Env());
    auto isas = Napi::Array::New(call.Env());
    for (const Kernels* const* row = RunnableKernels(); *row != nullptr; ++row) {
      isas.Set(isas.Length(), (*row)->isa);
    }
    info.Set("isa", kernels_->isa);
    info.Set("isas", isas);
    info.Set("threads", threads_);
    info.Set("sha256", sha256_->name);
    return info;
  }

  Napi::Value Close(const Napi::CallbackInfo& call) {
    Shut(call.Env());
    return call.Env().Undefined();
  }

  struct Submitted {
    Napi::Promise promise;
    uintptr_t ticket;
  };

  template <typename Kind>
  Submitted Submit(std::unique_ptr<Kind> task, const Napi::Value& argument) {
    const Napi::Env env = Env();
    const Napi::Promise promise = task->deferred.Promise();
    std::string wrong = pool_ == nullptr ? kClosed : task->Read(argument);
    // A getter of the argument may have thrown; that error is the better one.
    if (env.IsExceptionPending()) {
      task->deferred.Reject(env.GetAndClearPendingException().Value());
      return {promise, 0};
    }
    if (pool_ == nullptr) wrong = kClosed;  // By such a getter, perhaps.
    if (wrong.empty() && !task->StillThere()) wrong = "a buffer changed while the job was read";
    if (!wrong.empty()) {
      task->deferred.Reject(Napi::TypeError::New(env, wrong).Value());
      return {promise, 0};
    }
    const uintptr_t ticket = ++last_ticket_;
    task->ticket = ticket;
    Task* const borrowed = task.get();
    if (in_flight_.empty()) {
      napi_ref_threadsafe_function(env, finished_);
      Ref();
    }
    in_flight_.emplace(ticket, std::move(task));
    pool_->Post(borrowed);
    return {promise, ticket};
  }

  // On a pool thread.
  static void OnFinished(void* border, Task* task) {
    const uintptr_t ticket = static_cast<Promised*>(task)->ticket;
    napi_call_threadsafe_function(static_cast<Border*>(border)->finished_,
                                  reinterpret_cast<void*>(ticket), napi_tsfn_nonblocking);
  }

  // On the main thread; without an environment when it is being torn down.
  static void OnDelivery(napi_env env, napi_value, void* border, void* ticket) {
    if (env == nullptr) return;
    static_cast<Border*>(border)->Deliver(reinterpret_cast<uintptr_t>(ticket));
  }

  void Deliver(uintptr_t ticket) {
    const auto found = in_flight_.find(ticket);
    if (found == in_flight_.end()) return;  // Settled by Close.
    const std::unique_ptr<Promised> task = std::move(found->second);
    in_flight_.erase(found);
    task->Settle(Env());
    if (in_flight_.empty()) {
      napi_unref_threadsafe_function(Env(), finished_);
      Unref();
    }
  }

  void StopPool() {
    for (const auto& [ticket, task] : in_flight_) task->stop = true;
    pool_->Stop();
    pool_.reset();
  }

  // The environment ends: no promise can be settled any more, no thread may stay.
  static void OnEnvironmentEnd(void* data) {
    auto* border = static_cast<Border*>(data);
    border->StopPool();
    for (const auto& [ticket, task] : border->in_flight_) task->Abandon();
    border->in_flight_.clear();
    border->finished_ = nullptr;  // Node takes it down by itself.
  }

  // Waits for what runs (it stops at its next look), rejects what has not run.
  void Shut(Napi::Env env) {
    if (pool_ == nullptr) return;
    StopPool();
    napi_remove_env_cleanup_hook(env, OnEnvironmentEnd, this);
    const auto left = std::move(in_flight_);
    in_flight_.clear();
    for (const auto& [ticket, task] : left) {
      if (task->ran) {
        task->Settle(env);
      } else {
        task->deferred.Reject(Napi::Error::New(env, kClosed).Value());
      }
    }
    napi_release_threadsafe_function(finished_, napi_tsfn_abort);
    finished_ = nullptr;
    if (!left.empty()) Unref();
  }

  const Kernels* kernels_ = nullptr;
  const Sha256Code* sha256_ = nullptr;
  napi_threadsafe_function finished_ = nullptr;
  uint32_t threads_ = 0;
  std::unique_ptr<Pool> pool_;
  // Touched by the main thread alone.
  std::map<uintptr_t, std::unique_ptr<Promised>> in_flight_;
  uintptr_t last_ticket_ = 0;
};

Napi::Object Initialize(Napi::Env env, Napi::Object exports) {
  exports.Set("Kernels", Border::Define(env));
  return exports;
}

}  // namespace
}  // namespace quantd

static Napi::Object InitializeAddon(Napi::Env env, Napi::Object exports) {
  return quantd::Initialize(env, exports);
}

NODE_API_MODULE(quantd, InitializeAddon)
