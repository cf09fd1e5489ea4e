// The vector operations of kernel-inl.h on AVX-512F: 16 lanes of 32 bits. vec_scalar.h says what each one means.
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

constexpr int LANES = 16;
constexpr int LOOKUP_PARTS = 1;  // one permute reads all 32 octaves

using Bits = __m512i;
using Float = __m512;

// LANES 32-bit values in 64-bit lanes, those of even index and those of odd; what stands above them does not matter.
struct Wide {
  __m512i even, odd;
};

INITIUM_INLINE Bits bits(uint32_t x) { return _mm512_set1_epi32(static_cast<int>(x)); }
INITIUM_INLINE Bits iota() { return _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15); }
INITIUM_INLINE Bits add(Bits a, Bits b) { return _mm512_add_epi32(a, b); }
INITIUM_INLINE Bits subtract(Bits a, Bits b) { return _mm512_sub_epi32(a, b); }
INITIUM_INLINE Bits bit_and(Bits a, Bits b) { return _mm512_and_si512(a, b); }
INITIUM_INLINE Bits bit_or(Bits a, Bits b) { return _mm512_or_si512(a, b); }
INITIUM_INLINE Bits bit_xor(Bits a, Bits b) { return _mm512_xor_si512(a, b); }
INITIUM_INLINE Bits bit_not(Bits a) { return _mm512_xor_si512(a, _mm512_set1_epi32(-1)); }
INITIUM_INLINE Bits either(Bits mask, Bits a, Bits b) { return _mm512_ternarylogic_epi32(mask, a, b, 0xCA); }
template <int n>
INITIUM_INLINE Bits shift_right(Bits a) {
  return _mm512_srli_epi32(a, n);
}
INITIUM_INLINE Bits sign_mask(Bits a) { return _mm512_srai_epi32(a, 31); }
INITIUM_INLINE Bits clamp_signed(Bits a, int32_t low, int32_t high) {
  return _mm512_max_epi32(_mm512_min_epi32(a, _mm512_set1_epi32(high)), _mm512_set1_epi32(low));
}

INITIUM_INLINE Wide wide(uint32_t x) { return {bits(x), bits(x)}; }
INITIUM_INLINE Wide widen(Bits a) { return {a, _mm512_srli_epi64(a, 32)}; }
INITIUM_INLINE Bits narrow(Wide a) { return _mm512_mask_blend_epi32(0xAAAA, a.even, _mm512_slli_epi64(a.odd, 32)); }
INITIUM_INLINE void multiply(Wide a, Wide b, Wide &high, Wide &low) {
  low = {_mm512_mul_epu32(a.even, b.even), _mm512_mul_epu32(a.odd, b.odd)};
  high = {_mm512_srli_epi64(low.even, 32), _mm512_srli_epi64(low.odd, 32)};
}
INITIUM_INLINE Bits multiply_high(Bits a, Bits b) {
  const __m512i even = _mm512_mul_epu32(a, b), odd = _mm512_mul_epu32(_mm512_srli_epi64(a, 32), _mm512_srli_epi64(b, 32));
  return _mm512_mask_blend_epi32(0xAAAA, _mm512_srli_epi64(even, 32), odd);
}
INITIUM_INLINE Wide xor3(Wide a, Wide b, Wide c) {
  return {_mm512_ternarylogic_epi32(a.even, b.even, c.even, 0x96), _mm512_ternarylogic_epi32(a.odd, b.odd, c.odd, 0x96)};
}

INITIUM_INLINE Float number(float x) { return _mm512_set1_ps(x); }
INITIUM_INLINE Float as_float(Bits a) { return _mm512_castsi512_ps(a); }
INITIUM_INLINE Bits as_bits(Float a) { return _mm512_castps_si512(a); }
INITIUM_INLINE Float from_signed(Bits a) { return _mm512_cvtepi32_ps(a); }
INITIUM_INLINE Float add(Float a, Float b) { return _mm512_add_ps(a, b); }
INITIUM_INLINE Float subtract(Float a, Float b) { return _mm512_sub_ps(a, b); }
INITIUM_INLINE Float multiply(Float a, Float b) { return _mm512_mul_ps(a, b); }
// The second operand is what the instruction gives for two equal ones (±0) and for a NaN.
INITIUM_INLINE Float at_least(Float a, Float low) { return _mm512_max_ps(low, a); }
INITIUM_INLINE Float at_most(Float a, Float high) { return _mm512_min_ps(high, a); }

INITIUM_INLINE Bits where_nan(Float a, Bits then, Bits otherwise) {
  return _mm512_mask_mov_epi32(otherwise, _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q), then);
}

template <int bit>
INITIUM_INLINE bool all_have(Bits) {
  return false;
}
template <int part>
INITIUM_INLINE Float lookup(const float *row, Bits octave) {
  return _mm512_permutex2var_ps(_mm512_loadu_ps(row), octave, _mm512_loadu_ps(row + 16));
}

INITIUM_INLINE void store(uint32_t *out, Bits a) { _mm512_storeu_si512(out, a); }
INITIUM_INLINE void store(float *out, Float a) { _mm512_storeu_ps(out, a); }
INITIUM_INLINE void store(double *out, Float a, double low, double high) {
  const __m512d least = _mm512_set1_pd(low), most = _mm512_set1_pd(high);
  const __m256 upper = _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(a), 1));
  _mm512_storeu_pd(out, _mm512_min_pd(most, _mm512_max_pd(least, _mm512_cvtps_pd(_mm512_castps512_ps256(a)))));
  _mm512_storeu_pd(out + 8, _mm512_min_pd(most, _mm512_max_pd(least, _mm512_cvtps_pd(upper))));
}
INITIUM_INLINE void store_half(uint16_t *out, Float a) {
  _mm256_storeu_si256(reinterpret_cast<__m256i *>(out), _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
INITIUM_INLINE void store_upper_half(uint16_t *out, Bits a) {
  _mm256_storeu_si256(reinterpret_cast<__m256i *>(out), _mm512_cvtepi32_epi16(_mm512_srli_epi32(a, 16)));
}

}  // namespace
}  // namespace initium
