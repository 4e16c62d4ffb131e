#include "pool.h"

#include "float-state.h"
#include "priority.h"
#include "stopwatch.h"

namespace quantd {
namespace {

// Two urgent tasks together cost less than one after the other, so that the first waits for a second:
// for so many looks, some milliseconds.
constexpr int kPassesMax = 8;

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

void Pool::PostUrgent(Task* task) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    urgent_.push_back(task);
    ++urgent_count_;
  }
  changed_.notify_one();
}

void Pool::RunUrgent(Worker& worker) {
  const size_t count = urgent_count_.load(std::memory_order_relaxed);
  if (count == 0 || (count == 1 && ++worker.urgent_passes < kPassesMax)) return;
  worker.urgent_passes = 0;
  Task* first = nullptr;
  Task* second = nullptr;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (stopping_ || urgent_.empty()) return;
    first = NextUrgent();
    second = NextUrgent();
  }
  const CpuStopwatch running;
  RunUpToTwo(first, second, worker);
  worker.urgent_seconds += running.Seconds();
}

Task* Pool::NextUrgent() {
  if (urgent_.empty()) return nullptr;
  Task* const task = urgent_.front();
  urgent_.pop_front();
  --urgent_count_;
  return task;
}

void Pool::RunUpToTwo(Task* first, Task* second, Worker& worker) {
  if (second == nullptr) {
    RunOne(first, worker);
    return;
  }
  first->RunBeside(*second, worker);
  for (Task* task : {first, second}) {
    task->ran = true;
    finished_(context_, task);
  }
}

void Pool::RunOne(Task* task, Worker& worker) {
  task->Run(worker);
  task->ran = true;
  finished_(context_, task);
}

void Pool::Stop() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
    waiting_.clear();
    urgent_.clear();
    urgent_count_ = 0;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void Pool::Work() {
  LowerPriority();
  Worker worker;
  worker.pool = this;
  for (;;) {
    Task* task = nullptr;
    Task* second = nullptr;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      changed_.wait(lock,
                    [this] { return stopping_ || !waiting_.empty() || !urgent_.empty(); });
      if (stopping_) return;
      task = NextUrgent();
      if (task != nullptr) {
        second = NextUrgent();
      } else {
        task = waiting_.front();
        waiting_.pop_front();
      }
    }
    const FloatState controlled;
    RunUpToTwo(task, second, worker);
  }
}

}  // namespace quantd
