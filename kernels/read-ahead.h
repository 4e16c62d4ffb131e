// Read ahead: a file's bytes in order, one step ahead of the thread that uses them.
//
//   file ──▶ a thread that only reads ──▶ Next() ──▶ up to 1 MiB at a time
//
// Reading from the page cache is a copy and costs a fifth of hashing; from a disk it is waiting.
// Both then happen while the step before is being hashed.
#ifndef QUANTD_READ_AHEAD_H_
#define QUANTD_READ_AHEAD_H_

#include <stddef.h>
#include <stdint.h>

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace quantd {

struct ReadStep {
  const uint8_t* data = nullptr;
  size_t size = 0;  // 0 at the end of the file or of what was wanted.
  int error = 0;    // errno.
};

class ReadAhead {
 public:
  // Bytes [offset, offset + size) of an open file; less where it ends. `buffer` grows to two steps.
  ReadAhead(int file, uint64_t offset, uint64_t size, std::vector<uint8_t>& buffer);
  ~ReadAhead();
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  // The next step; it lives until the next call. After an end or an error there is none.
  ReadStep Next();

 private:
  // On the thread that reads.
  void Fill();
  ReadStep ReadInto(uint8_t* half);

  const int file_;
  uint64_t offset_;
  const uint64_t end_;
  uint8_t* halves_[2];
  std::mutex mutex_;
  std::condition_variable changed_;
  ReadStep steps_[2];
  bool full_[2] = {false, false};
  bool stopping_ = false;
  // Which half the user has; none before the first.
  int turn_ = -1;
  // The last: it begins to read at once.
  std::thread thread_;
};

}  // namespace quantd

#endif
