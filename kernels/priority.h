// Priority: threads that compute stand back behind everything that someone waits for.
#ifndef QUANTD_PRIORITY_H_
#define QUANTD_PRIORITY_H_

#if defined(__linux__)
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace quantd {
namespace {

// Below the event loop and everything interactive, above what calls itself idle.
[[maybe_unused]] constexpr int kNiceness = 10;
// Of who works for moments between two waits, and whom all the others wait for in the end.
[[maybe_unused]] constexpr int kNicenessOfReader = 5;

// Of the calling thread.
[[maybe_unused]] void LowerPriority([[maybe_unused]] int niceness = kNiceness) {
#if defined(__linux__)
  // On Linux niceness belongs to a thread. Failing to be polite is no reason to fail.
  const auto thread = static_cast<id_t>(syscall(SYS_gettid));
  [[maybe_unused]] const int ignored = setpriority(PRIO_PROCESS, thread, niceness);
#endif
}

}  // namespace
}  // namespace quantd

#endif
