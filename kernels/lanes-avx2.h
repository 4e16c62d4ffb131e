// Eight lanes: AVX2. Included by lanes.h alone.
#include <immintrin.h>

namespace quantd {
namespace {

// All bits of a lane are set where it is true.
template <>
struct Mask<8> {
  __m256 v;
};
template <>
struct Int<8> {
  __m256i v;
  QUANTD_LANE static Int Set(int32_t value) { return {_mm256_set1_epi32(value)}; }
  QUANTD_LANE static Int Load(const int32_t* from) {
    return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from))};
  }
  QUANTD_LANE void Store(int32_t* into) const {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(into), v);
  }
};
template <>
struct Float<8> {
  __m256 v;
  QUANTD_LANE static Float Set(float value) { return {_mm256_set1_ps(value)}; }
  QUANTD_LANE static Float Load(const float* from) { return {_mm256_loadu_ps(from)}; }
  QUANTD_LANE void Store(float* into) const { _mm256_storeu_ps(into, v); }
};

using F8x = Float<8>;
using I8x = Int<8>;
using M8x = Mask<8>;

QUANTD_LANE F8x operator+(F8x a, F8x b) { return {_mm256_add_ps(a.v, b.v)}; }
QUANTD_LANE F8x operator-(F8x a, F8x b) { return {_mm256_sub_ps(a.v, b.v)}; }
QUANTD_LANE F8x operator*(F8x a, F8x b) { return {_mm256_mul_ps(a.v, b.v)}; }
QUANTD_LANE F8x operator/(F8x a, F8x b) { return {_mm256_div_ps(a.v, b.v)}; }
QUANTD_LANE M8x operator<(F8x a, F8x b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_LT_OQ)}; }
QUANTD_LANE M8x operator<=(F8x a, F8x b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_LE_OQ)}; }
QUANTD_LANE M8x operator>(F8x a, F8x b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_GT_OQ)}; }
QUANTD_LANE M8x operator>=(F8x a, F8x b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_GE_OQ)}; }
QUANTD_LANE M8x operator==(F8x a, F8x b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_EQ_OQ)}; }
QUANTD_LANE F8x Sqrt(F8x a) { return {_mm256_sqrt_ps(a.v)}; }
QUANTD_LANE F8x Min(F8x a, F8x b) { return {_mm256_min_ps(a.v, b.v)}; }
QUANTD_LANE F8x Max(F8x a, F8x b) { return {_mm256_max_ps(a.v, b.v)}; }

QUANTD_LANE I8x Bits(F8x a) { return {_mm256_castps_si256(a.v)}; }
QUANTD_LANE F8x FromBits(I8x a) { return {_mm256_castsi256_ps(a.v)}; }
QUANTD_LANE F8x ToFloat(I8x a) { return {_mm256_cvtepi32_ps(a.v)}; }
QUANTD_LANE I8x Truncate(F8x a) { return {_mm256_cvttps_epi32(a.v)}; }
QUANTD_LANE I8x operator+(I8x a, I8x b) { return {_mm256_add_epi32(a.v, b.v)}; }
QUANTD_LANE I8x operator-(I8x a, I8x b) { return {_mm256_sub_epi32(a.v, b.v)}; }
QUANTD_LANE I8x operator*(I8x a, I8x b) { return {_mm256_mullo_epi32(a.v, b.v)}; }
QUANTD_LANE I8x operator&(I8x a, I8x b) { return {_mm256_and_si256(a.v, b.v)}; }
QUANTD_LANE I8x operator|(I8x a, I8x b) { return {_mm256_or_si256(a.v, b.v)}; }
QUANTD_LANE I8x operator^(I8x a, I8x b) { return {_mm256_xor_si256(a.v, b.v)}; }
template <int kBits>
QUANTD_LANE I8x ShiftLeft(I8x a) {
  return {_mm256_slli_epi32(a.v, kBits)};
}
template <int kBits>
QUANTD_LANE I8x ShiftRight(I8x a) {
  return {_mm256_srli_epi32(a.v, kBits)};
}
QUANTD_LANE I8x Min(I8x a, I8x b) { return {_mm256_min_epi32(a.v, b.v)}; }
QUANTD_LANE I8x Max(I8x a, I8x b) { return {_mm256_max_epi32(a.v, b.v)}; }
QUANTD_LANE M8x operator==(I8x a, I8x b) {
  return {_mm256_castsi256_ps(_mm256_cmpeq_epi32(a.v, b.v))};
}
QUANTD_LANE M8x operator>(I8x a, I8x b) {
  return {_mm256_castsi256_ps(_mm256_cmpgt_epi32(a.v, b.v))};
}
QUANTD_LANE I8x Gather(const int32_t* from, I8x index) {
  return {_mm256_i32gather_epi32(from, index.v, 4)};
}
QUANTD_LANE F8x Gather(const float* from, I8x index) {
  return {_mm256_i32gather_ps(from, index.v, 4)};
}

QUANTD_LANE M8x operator&(M8x a, M8x b) { return {_mm256_and_ps(a.v, b.v)}; }
QUANTD_LANE M8x operator|(M8x a, M8x b) { return {_mm256_or_ps(a.v, b.v)}; }
QUANTD_LANE M8x operator~(M8x a) {
  return {_mm256_xor_ps(a.v, _mm256_castsi256_ps(_mm256_set1_epi32(-1)))};
}
QUANTD_LANE bool Any(M8x a) { return _mm256_movemask_ps(a.v) != 0; }
QUANTD_LANE uint32_t LaneBits(M8x a) { return static_cast<uint32_t>(_mm256_movemask_ps(a.v)); }
QUANTD_LANE F8x Select(M8x m, F8x yes, F8x no) { return {_mm256_blendv_ps(no.v, yes.v, m.v)}; }
QUANTD_LANE I8x Select(M8x m, I8x yes, I8x no) {
  return {_mm256_castps_si256(
      _mm256_blendv_ps(_mm256_castsi256_ps(no.v), _mm256_castsi256_ps(yes.v), m.v))};
}

}  // namespace
}  // namespace quantd
