// The Node-API border: with addon-*.h the only place that knows JavaScript.
//
//   new Kernels({threads, isa?}) ──▶ quantize(job), sha256(bytes), sha256File(path), …  ──▶ promises
//
// Every argument is checked here, because a kernel checks nothing: what is wrong rejects the
// promise with a TypeError. Buffers are referenced while a task uses them; their owner must
// neither write nor transfer them until the promise settles. Read next:
// addon-promises.h, addon-tasks.h, addon-digests.h, addon-forward.h.
#include <napi.h>
#include <sys/mman.h>

#include <memory>
#include <string>

#include "addon-digests.h"
#include "addon-forward.h"
#include "addon-tasks.h"
#include "dispatch.h"
#include "self-test.h"

namespace quantd {
namespace {

// One pool and the table it works with.
class Border : public Promising<Border> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "Kernels",
                       {InstanceMethod<&Border::Quantize>("quantize"),
                        InstanceMethod<&Border::HashBytes>("sha256"),
                        InstanceMethod<&Border::HashFileAt>("sha256File"),
                        InstanceMethod<&Border::HashPiecesAt>("sha256Pieces"),
                        InstanceMethod<&Border::HashStep>("sha256Step"),
                        InstanceMethod<&Border::CancelTask>("cancel"),
                        InstanceMethod<&Border::Memory>("memory"),
                        InstanceMethod<&Border::PageOffset>("pageOffset"),
                        InstanceMethod<&Border::SelfTest>("selfTest"),
                        InstanceMethod<&Border::Close>("close"),
                        InstanceAccessor<&Border::Spending>("spent"),
                        InstanceAccessor<&Border::Info>("info")});
  }

  explicit Border(const Napi::CallbackInfo& call) : Promising<Border>(call) {
    const Napi::Env env = call.Env();
    size_t threads = 0;
    std::string isa;
    if (!ReadOptions(call[0], threads, isa)) return;
    kernels_ = PickKernels(isa.empty() ? nullptr : isa.c_str());
    if (kernels_ == nullptr) {
      ThrowUnavailable(env, isa);
      return;
    }
    size_t codes = 0;
    sha256_ = RunnableSha256(&codes);
    threads_ = static_cast<uint32_t>(threads);
    Open(env, "quantd kernels", threads_);
  }

  ~Border() override { Shut(Env()); }

 private:
  Napi::Value Quantize(const Napi::CallbackInfo& call) {
    return Submit(std::make_unique<QuantizeTask>(call.Env(), *kernels_, Codes()), call[0]).promise;
  }

  Napi::Value HashBytes(const Napi::CallbackInfo& call) {
    return Submit(std::make_unique<BytesHashTask>(call.Env(), *sha256_), call[0]).promise;
  }

  Napi::Value HashFileAt(const Napi::CallbackInfo& call) {
    return SubmitCancellable(std::make_unique<FileHashTask>(call.Env(), *sha256_), call[0]);
  }

  Napi::Value HashPiecesAt(const Napi::CallbackInfo& call) {
    return SubmitCancellable(std::make_unique<PiecesHashTask>(call.Env(), Codes()), call[0]);
  }

  Napi::Value HashStep(const Napi::CallbackInfo& call) {
    return Submit(std::make_unique<PiecesStepTask>(call.Env(), Codes()), call[0]).promise;
  }

  DigestCodes Codes() const {
    size_t count = 0;
    return {*sha256_, RunnableChecksums(&count)[0]};
  }

  // An ArrayBuffer of so many zeros that begins with a page, for a disk to read and write directly.
  Napi::Value Memory(const Napi::CallbackInfo& call) {
    const Napi::Env env = call.Env();
    size_t size = 0;
    if (!ReadWhole(call[0], 1, kMemoryMax, size)) {
      Napi::TypeError::New(env, "bytes is no size").ThrowAsJavaScriptException();
      return env.Undefined();
    }
    void* const memory =
        mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
      Napi::Error::New(env, "no memory").ThrowAsJavaScriptException();
      return env.Undefined();
    }
#ifdef MADV_HUGEPAGE
    // Fewer faults, and fewer parts in what a disk is asked for. Only a wish.
    madvise(memory, size, MADV_HUGEPAGE);
#endif
    return Napi::ArrayBuffer::New(env, memory, size,
                                  [size](Napi::Env, void* data) { munmap(data, size); });
  }

  // How far behind the beginning of a page an array lies.
  Napi::Value PageOffset(const Napi::CallbackInfo& call) {
    Bytes bytes = {};
    const std::string wrong = ReadBytes(call[0], bytes);
    if (!wrong.empty()) {
      Napi::TypeError::New(call.Env(), "bytes " + wrong).ThrowAsJavaScriptException();
      return call.Env().Undefined();
    }
    return Napi::Number::New(call.Env(), reinterpret_cast<uintptr_t>(bytes.data) % kPageBytes);
  }

  Napi::Value CancelTask(const Napi::CallbackInfo& call) { return Cancel(call); }

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

  // In seconds.
  Napi::Value Spending(const Napi::CallbackInfo& call) {
    auto spent = Napi::Object::New(call.Env());
    spent.Set("compute", SpentSoFar().compute);
    spent.Set("hash", SpentSoFar().hash);
    spent.Set("digest", SpentSoFar().digest);
    spent.Set("wait", SpentSoFar().wait);
    return spent;
  }

  Napi::Value Close(const Napi::CallbackInfo& call) {
    Shut(call.Env());
    return call.Env().Undefined();
  }

  // More than a task ever needs; it keeps sizes far from what overflows.
  static constexpr double kMemoryMax = 1099511627776.0;  // 2^40.
  // Of the disk's blocks, which pages are a multiple of.
  static constexpr uintptr_t kPageBytes = 4096;

  const Kernels* kernels_ = nullptr;
  const Sha256Code* sha256_ = nullptr;
  uint32_t threads_ = 0;
};

Napi::Object Initialize(Napi::Env env, Napi::Object exports) {
  exports.Set("Kernels", Border::Define(env));
  exports.Set("ForwardKernels", ForwardBorder::Define(env));
  return exports;
}

}  // namespace
}  // namespace quantd

static Napi::Object InitializeAddon(Napi::Env env, Napi::Object exports) {
  return quantd::Initialize(env, exports);
}

NODE_API_MODULE(quantd, InitializeAddon)
