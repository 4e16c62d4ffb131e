// Float state: the rounding and flushing modes that a job runs under, whatever the thread had.
//
// A library linked with fast-math options may set flush-to-zero in the process that loads it, and
// new threads inherit it. The guard sets nearest-even with subnormals kept, and puts back what
// was there.
#ifndef QUANTD_FLOAT_STATE_H_
#define QUANTD_FLOAT_STATE_H_

#include <stdint.h>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace quantd {
namespace {

class FloatState {
 public:
  FloatState() : before_(Read()) { Write(kControlled); }
  ~FloatState() { Write(before_); }
  FloatState(const FloatState&) = delete;
  FloatState& operator=(const FloatState&) = delete;

 private:
#if defined(__x86_64__)
  using State = uint32_t;
  static constexpr State kControlled = 0x1F80;  // All exceptions masked, no DAZ, no FTZ.
  static State Read() { return _mm_getcsr(); }
  static void Write(State state) { _mm_setcsr(state); }
#elif defined(__aarch64__)
  using State = uint64_t;
  static constexpr State kControlled = 0;
  static State Read() {
    State state;
    __asm__ volatile("mrs %0, fpcr" : "=r"(state));
    return state;
  }
  static void Write(State state) { __asm__ volatile("msr fpcr, %0" : : "r"(state)); }
#else
#error "quantd runs on x86-64 and aarch64"
#endif
  State before_;
};

}  // namespace
}  // namespace quantd

#endif
