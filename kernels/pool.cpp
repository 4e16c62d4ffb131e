#include "pool.h"

#include "float-state.h"

#if defined(__linux__)
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace quantd {
namespace {

// Below the event loop and everything interactive, above what calls itself idle.
[[maybe_unused]] constexpr int kNiceness = 10;

void LowerPriority() {
#if defined(__linux__)
  // On Linux niceness belongs to a thread. Failing to be polite is no reason to fail.
  const auto thread = static_cast<id_t>(syscall(SYS_gettid));
  [[maybe_unused]] const int ignored = setpriority(PRIO_PROCESS, thread, kNiceness);
#endif
}

}  // namespace

Pool::Pool(uint32_t threads, Finished finished, void* context)
    : finished_(finished), context_(context) {
  threads_.reserve(threads);
  for (uint32_t i = 0; i < threads; ++i) threads_.emplace_back([this] { Work(); });
}

void Pool::Post(Task* task) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    waiting_.push_back(task);
  }
  changed_.notify_one();
}

void Pool::Stop() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
    waiting_.clear();
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void Pool::Work() {
  LowerPriority();
  Worker worker;
  for (;;) {
    Task* task = nullptr;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
      if (stopping_) return;
      task = waiting_.front();
      waiting_.pop_front();
    }
    {
      const FloatState controlled;
      task->Run(worker);
      task->ran = true;
    }
    finished_(context_, task);
  }
}

}  // namespace quantd
