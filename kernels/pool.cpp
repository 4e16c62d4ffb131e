#include "pool.h"

#include "float-state.h"
#include "priority.h"

namespace quantd {
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
