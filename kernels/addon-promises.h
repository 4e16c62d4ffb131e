// Addon promises: work that JavaScript waits for, from the argument of a call to the settled promise.
//
//   argument ──▶ Read (main thread) ──▶ Run (a thread of the pool) ──▶ Settle (main thread)
//
// A part of addon.cpp, in a file of its own for its length; only its other parts include it. Read
// next: addon-tasks.h, addon-digests.h, addon-forward.h.
#ifndef QUANTD_ADDON_PROMISES_H_
#define QUANTD_ADDON_PROMISES_H_

#include <napi.h>
#include <string.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "pool.h"

namespace quantd {
namespace {

// More threads than any machine has cores; a typing error must not start a million.
constexpr uint32_t kThreadsMax = 1024;
// The greatest whole number up to which JavaScript knows each.
constexpr double kWholeMax = 9007199254740991.0;
constexpr char kClosed[] = "the kernels are closed";


struct Bytes {
  uint8_t* data;
  size_t size;
};

// Of the types of arrays that are taken.
size_t ElementBytes(napi_typedarray_type type) {
  return type == napi_uint8_array ? 1 : sizeof(float);
}

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
      size_t length = 0;
      napi_typedarray_type type = napi_uint8_array;
      void* data = nullptr;
      const napi_value array = kept.array.Value();
      if (napi_get_typedarray_info(kept.array.Env(), array, &type, &length, &data, nullptr,
                                   nullptr) != napi_ok) {
        return false;
      }
      const size_t size = length * ElementBytes(type);
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

// The memory of a Uint8Array, Int32Array or Float32Array; an empty string, or what is wrong with it.
std::string ReadMemory(const Napi::Value& value, napi_typedarray_type type, Bytes& bytes) {
  const char* no = type == napi_float32_array ? "is no Float32Array"
                   : type == napi_int32_array ? "is no Int32Array"
                                              : "is no Uint8Array";
  if (!value.IsTypedArray()) return no;
  const auto array = value.As<Napi::TypedArray>();
  if (array.TypedArrayType() != type) return no;
  napi_value buffer = nullptr;
  void* data = nullptr;
  size_t length = 0;
  if (napi_get_typedarray_info(value.Env(), value, nullptr, &length, &data, &buffer, nullptr) !=
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
  bytes = {static_cast<uint8_t*>(data), length * ElementBytes(type)};
  return "";
}

std::string ReadBytes(const Napi::Value& value, Bytes& bytes) {
  return ReadMemory(value, napi_uint8_array, bytes);
}

// A whole number in [low, high].
bool ReadWhole(const Napi::Value& value, double low, double high, size_t& whole) {
  if (!value.IsNumber()) return false;
  const double number = value.As<Napi::Number>().DoubleValue();
  if (!(number >= low && number <= high)) return false;
  whole = static_cast<size_t>(number);
  return static_cast<double>(whole) == number;
}

bool Overlap(const Bytes& a, const Bytes& b) {
  return a.size > 0 && b.size > 0 && a.data < b.data + b.size && b.data < a.data + a.size;
}

// Of a digest or a checksum.
template <typename Digested>
Napi::Value ToUint8Array(Napi::Env env, const Digested& digest) {
  auto array = Napi::Uint8Array::New(env, sizeof digest.bytes);
  // There is no memory when a worker is being terminated; then nobody waits for it either.
  if (array.Data() != nullptr) memcpy(array.Data(), digest.bytes, sizeof digest.bytes);
  return array;
}

// {threads, isa?}; false where an error has been thrown.
bool ReadOptions(const Napi::Value& value, size_t& threads, std::string& isa) {
  bool fits = false;
  if (value.IsObject()) {
    const auto options = value.As<Napi::Object>();
    const Napi::Value name = options.Get("isa");
    if (name.IsString()) isa = name.As<Napi::String>();
    fits = ReadWhole(options.Get("threads"), 1, kThreadsMax, threads) &&
           (name.IsUndefined() || !isa.empty());
  }
  if (!fits) {
    Napi::TypeError::New(value.Env(), "options are {threads: 1..1024, isa?: string}")
        .ThrowAsJavaScriptException();
  }
  return fits;
}

void ThrowUnavailable(Napi::Env env, const std::string& isa) {
  auto error = Napi::Error::New(env, "no kernels for " + isa + " on this CPU");
  error.Set("code", Napi::String::New(env, "ISA_UNAVAILABLE"));
  error.ThrowAsJavaScriptException();
}

// An object of JavaScript with threads of its own, whose methods return promises. JavaScript owns
// it; it lives on while tasks run.
template <typename Derived>
class Promising : public Napi::ObjectWrap<Derived> {
 public:
  explicit Promising(const Napi::CallbackInfo& call) : Napi::ObjectWrap<Derived>(call) {}

 protected:
  struct Submitted {
    Napi::Promise promise;
    uintptr_t ticket;
  };

  // Starts the threads, which run one task each at a time. False where an error has been thrown.
  bool Open(Napi::Env env, const char* name, uint32_t threads) {
    // Its queue needs no limit: it holds one number for each task in flight.
    const napi_status made = napi_create_threadsafe_function(
        env, nullptr, nullptr, Napi::String::New(env, name), 0, 1, nullptr, nullptr, this,
        OnDelivery, &finished_);
    if (made != napi_ok) {
      Napi::Error::New(env, "cannot make a thread-safe function").ThrowAsJavaScriptException();
      return false;
    }
    napi_unref_threadsafe_function(env, finished_);
    // Added after the thread-safe function, so that it runs before that one is torn down.
    napi_add_env_cleanup_hook(env, OnEnvironmentEnd, this);
    pool_ = std::make_unique<Pool>(threads, OnFinished, this);
    return true;
  }

  bool IsOpen() const { return pool_ != nullptr; }

  // The threads of the pool have ended; others must end too.
  virtual void OnStopped() {}

  template <typename Kind>
  Submitted Submit(std::unique_ptr<Kind> task, const Napi::Value& argument) {
    const Napi::Env env = this->Env();
    const Napi::Promise promise = task->deferred.Promise();
    std::string wrong = IsOpen() ? task->Read(argument) : kClosed;
    // A getter of the argument may have thrown; that error is the better one.
    if (env.IsExceptionPending()) {
      task->deferred.Reject(env.GetAndClearPendingException().Value());
      return {promise, 0};
    }
    if (!IsOpen()) wrong = kClosed;  // By such a getter, perhaps.
    if (wrong.empty() && !task->StillThere()) wrong = "a buffer changed while the job was read";
    if (!wrong.empty()) {
      task->deferred.Reject(Napi::TypeError::New(env, wrong).Value());
      return {promise, 0};
    }
    const uintptr_t ticket = ++last_ticket_;
    task->ticket = ticket;
    Promised* const borrowed = task.get();
    if (in_flight_.empty()) {
      napi_ref_threadsafe_function(env, finished_);
      this->Ref();
    }
    in_flight_.emplace(ticket, std::move(task));
    pool_->Post(borrowed);
    return {promise, ticket};
  }

  // {promise, ticket}: the ticket is for Cancel.
  template <typename Kind>
  Napi::Value SubmitCancellable(std::unique_ptr<Kind> task, const Napi::Value& argument) {
    const Submitted made = Submit(std::move(task), argument);
    auto result = Napi::Object::New(this->Env());
    result.Set("promise", made.promise);
    result.Set("ticket", static_cast<double>(made.ticket));
    return result;
  }

  Napi::Value Cancel(const Napi::CallbackInfo& call) {
    size_t ticket = 0;
    if (ReadWhole(call[0], 0, kWholeMax, ticket)) {
      const auto found = in_flight_.find(ticket);
      if (found != in_flight_.end()) found->second->stop = true;
    }
    return call.Env().Undefined();
  }

  // Of the threads, over all tasks that have ended.
  const Spent& SpentSoFar() const { return spent_; }

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
    if (!left.empty()) this->Unref();
  }

 private:
  // On a pool thread.
  static void OnFinished(void* self, Task* task) {
    const uintptr_t ticket = static_cast<Promised*>(task)->ticket;
    napi_call_threadsafe_function(static_cast<Promising*>(self)->finished_,
                                  reinterpret_cast<void*>(ticket), napi_tsfn_nonblocking);
  }

  // On the main thread; without an environment when it is being torn down.
  static void OnDelivery(napi_env env, napi_value, void* self, void* ticket) {
    if (env == nullptr) return;
    static_cast<Promising*>(self)->Deliver(reinterpret_cast<uintptr_t>(ticket));
  }

  void Deliver(uintptr_t ticket) {
    const auto found = in_flight_.find(ticket);
    if (found == in_flight_.end()) return;  // Settled by Shut.
    const std::unique_ptr<Promised> task = std::move(found->second);
    in_flight_.erase(found);
    spent_.compute += task->spent.compute;
    spent_.hash += task->spent.hash;
    spent_.digest += task->spent.digest;
    spent_.wait += task->spent.wait;
    task->Settle(this->Env());
    if (in_flight_.empty()) {
      napi_unref_threadsafe_function(this->Env(), finished_);
      this->Unref();
    }
  }

  void StopPool() {
    for (const auto& [ticket, task] : in_flight_) task->stop = true;
    pool_->Stop();
    pool_.reset();
    OnStopped();
  }

  // The environment ends: no promise can be settled any more, no thread may stay.
  static void OnEnvironmentEnd(void* data) {
    auto* self = static_cast<Promising*>(data);
    self->StopPool();
    for (const auto& [ticket, task] : self->in_flight_) task->Abandon();
    self->in_flight_.clear();
    self->finished_ = nullptr;  // Node takes it down by itself.
  }

  napi_threadsafe_function finished_ = nullptr;
  std::unique_ptr<Pool> pool_;
  // Touched by the main thread alone.
  std::map<uintptr_t, std::unique_ptr<Promised>> in_flight_;
  uintptr_t last_ticket_ = 0;
  Spent spent_;
};

}  // namespace
}  // namespace quantd

#endif
