// The Node-API border: with addon-tasks.h the only place that knows JavaScript.
//
//   new Kernels({threads, isa?}) ──▶ quantize(job), sha256(bytes), sha256File(path), …  ──▶ promises
//
// Every argument is checked here, because a kernel checks nothing: what is wrong rejects the
// promise with a TypeError. Buffers are referenced while a task uses them; their owner must
// neither write nor transfer them until the promise settles. Read next:
// addon-tasks.h, job.h, pool.h.
#include <napi.h>

#include <map>
#include <memory>
#include <string>

#include "addon-tasks.h"
#include "dispatch.h"
#include "pool.h"
#include "self-test.h"

namespace quantd {
namespace {

// More threads than any machine has cores; a typing error must not start a million.
constexpr uint32_t kThreadsMax = 1024;

// One pool and the table it works with. JavaScript owns it; it lives on while tasks run.
class Border : public Napi::ObjectWrap<Border> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "Kernels",
                       {InstanceMethod<&Border::Quantize>("quantize"),
                        InstanceMethod<&Border::HashBytes>("sha256"),
                        InstanceMethod<&Border::HashFileAt>("sha256File"),
                        InstanceMethod<&Border::HashPiecesAt>("sha256Pieces"),
                        InstanceMethod<&Border::Cancel>("cancel"),
                        InstanceMethod<&Border::SelfTest>("selfTest"),
                        InstanceMethod<&Border::Close>("close"),
                        InstanceAccessor<&Border::SpentSoFar>("spent"),
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

  Napi::Value HashFileAt(const Napi::CallbackInfo& call) {
    return Cancellable(call, std::make_unique<FileHashTask>(call.Env(), *sha256_));
  }

  Napi::Value HashPiecesAt(const Napi::CallbackInfo& call) {
    return Cancellable(call, std::make_unique<PiecesHashTask>(call.Env(), *sha256_));
  }

  // {promise, ticket}: the ticket is for cancel.
  template <typename Kind>
  Napi::Value Cancellable(const Napi::CallbackInfo& call, std::unique_ptr<Kind> task) {
    const Submitted made = Submit(std::move(task), call[0]);
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

  // Undefined when every kernel in use gives what is stored; otherwise the name of one that fails.
  Napi::Value SelfTest(const Napi::CallbackInfo& call) {
    const char* wrong = RunSelfTest(*kernels_);
    if (wrong == nullptr) return call.Env().Undefined();
    return Napi::String::New(call.Env(), wrong);
  }

  // [{type, plain, weighted}]: what can be made without importance, and what makes use of it.
  static Napi::Array ListQuantizers(Napi::Env env, const Kernels& kernels) {
    auto list = Napi::Array::New(env);
    for (uint32_t format = 0; format < kFormatCount; ++format) {
      const Quantizer& quantizer = kernels.make[format];
      if (quantizer.plain == nullptr && quantizer.weighted == nullptr) continue;
      auto entry = Napi::Object::New(env);
      entry.Set("type", kFormats[format].id);
      entry.Set("plain", quantizer.plain != nullptr);
      entry.Set("weighted", quantizer.weighted != nullptr);
      list.Set(list.Length(), entry);
    }
    return list;
  }

  Napi::Value Info(const Napi::CallbackInfo& call) {
    const Napi::Env env = call.Env();
    auto info = Napi::Object::New(env);
    auto isas = Napi::Array::New(env);
    for (const Kernels* const* row = RunnableKernels(); *row != nullptr; ++row) {
      isas.Set(isas.Length(), (*row)->isa);
    }
    info.Set("isa", kernels_->isa);
    info.Set("isas", isas);
    info.Set("threads", threads_);
    info.Set("sha256", sha256_->name);
    info.Set("quantizers", ListQuantizers(env, *kernels_));
    return info;
  }

  // Seconds of the threads, over all tasks that have ended.
  Napi::Value SpentSoFar(const Napi::CallbackInfo& call) {
    auto spent = Napi::Object::New(call.Env());
    spent.Set("compute", spent_.compute);
    spent.Set("hash", spent_.hash);
    spent.Set("wait", spent_.wait);
    return spent;
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
    spent_.compute += task->spent.compute;
    spent_.hash += task->spent.hash;
    spent_.wait += task->spent.wait;
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
  Spent spent_;
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
