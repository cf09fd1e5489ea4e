// The vector operations of kernel-inl.h on AArch64's NEON: 4 lanes of 32 bits. vec_scalar.h says what each one means.
#pragma once

#include <arm_neon.h>
#include <stdint.h>

#define INITIUM_INLINE static inline __attribute__((always_inline))

namespace initium {
namespace {

constexpr int LANES = 4;
constexpr int LOOKUP_PARTS = 4;  // a table instruction reads 16 octaves, or 8 at less cost

using Bits = uint32x4_t;
using Float = float32x4_t;

struct Wide {
  uint32x4_t value;  // multiplied two and two: no other arrangement is needed
};

INITIUM_INLINE Bits bits(uint32_t x) { return vdupq_n_u32(x); }
INITIUM_INLINE Bits iota() {
  const uint32_t lanes[4] = {0, 1, 2, 3};
  return vld1q_u32(lanes);
}
INITIUM_INLINE Bits add(Bits a, Bits b) { return vaddq_u32(a, b); }
INITIUM_INLINE Bits subtract(Bits a, Bits b) { return vsubq_u32(a, b); }
INITIUM_INLINE Bits bit_and(Bits a, Bits b) { return vandq_u32(a, b); }
INITIUM_INLINE Bits bit_or(Bits a, Bits b) { return vorrq_u32(a, b); }
INITIUM_INLINE Bits bit_xor(Bits a, Bits b) { return veorq_u32(a, b); }
INITIUM_INLINE Bits bit_not(Bits a) { return vmvnq_u32(a); }
INITIUM_INLINE Bits either(Bits mask, Bits a, Bits b) { return vbslq_u32(mask, a, b); }
template <int n>
INITIUM_INLINE Bits shift_right(Bits a) {
  return vshrq_n_u32(a, n);
}
INITIUM_INLINE Bits sign_mask(Bits a) { return vreinterpretq_u32_s32(vshrq_n_s32(vreinterpretq_s32_u32(a), 31)); }
INITIUM_INLINE Bits clamp_signed(Bits a, int32_t low, int32_t high) {
  return vreinterpretq_u32_s32(vmaxq_s32(vminq_s32(vreinterpretq_s32_u32(a), vdupq_n_s32(high)), vdupq_n_s32(low)));
}

INITIUM_INLINE Wide wide(uint32_t x) { return {bits(x)}; }
INITIUM_INLINE Wide widen(Bits a) { return {a}; }
INITIUM_INLINE Bits narrow(Wide a) { return a.value; }
INITIUM_INLINE void multiply(Wide a, Wide b, Wide &high, Wide &low) {
  const Bits first = vreinterpretq_u32_u64(vmull_u32(vget_low_u32(a.value), vget_low_u32(b.value)));
  const Bits second = vreinterpretq_u32_u64(vmull_high_u32(a.value, b.value));
  high = {vuzp2q_u32(first, second)};
  low = {vuzp1q_u32(first, second)};
}
INITIUM_INLINE Bits multiply_high(Bits a, Bits b) {
  Wide high, low;
  multiply(widen(a), widen(b), high, low);
  return narrow(high);
}
INITIUM_INLINE Wide xor3(Wide a, Wide b, Wide c) { return {veorq_u32(veorq_u32(a.value, b.value), c.value)}; }

INITIUM_INLINE Float number(float x) { return vdupq_n_f32(x); }
INITIUM_INLINE Float as_float(Bits a) { return vreinterpretq_f32_u32(a); }
INITIUM_INLINE Bits as_bits(Float a) { return vreinterpretq_u32_f32(a); }
INITIUM_INLINE Float from_signed(Bits a) { return vcvtq_f32_s32(vreinterpretq_s32_u32(a)); }
INITIUM_INLINE Float add(Float a, Float b) { return vaddq_f32(a, b); }
INITIUM_INLINE Float subtract(Float a, Float b) { return vsubq_f32(a, b); }
INITIUM_INLINE Float multiply(Float a, Float b) { return vmulq_f32(a, b); }
// Not vmaxq and vminq, which order -0 below +0: equal values stay as they are.
INITIUM_INLINE Float at_least(Float a, Float low) { return vbslq_f32(vcltq_f32(a, low), low, a); }
INITIUM_INLINE Float at_most(Float a, Float high) { return vbslq_f32(vcgtq_f32(a, high), high, a); }
INITIUM_INLINE Bits where_nan(Float a, Bits then, Bits otherwise) { return vbslq_u32(vceqq_f32(a, a), otherwise, then); }

template <int bit>
INITIUM_INLINE bool all_have(Bits octave) {
  return vminvq_u32(vandq_u32(octave, bits(1u << bit))) != 0;
}
INITIUM_INLINE uint8x16x4_t half_row(const float *row) { return vld1q_u8_x4(reinterpret_cast<const uint8_t *>(row)); }
INITIUM_INLINE uint8x16x2_t quarter_row(const float *row) { return vld1q_u8_x2(reinterpret_cast<const uint8_t *>(row)); }
// The table instructions read bytes: octave e is bytes 4 e … 4 e + 3. Out of range gives 0, or leaves what was there.
template <int part>
INITIUM_INLINE Float lookup(const float *row, Bits octave) {
  const uint8x16_t byte = vreinterpretq_u8_u32(vmlaq_u32(bits(0x03020100u), octave, bits(0x04040404u)));
  if (part == 4) return vreinterpretq_f32_u8(vqtbl2q_u8(quarter_row(row + 24), vsubq_u8(byte, vdupq_n_u8(96))));
  const uint8x16_t upper_byte = vsubq_u8(byte, vdupq_n_u8(64));
  if (part == 2) return vreinterpretq_f32_u8(vqtbl4q_u8(half_row(row + 16), upper_byte));
  return vreinterpretq_f32_u8(vqtbx4q_u8(vqtbl4q_u8(half_row(row), byte), half_row(row + 16), upper_byte));
}

INITIUM_INLINE void store(uint32_t *out, Bits a) { vst1q_u32(out, a); }
INITIUM_INLINE void store(float *out, Float a) { vst1q_f32(out, a); }
INITIUM_INLINE float64x2_t kept(float64x2_t a, float64x2_t low, float64x2_t high) {
  a = vbslq_f64(vcltq_f64(a, low), low, a);
  return vbslq_f64(vcgtq_f64(a, high), high, a);
}
INITIUM_INLINE void store(double *out, Float a, double low, double high) {
  const float64x2_t least = vdupq_n_f64(low), most = vdupq_n_f64(high);
  vst1q_f64(out, kept(vcvt_f64_f32(vget_low_f32(a)), least, most));
  vst1q_f64(out + 2, kept(vcvt_high_f64_f32(a), least, most));
}
INITIUM_INLINE void store_half(uint16_t *out, Float a) { vst1_u16(out, vreinterpret_u16_f16(vcvt_f16_f32(a))); }
INITIUM_INLINE void store_upper_half(uint16_t *out, Bits a) { vst1_u16(out, vshrn_n_u32(a, 16)); }

}  // namespace
}  // namespace initium
