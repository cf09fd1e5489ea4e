// The vector operations of kernel-inl.h on AVX2 and F16C: 8 lanes of 32 bits. vec_scalar.h says what each one means.
#pragma once

#include <immintrin.h>
#include <stdint.h>

#if defined(_MSC_VER)
#define INITIUM_INLINE static __forceinline
#else
#define INITIUM_INLINE static inline __attribute__((always_inline))
#endif

namespace initium {
namespace {

constexpr int LANES = 8;
constexpr int LOOKUP_PARTS = 4;  // 4 permutes and 3 blends for 32 octaves, 2 and 1 for the upper 16, 1 for the upper 8

using Bits = __m256i;
using Float = __m256;

// LANES 32-bit values in 64-bit lanes, those of even index and those of odd; what stands above them does not matter.
struct Wide {
  __m256i even, odd;
};

INITIUM_INLINE Bits bits(uint32_t x) { return _mm256_set1_epi32(static_cast<int>(x)); }
INITIUM_INLINE Bits iota() { return _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7); }
INITIUM_INLINE Bits add(Bits a, Bits b) { return _mm256_add_epi32(a, b); }
INITIUM_INLINE Bits subtract(Bits a, Bits b) { return _mm256_sub_epi32(a, b); }
INITIUM_INLINE Bits bit_and(Bits a, Bits b) { return _mm256_and_si256(a, b); }
INITIUM_INLINE Bits bit_or(Bits a, Bits b) { return _mm256_or_si256(a, b); }
INITIUM_INLINE Bits bit_xor(Bits a, Bits b) { return _mm256_xor_si256(a, b); }
INITIUM_INLINE Bits bit_not(Bits a) { return _mm256_xor_si256(a, _mm256_set1_epi32(-1)); }
INITIUM_INLINE Bits either(Bits mask, Bits a, Bits b) { return bit_or(bit_and(mask, a), _mm256_andnot_si256(mask, b)); }
template <int n>
INITIUM_INLINE Bits shift_right(Bits a) {
  return _mm256_srli_epi32(a, n);
}
INITIUM_INLINE Bits sign_mask(Bits a) { return _mm256_srai_epi32(a, 31); }
INITIUM_INLINE Bits clamp_signed(Bits a, int32_t low, int32_t high) {
  return _mm256_max_epi32(_mm256_min_epi32(a, _mm256_set1_epi32(high)), _mm256_set1_epi32(low));
}

INITIUM_INLINE Wide wide(uint32_t x) { return {bits(x), bits(x)}; }
INITIUM_INLINE Wide widen(Bits a) { return {a, _mm256_srli_epi64(a, 32)}; }
INITIUM_INLINE Bits narrow(Wide a) { return _mm256_blend_epi32(a.even, _mm256_slli_epi64(a.odd, 32), 0xAA); }
INITIUM_INLINE void multiply(Wide a, Wide b, Wide &high, Wide &low) {
  low = {_mm256_mul_epu32(a.even, b.even), _mm256_mul_epu32(a.odd, b.odd)};
  high = {_mm256_srli_epi64(low.even, 32), _mm256_srli_epi64(low.odd, 32)};
}
INITIUM_INLINE Bits multiply_high(Bits a, Bits b) {
  const __m256i even = _mm256_mul_epu32(a, b), odd = _mm256_mul_epu32(_mm256_srli_epi64(a, 32), _mm256_srli_epi64(b, 32));
  return _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xAA);
}
INITIUM_INLINE Wide xor3(Wide a, Wide b, Wide c) {
  return {bit_xor(bit_xor(a.even, b.even), c.even), bit_xor(bit_xor(a.odd, b.odd), c.odd)};
}

INITIUM_INLINE Float number(float x) { return _mm256_set1_ps(x); }
INITIUM_INLINE Float as_float(Bits a) { return _mm256_castsi256_ps(a); }
INITIUM_INLINE Bits as_bits(Float a) { return _mm256_castps_si256(a); }
INITIUM_INLINE Float from_signed(Bits a) { return _mm256_cvtepi32_ps(a); }
INITIUM_INLINE Float add(Float a, Float b) { return _mm256_add_ps(a, b); }
INITIUM_INLINE Float subtract(Float a, Float b) { return _mm256_sub_ps(a, b); }
INITIUM_INLINE Float multiply(Float a, Float b) { return _mm256_mul_ps(a, b); }
// The second operand is what the instruction gives for two equal ones (±0) and for a NaN.
INITIUM_INLINE Float at_least(Float a, Float low) { return _mm256_max_ps(low, a); }
INITIUM_INLINE Float at_most(Float a, Float high) { return _mm256_min_ps(high, a); }
INITIUM_INLINE Bits where_nan(Float a, Bits then, Bits otherwise) {
  return as_bits(_mm256_blendv_ps(as_float(otherwise), as_float(then), _mm256_cmp_ps(a, a, _CMP_UNORD_Q)));
}

// Bits 3 and 4 of the octave, brought to the top, choose among the four quarters of a row.
template <int bit>
INITIUM_INLINE Float bit_on_top(Bits octave) {
  return as_float(_mm256_slli_epi32(octave, 31 - bit));
}
template <int bit>
INITIUM_INLINE bool all_have(Bits octave) {
  return _mm256_movemask_ps(bit_on_top<bit>(octave)) == 0xFF;
}
INITIUM_INLINE Float quarter_row(const float *row, Bits octave) {
  return _mm256_permutevar8x32_ps(_mm256_loadu_ps(row), octave);
}
INITIUM_INLINE Float half_row(const float *row, Bits octave) {
  return _mm256_blendv_ps(quarter_row(row, octave), quarter_row(row + 8, octave), bit_on_top<3>(octave));
}
template <int part>
INITIUM_INLINE Float lookup(const float *row, Bits octave) {
  if (part == 4) return quarter_row(row + 24, octave);
  if (part == 2) return half_row(row + 16, octave);
  return _mm256_blendv_ps(half_row(row, octave), half_row(row + 16, octave), bit_on_top<4>(octave));
}

INITIUM_INLINE void store(uint32_t *out, Bits a) { _mm256_storeu_si256(reinterpret_cast<__m256i *>(out), a); }
INITIUM_INLINE void store(float *out, Float a) { _mm256_storeu_ps(out, a); }
INITIUM_INLINE void store(double *out, Float a, double low, double high) {
  const __m256d least = _mm256_set1_pd(low), most = _mm256_set1_pd(high);
  const __m256d first = _mm256_cvtps_pd(_mm256_castps256_ps128(a)), second = _mm256_cvtps_pd(_mm256_extractf128_ps(a, 1));
  _mm256_storeu_pd(out, _mm256_min_pd(most, _mm256_max_pd(least, first)));
  _mm256_storeu_pd(out + 4, _mm256_min_pd(most, _mm256_max_pd(least, second)));
}
INITIUM_INLINE void store_half(uint16_t *out, Float a) {
  _mm_storeu_si128(reinterpret_cast<__m128i *>(out), _mm256_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT));
}
INITIUM_INLINE void store_upper_half(uint16_t *out, Bits a) {
  const Bits packed = _mm256_packus_epi32(_mm256_srli_epi32(a, 16), _mm256_setzero_si256());  // within each 128 bits
  _mm_storeu_si128(reinterpret_cast<__m128i *>(out), _mm256_castsi256_si128(_mm256_permute4x64_epi64(packed, 0x08)));
}

}  // namespace
}  // namespace initium
