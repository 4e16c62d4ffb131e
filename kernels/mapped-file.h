// Mapped file: bytes of a file as memory that is only read.
//
//   path, range ──▶ Open ──▶ At(offset)
//
// The range is compared with the file's size first, because touching a page behind the end of a
// file kills the process. A file that shrinks later still does: IsWhole asks again before each use,
// which leaves the moment between asking and touching. Who shortens a checkpoint under a run has
// broken it anyway.
#ifndef QUANTD_MAPPED_FILE_H_
#define QUANTD_MAPPED_FILE_H_

#include <stddef.h>
#include <stdint.h>

namespace quantd {

struct FileError {
  int error = 0;             // errno; ENODATA where the file ends early; 0 is none.
  const char* syscall = "";  // Which call gave it.
};

class MappedFile {
 public:
  MappedFile() = default;
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  // Bytes [begin, end) of a regular file, begin < end. Once.
  FileError Open(const char* path, uint64_t begin, uint64_t end);
  // Where the byte at `offset` of the file lies; offset is in the range.
  const uint8_t* At(uint64_t offset) const { return memory_ + (offset - begin_); }
  // Lets the system begin to read bytes [offset, offset + size) of the range. Only a hint.
  void Announce(uint64_t offset, uint64_t size) const;
  // Whether the file still has the whole range.
  bool IsWhole() const;

 private:
  int file_ = -1;
  uint8_t* memory_ = nullptr;
  uint64_t begin_ = 0;  // At the beginning of a page.
  uint64_t end_ = 0;
};

}  // namespace quantd

#endif
