// Team: threads that share one loop whose turns may come in any order.
//
//   ForEach(count, stop, turn) ──▶ turn(index, member), each index once, on whoever is free
//
// The pool of pool.h runs many small tasks side by side; a layer is one task that wants every core,
// and must leave that pool free for hashing. Read next: executor.cpp.
#ifndef QUANTD_TEAM_H_
#define QUANTD_TEAM_H_

#include <stddef.h>
#include <stdint.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace quantd {

class Team {
 public:
  // The thread that calls ForEach is one of them, the others sleep between two loops.
  explicit Team(uint32_t threads);
  // No loop may be running.
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  uint32_t size() const { return static_cast<uint32_t>(others_.size()) + 1; }

  // turn(index, member) for each index below `count`, member below size(); returns when all have
  // ended. When `stop` is set, no further turn begins. One caller at a time.
  template <typename Turn>
  void ForEach(size_t count, const std::atomic<bool>& stop, const Turn& turn) {
    const auto call = [](const void* context, size_t index, size_t member) {
      (*static_cast<const Turn*>(context))(index, member);
    };
    Loop loop{count, stop, call, &turn, {}};
    Run(loop);
  }

 private:
  struct Loop {
    const size_t count;
    const std::atomic<bool>& stop;
    void (*const call)(const void* context, size_t index, size_t member);
    const void* const context;
    std::atomic<size_t> next;
  };

  void Run(Loop& loop);
  static void TakeTurns(Loop& loop, size_t member);
  void Serve(size_t member);

  std::mutex mutex_;
  std::condition_variable begun_;
  std::condition_variable left_;
  // The loop that may be joined, or null.
  Loop* loop_ = nullptr;
  // Its number, so that nobody joins twice.
  uint64_t loops_ = 0;
  // Who has joined it, besides the caller.
  size_t inside_ = 0;
  bool ending_ = false;
  std::vector<std::thread> others_;
};

}  // namespace quantd

#endif
