// Sixteen lanes: AVX-512 (F, DQ). Included by lanes.h alone.
#include <immintrin.h>

namespace quantd {
namespace {

template <>
struct Mask<16> {
  __mmask16 v;
};
template <>
struct Int<16> {
  __m512i v;
  QUANTD_LANE static Int Set(int32_t value) { return {_mm512_set1_epi32(value)}; }
  QUANTD_LANE static Int Load(const int32_t* from) { return {_mm512_loadu_si512(from)}; }
  QUANTD_LANE void Store(int32_t* into) const { _mm512_storeu_si512(into, v); }
};
template <>
struct Float<16> {
  __m512 v;
  QUANTD_LANE static Float Set(float value) { return {_mm512_set1_ps(value)}; }
  QUANTD_LANE static Float Load(const float* from) { return {_mm512_loadu_ps(from)}; }
  QUANTD_LANE void Store(float* into) const { _mm512_storeu_ps(into, v); }
};

using F16x = Float<16>;
using I16x = Int<16>;
using M16x = Mask<16>;

QUANTD_LANE F16x operator+(F16x a, F16x b) { return {_mm512_add_ps(a.v, b.v)}; }
QUANTD_LANE F16x operator-(F16x a, F16x b) { return {_mm512_sub_ps(a.v, b.v)}; }
QUANTD_LANE F16x operator*(F16x a, F16x b) { return {_mm512_mul_ps(a.v, b.v)}; }
QUANTD_LANE F16x operator/(F16x a, F16x b) { return {_mm512_div_ps(a.v, b.v)}; }
QUANTD_LANE M16x operator<(F16x a, F16x b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ)}; }
QUANTD_LANE M16x operator<=(F16x a, F16x b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LE_OQ)}; }
QUANTD_LANE M16x operator>(F16x a, F16x b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_GT_OQ)}; }
QUANTD_LANE M16x operator>=(F16x a, F16x b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_GE_OQ)}; }
QUANTD_LANE M16x operator==(F16x a, F16x b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_EQ_OQ)}; }
QUANTD_LANE F16x Sqrt(F16x a) { return {_mm512_sqrt_ps(a.v)}; }
QUANTD_LANE F16x Min(F16x a, F16x b) { return {_mm512_min_ps(a.v, b.v)}; }
QUANTD_LANE F16x Max(F16x a, F16x b) { return {_mm512_max_ps(a.v, b.v)}; }

QUANTD_LANE I16x Bits(F16x a) { return {_mm512_castps_si512(a.v)}; }
QUANTD_LANE F16x FromBits(I16x a) { return {_mm512_castsi512_ps(a.v)}; }
QUANTD_LANE F16x ToFloat(I16x a) { return {_mm512_cvtepi32_ps(a.v)}; }
QUANTD_LANE I16x Truncate(F16x a) { return {_mm512_cvttps_epi32(a.v)}; }
QUANTD_LANE I16x operator+(I16x a, I16x b) { return {_mm512_add_epi32(a.v, b.v)}; }
QUANTD_LANE I16x operator-(I16x a, I16x b) { return {_mm512_sub_epi32(a.v, b.v)}; }
QUANTD_LANE I16x operator*(I16x a, I16x b) { return {_mm512_mullo_epi32(a.v, b.v)}; }
QUANTD_LANE I16x operator&(I16x a, I16x b) { return {_mm512_and_si512(a.v, b.v)}; }
QUANTD_LANE I16x operator|(I16x a, I16x b) { return {_mm512_or_si512(a.v, b.v)}; }
QUANTD_LANE I16x operator^(I16x a, I16x b) { return {_mm512_xor_si512(a.v, b.v)}; }
template <int kBits>
QUANTD_LANE I16x ShiftLeft(I16x a) {
  return {_mm512_slli_epi32(a.v, kBits)};
}
template <int kBits>
QUANTD_LANE I16x ShiftRight(I16x a) {
  return {_mm512_srli_epi32(a.v, kBits)};
}
QUANTD_LANE I16x Min(I16x a, I16x b) { return {_mm512_min_epi32(a.v, b.v)}; }
QUANTD_LANE I16x Max(I16x a, I16x b) { return {_mm512_max_epi32(a.v, b.v)}; }
QUANTD_LANE M16x operator==(I16x a, I16x b) { return {_mm512_cmpeq_epi32_mask(a.v, b.v)}; }
QUANTD_LANE M16x operator>(I16x a, I16x b) { return {_mm512_cmpgt_epi32_mask(a.v, b.v)}; }
QUANTD_LANE I16x Gather(const int32_t* from, I16x index) {
  return {_mm512_i32gather_epi32(index.v, from, 4)};
}
QUANTD_LANE F16x Gather(const float* from, I16x index) {
  return {_mm512_i32gather_ps(index.v, from, 4)};
}

QUANTD_LANE M16x operator&(M16x a, M16x b) { return {static_cast<__mmask16>(a.v & b.v)}; }
QUANTD_LANE M16x operator|(M16x a, M16x b) { return {static_cast<__mmask16>(a.v | b.v)}; }
QUANTD_LANE M16x operator~(M16x a) { return {static_cast<__mmask16>(~a.v)}; }
QUANTD_LANE bool Any(M16x a) { return a.v != 0; }
QUANTD_LANE uint32_t LaneBits(M16x a) { return a.v; }
QUANTD_LANE F16x Select(M16x m, F16x yes, F16x no) { return {_mm512_mask_blend_ps(m.v, no.v, yes.v)}; }
QUANTD_LANE I16x Select(M16x m, I16x yes, I16x no) {
  return {_mm512_mask_blend_epi32(m.v, no.v, yes.v)};
}
// Only the lanes of m change.
QUANTD_LANE void StoreWhere(M16x m, F16x value, F16x& into) {
  _mm512_mask_store_ps(&into.v, m.v, value.v);
}

}  // namespace
}  // namespace quantd
