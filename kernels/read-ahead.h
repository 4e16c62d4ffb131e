// Read ahead: a file's bytes in order, the disk some steps ahead of the thread that uses them.
//
//   file ──▶ Next() ──▶ up to 256 KiB at a time, and the system told what will be wanted
//
// The thread that uses the bytes copies them itself: they are then in its own cache, which saves
// more than a second thread that copies for it.
#ifndef QUANTD_READ_AHEAD_H_
#define QUANTD_READ_AHEAD_H_

#include <stddef.h>
#include <stdint.h>

#include <vector>

namespace quantd {

struct ReadStep {
  const uint8_t* data = nullptr;
  size_t size = 0;  // 0 at the end of the file or of what was wanted.
  int error = 0;    // errno.
};

class ReadAhead {
 public:
  // Bytes [offset, offset + size) of an open file; less where it ends. `buffer` grows to one step.
  ReadAhead(int file, uint64_t offset, uint64_t size, std::vector<uint8_t>& buffer);
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  // The next step; it lives until the next call. After an end or an error there is none.
  ReadStep Next();

 private:
  // Lets the system begin to read what comes after the next step.
  void Announce();

  const int file_;
  uint64_t offset_;
  const uint64_t end_;
  uint8_t* const step_;
  // Up to where the system has been told.
  uint64_t announced_;
};

}  // namespace quantd

#endif
