#include "pool.h"

#include "float-state.h"
#include "priority.h"
#include "stopwatch.h"

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

void Pool::PostUrgent(Task* task) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    urgent_.push_back(task);
    ++urgent_count_;
  }
  changed_.notify_one();
}

void Pool::RunUrgent(Worker& worker) {
  while (urgent_count_.load(std::memory_order_relaxed) > 0) {
    Task* task = nullptr;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (stopping_ || urgent_.empty()) return;
      task = urgent_.front();
      urgent_.pop_front();
      --urgent_count_;
    }
    const CpuStopwatch running;
    RunOne(task, worker);
    worker.urgent_seconds += running.Seconds();
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
    {
      std::unique_lock<std::mutex> lock(mutex_);
      changed_.wait(lock,
                    [this] { return stopping_ || !waiting_.empty() || !urgent_.empty(); });
      if (stopping_) return;
      const bool is_urgent = !urgent_.empty();
      std::deque<Task*>& from = is_urgent ? urgent_ : waiting_;
      task = from.front();
      from.pop_front();
      if (is_urgent) --urgent_count_;
    }
    const FloatState controlled;
    RunOne(task, worker);
  }
}

}  // namespace quantd
