// Four lanes: NEON on AArch64. Included by lanes.h alone.
#include <arm_neon.h>

namespace quantd {
namespace {

// All bits of a lane are set where it is true.
template <>
struct Mask<4> {
  uint32x4_t v;
};
template <>
struct Int<4> {
  int32x4_t v;
  QUANTD_LANE static Int Set(int32_t value) { return {vdupq_n_s32(value)}; }
  QUANTD_LANE static Int Load(const int32_t* from) { return {vld1q_s32(from)}; }
  QUANTD_LANE void Store(int32_t* into) const { vst1q_s32(into, v); }
};
template <>
struct Float<4> {
  float32x4_t v;
  QUANTD_LANE static Float Set(float value) { return {vdupq_n_f32(value)}; }
  QUANTD_LANE static Float Load(const float* from) { return {vld1q_f32(from)}; }
  QUANTD_LANE void Store(float* into) const { vst1q_f32(into, v); }
};

using F4x = Float<4>;
using I4x = Int<4>;
using M4x = Mask<4>;

QUANTD_LANE F4x operator+(F4x a, F4x b) { return {vaddq_f32(a.v, b.v)}; }
QUANTD_LANE F4x operator-(F4x a, F4x b) { return {vsubq_f32(a.v, b.v)}; }
QUANTD_LANE F4x operator*(F4x a, F4x b) { return {vmulq_f32(a.v, b.v)}; }
QUANTD_LANE F4x operator/(F4x a, F4x b) { return {vdivq_f32(a.v, b.v)}; }
QUANTD_LANE M4x operator<(F4x a, F4x b) { return {vcltq_f32(a.v, b.v)}; }
QUANTD_LANE M4x operator<=(F4x a, F4x b) { return {vcleq_f32(a.v, b.v)}; }
QUANTD_LANE M4x operator>(F4x a, F4x b) { return {vcgtq_f32(a.v, b.v)}; }
QUANTD_LANE M4x operator>=(F4x a, F4x b) { return {vcgeq_f32(a.v, b.v)}; }
QUANTD_LANE M4x operator==(F4x a, F4x b) { return {vceqq_f32(a.v, b.v)}; }
QUANTD_LANE F4x Sqrt(F4x a) { return {vsqrtq_f32(a.v)}; }
// Not vminq and vmaxq, which order zeros and pass NaN on.
QUANTD_LANE F4x Min(F4x a, F4x b) { return {vbslq_f32(vcltq_f32(a.v, b.v), a.v, b.v)}; }
QUANTD_LANE F4x Max(F4x a, F4x b) { return {vbslq_f32(vcgtq_f32(a.v, b.v), a.v, b.v)}; }

QUANTD_LANE I4x Bits(F4x a) { return {vreinterpretq_s32_f32(a.v)}; }
QUANTD_LANE F4x FromBits(I4x a) { return {vreinterpretq_f32_s32(a.v)}; }
QUANTD_LANE F4x ToFloat(I4x a) { return {vcvtq_f32_s32(a.v)}; }
// The conversion saturates here; what does not fit is INT32_MIN on every CPU.
QUANTD_LANE I4x Truncate(F4x a) {
  const uint32x4_t fits = vandq_u32(vcgeq_f32(a.v, vdupq_n_f32(-2147483648.0f)),
                                    vcltq_f32(a.v, vdupq_n_f32(2147483648.0f)));
  return {vbslq_s32(fits, vcvtq_s32_f32(a.v), vdupq_n_s32(INT32_MIN))};
}
QUANTD_LANE I4x operator+(I4x a, I4x b) { return {vaddq_s32(a.v, b.v)}; }
QUANTD_LANE I4x operator-(I4x a, I4x b) { return {vsubq_s32(a.v, b.v)}; }
QUANTD_LANE I4x operator*(I4x a, I4x b) { return {vmulq_s32(a.v, b.v)}; }
QUANTD_LANE I4x operator&(I4x a, I4x b) { return {vandq_s32(a.v, b.v)}; }
QUANTD_LANE I4x operator|(I4x a, I4x b) { return {vorrq_s32(a.v, b.v)}; }
QUANTD_LANE I4x operator^(I4x a, I4x b) { return {veorq_s32(a.v, b.v)}; }
template <int kBits>
QUANTD_LANE I4x ShiftLeft(I4x a) {
  return {vshlq_s32(a.v, vdupq_n_s32(kBits))};
}
template <int kBits>
QUANTD_LANE I4x ShiftRight(I4x a) {
  return {vreinterpretq_s32_u32(vshlq_u32(vreinterpretq_u32_s32(a.v), vdupq_n_s32(-kBits)))};
}
QUANTD_LANE I4x Min(I4x a, I4x b) { return {vminq_s32(a.v, b.v)}; }
QUANTD_LANE I4x Max(I4x a, I4x b) { return {vmaxq_s32(a.v, b.v)}; }
QUANTD_LANE M4x operator==(I4x a, I4x b) { return {vceqq_s32(a.v, b.v)}; }
QUANTD_LANE M4x operator>(I4x a, I4x b) { return {vcgtq_s32(a.v, b.v)}; }
QUANTD_LANE I4x Gather(const int32_t* from, I4x index) {
  const int32_t lanes[4] = {from[vgetq_lane_s32(index.v, 0)], from[vgetq_lane_s32(index.v, 1)],
                            from[vgetq_lane_s32(index.v, 2)], from[vgetq_lane_s32(index.v, 3)]};
  return I4x::Load(lanes);
}
QUANTD_LANE F4x Gather(const float* from, I4x index) {
  const float lanes[4] = {from[vgetq_lane_s32(index.v, 0)], from[vgetq_lane_s32(index.v, 1)],
                          from[vgetq_lane_s32(index.v, 2)], from[vgetq_lane_s32(index.v, 3)]};
  return F4x::Load(lanes);
}

QUANTD_LANE M4x operator&(M4x a, M4x b) { return {vandq_u32(a.v, b.v)}; }
QUANTD_LANE M4x operator|(M4x a, M4x b) { return {vorrq_u32(a.v, b.v)}; }
QUANTD_LANE M4x operator~(M4x a) { return {vmvnq_u32(a.v)}; }
QUANTD_LANE bool Any(M4x a) { return vmaxvq_u32(a.v) != 0; }
QUANTD_LANE uint32_t LaneBits(M4x a) {
  const uint32_t weights[4] = {1, 2, 4, 8};
  return vaddvq_u32(vandq_u32(a.v, vld1q_u32(weights)));
}
QUANTD_LANE F4x Select(M4x m, F4x yes, F4x no) { return {vbslq_f32(m.v, yes.v, no.v)}; }
QUANTD_LANE I4x Select(M4x m, I4x yes, I4x no) { return {vbslq_s32(m.v, yes.v, no.v)}; }

}  // namespace
}  // namespace quantd
