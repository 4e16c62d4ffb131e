// Pool: the addon's own threads. One task runs on one thread; tasks run side by side.
//
//   Post(task) ──▶ a thread runs it ──▶ finished(context, task)   (read next: addon.cpp)
//
// Never libuv's pool: a handful of long kernels there would stop every file read of the process.
// Beside the threads that compute there is one for files: no core is idle while that one waits for
// a disk.
#ifndef QUANTD_POOL_H_
#define QUANTD_POOL_H_

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

namespace quantd {

class Pool;

// What a thread owns and lends to the task it runs.
struct Worker {
  Pool* pool = nullptr;
  std::vector<float> scratch;        // The floats of a span, once a job has needed them.
  std::vector<uint8_t> read_buffer;  // Grows once, at the first file.
  double urgent_seconds = 0;         // CPU seconds of short tasks that ran within another.
  int urgent_passes = 0;             // How often one was left waiting for a second.
};

// What a task cost the thread that ran it.
struct Spent {
  double compute = 0;  // CPU seconds.
  double hash = 0;     // CPU seconds.
  double digest = 0;   // CPU seconds, of those of `hash`: of blocks as they were made.
  double wait = 0;     // Wall seconds, for bytes of a file.
};

class Task {
 public:
  virtual ~Task() = default;
  // On a pool thread, under the controlled floating-point state.
  virtual void Run(Worker& worker) = 0;
  // Of what is urgent: together with another, which then has run too.
  virtual void RunBeside(Task& other, Worker& worker) {
    Run(worker);
    other.Run(worker);
  }
  // Any thread may set it; a running task looks at it every few milliseconds.
  std::atomic<bool> stop{false};
  // Whether it reads a file itself.
  virtual bool WaitsForDisk() const { return false; }
  // Whether it takes a millisecond at most and others wait for it.
  virtual bool IsUrgent() const { return false; }
  // Set by Run.
  Spent spent;
  // Set by the pool; read it after `finished`, or after Stop.
  bool ran = false;
};

class Pool {
 public:
  // Called on a pool thread when a task has run.
  using Finished = void (*)(void* context, Task* task);

  // So many threads that compute. The one for files begins with the first task for it.
  Pool(uint32_t threads, Finished finished, void* context);
  ~Pool() { Stop(); }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  // The pool borrows the task until `finished`, or until Stop has returned. What is urgent runs
  // before all that waits, on a thread that is idle or has a long task which asks for such work now
  // and then. Where there are more cores than threads that compute, that of files is one of them.
  void Post(Task* task);
  // Called within a long task: runs what is urgent.
  void RunUrgent(Worker& worker);
  // Forgets what has not begun, waits for what runs (set their `stop` first), ends the threads.
  void Stop();

 private:
  enum class Role { kComputes, kReads };

  void Begin(Role role);
  void BeginReading();
  bool IsForReader(const Task& task) const;
  void Work(Role role);
  // The first task for a thread of this role, and a second where two are run together; with the
  // lock. Null when there is none.
  Task* Next(Role role, Task*& second);
  void RunOne(Task* task, Worker& worker);
  void RunUpToTwo(Task* first, Task* second, Worker& worker);
  // With the lock; null when nothing is urgent.
  Task* NextUrgent();

  const Finished finished_;
  void* const context_;
  std::mutex mutex_;
  // There is something to do, or nothing any more.
  std::condition_variable for_computing_;
  std::condition_variable for_reader_;
  std::deque<Task*> waiting_;
  std::deque<Task*> urgent_;
  // How many are urgent, to be looked at without the lock.
  std::atomic<size_t> urgent_count_{0};
  bool stopping_ = false;
  // Fewer threads compute than there are cores.
  const bool has_spare_core_;
  bool has_reader_ = false;
  // There is a thread for files and it has nothing to do.
  bool reader_is_idle_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace quantd

#endif
