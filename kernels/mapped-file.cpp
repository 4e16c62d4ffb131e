#include "mapped-file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace quantd {
namespace {

uint64_t PageBytes() {
  const long bytes = sysconf(_SC_PAGESIZE);
  return bytes > 0 ? static_cast<uint64_t>(bytes) : 4096;
}

}  // namespace

MappedFile::~MappedFile() {
  if (memory_ != nullptr) munmap(memory_, static_cast<size_t>(end_ - begin_));
  if (file_ >= 0) close(file_);
}

FileError MappedFile::Open(const char* path, uint64_t begin, uint64_t end) {
  // A pipe must not wait for a writer.
  file_ = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file_ < 0) return {errno, "open"};
  struct stat status;
  if (fstat(file_, &status) != 0) return {errno, "fstat"};
  if (!S_ISREG(status.st_mode)) return {EINVAL, "open"};
  if (static_cast<uint64_t>(status.st_size) < end) return {ENODATA, "mmap"};
  begin_ = begin - begin % PageBytes();
  end_ = end;
  void* const memory = mmap(nullptr, static_cast<size_t>(end_ - begin_), PROT_READ, MAP_SHARED,
                            file_, static_cast<off_t>(begin_));
  if (memory == MAP_FAILED) return {errno, "mmap"};
  memory_ = static_cast<uint8_t*>(memory);
  return {};
}

void MappedFile::Announce(uint64_t offset, uint64_t size) const {
  const uint64_t start = offset - offset % PageBytes();
  // Not as sequential: pages read so are the first to go, and each wave wants them again.
  madvise(memory_ + (start - begin_), static_cast<size_t>(offset + size - start), MADV_WILLNEED);
}

bool MappedFile::IsWhole() const {
  struct stat status;
  return fstat(file_, &status) == 0 && static_cast<uint64_t>(status.st_size) >= end_;
}

}  // namespace quantd
