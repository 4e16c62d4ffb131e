#include "pool.h"

#include <algorithm>

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
    : finished_(finished),
      context_(context),
      has_spare_core_(threads < std::thread::hardware_concurrency()) {
  threads_.reserve(threads + 1);
  for (uint32_t i = 0; i < threads; ++i) Begin(Role::kComputes);
}

void Pool::Begin(Role role) {
  threads_.emplace_back([this, role] { Work(role); });
}

void Pool::BeginReading() {
  if (has_reader_) return;
  has_reader_ = true;
  reader_is_idle_ = true;
  Begin(Role::kReads);
}

// Waking a thread costs whoever posts more than the rest: one is woken, of those that may take it.
void Pool::Post(Task* task) {
  bool wakes_reader = false;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (IsForReader(*task)) BeginReading();
    wakes_reader = IsForReader(*task) && reader_is_idle_;
    if (task->IsUrgent()) {
      urgent_.push_back(task);
      ++urgent_count_;
    } else {
      waiting_.push_back(task);
    }
  }
  (wakes_reader ? for_reader_ : for_computing_).notify_one();
}

bool Pool::IsForReader(const Task& task) const {
  return task.WaitsForDisk() || (task.IsUrgent() && has_spare_core_);
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
  for_computing_.notify_all();
  for_reader_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

Task* Pool::Next(Role role, Task*& second) {
  second = nullptr;
  if (role == Role::kComputes || has_spare_core_) {
    Task* const urgent = NextUrgent();
    if (urgent != nullptr) {
      second = NextUrgent();
      return urgent;
    }
  }
  const auto found = std::find_if(waiting_.begin(), waiting_.end(), [&](const Task* task) {
    if (role == Role::kReads) return task->WaitsForDisk();
    return !(task->WaitsForDisk() && reader_is_idle_);
  });
  if (found == waiting_.end()) return nullptr;
  Task* const task = *found;
  waiting_.erase(found);
  return task;
}

void Pool::Work(Role role) {
  const bool reads = role == Role::kReads;
  LowerPriority(reads ? kNicenessOfReader : kNiceness);
  Worker worker;
  worker.pool = this;
  for (;;) {
    Task* task = nullptr;
    Task* second = nullptr;
    bool leaves_more = false;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      if (reads) reader_is_idle_ = true;
      (reads ? for_reader_ : for_computing_).wait(lock, [&] {
        return stopping_ || (task = Next(role, second)) != nullptr;
      });
      if (stopping_) return;
      if (reads) reader_is_idle_ = false;
      leaves_more = reads && !(waiting_.empty() && urgent_.empty());
    }
    // What was left to this thread is now for the others.
    if (leaves_more) for_computing_.notify_all();
    const FloatState controlled;
    RunUpToTwo(task, second, worker);
  }
}

}  // namespace quantd
