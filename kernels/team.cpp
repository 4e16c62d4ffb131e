#include "team.h"

#include "float-state.h"
#include "priority.h"

namespace quantd {

Team::Team(uint32_t threads) {
  others_.reserve(threads - 1);
  for (uint32_t member = 1; member < threads; ++member) {
    others_.emplace_back([this, member] { Serve(member); });
  }
}

Team::~Team() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    ending_ = true;
  }
  begun_.notify_all();
  for (std::thread& thread : others_) thread.join();
}

void Team::TakeTurns(Loop& loop, size_t member) {
  while (!loop.stop.load(std::memory_order_relaxed)) {
    const size_t index = loop.next.fetch_add(1, std::memory_order_relaxed);
    if (index >= loop.count) return;
    loop.call(loop.context, index, member);
  }
}

void Team::Run(Loop& loop) {
  // Waking somebody takes longer than most single turns.
  if (loop.count < 2 || others_.empty()) {
    TakeTurns(loop, 0);
    return;
  }
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    loop_ = &loop;
    ++loops_;
  }
  begun_.notify_all();
  TakeTurns(loop, 0);
  // Waits for those who joined, not for those who have not woken yet: on a busy machine that can
  // take longer than the loop.
  std::unique_lock<std::mutex> lock(mutex_);
  loop_ = nullptr;
  left_.wait(lock, [this] { return inside_ == 0; });
}

void Team::Serve(size_t member) {
  LowerPriority();
  uint64_t joined = 0;
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    begun_.wait(lock, [&] { return ending_ || (loop_ != nullptr && joined != loops_); });
    if (ending_) return;
    joined = loops_;
    Loop* const loop = loop_;
    ++inside_;
    lock.unlock();
    {
      const FloatState controlled;
      TakeTurns(*loop, member);
    }
    lock.lock();
    if (--inside_ == 0) left_.notify_one();
  }
}

}  // namespace quantd
