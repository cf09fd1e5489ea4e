// The vector operations of kernel-inl.h in plain C++, one lane: what every target falls back to, and what each operation means.
//
// Everything has internal linkage and nothing comes from the standard library: an inline function shared between files compiled
// for different instruction sets may be linked from the one this CPU lacks.
#pragma once

#include <stdint.h>
#include <string.h>

#if defined(_MSC_VER)
#define INITIUM_INLINE static __forceinline
#else
#define INITIUM_INLINE static inline __attribute__((always_inline))
#endif

namespace initium {
namespace {

constexpr int LANES = 1;             // divides 16
constexpr int LOOKUP_PARTS = 1;  // looking octaves up in the upper half (2) or also quarter (4) of the table alone is cheaper

using Bits = uint32_t;  // LANES unsigned integers
using Float = float;    // LANES fp32

// LANES unsigned integers, arranged so that they can be multiplied to 64 bits.
struct Wide {
  uint32_t value;
};

INITIUM_INLINE Bits bits(uint32_t x) { return x; }  // x in each lane
INITIUM_INLINE Bits iota() { return 0; }            // 0, 1, 2, … LANES - 1
INITIUM_INLINE Bits add(Bits a, Bits b) { return a + b; }
INITIUM_INLINE Bits subtract(Bits a, Bits b) { return a - b; }
INITIUM_INLINE Bits bit_and(Bits a, Bits b) { return a & b; }
INITIUM_INLINE Bits bit_or(Bits a, Bits b) { return a | b; }
INITIUM_INLINE Bits bit_xor(Bits a, Bits b) { return a ^ b; }
INITIUM_INLINE Bits bit_not(Bits a) { return ~a; }
INITIUM_INLINE Bits either(Bits mask, Bits a, Bits b) { return (a & mask) | (b & ~mask); }  // bits of a where mask has ones
template <int n>
INITIUM_INLINE Bits shift_right(Bits a) {
  return a >> n;
}
INITIUM_INLINE Bits sign_mask(Bits a) { return 0u - (a >> 31); }  // all ones where the top bit is set
INITIUM_INLINE Bits clamp_signed(Bits a, int32_t low, int32_t high) {
  const int32_t x = static_cast<int32_t>(a);
  return static_cast<Bits>(x < low ? low : x > high ? high : x);
}

INITIUM_INLINE Wide wide(uint32_t x) { return {x}; }
INITIUM_INLINE Wide widen(Bits a) { return {a}; }
INITIUM_INLINE Bits narrow(Wide a) { return a.value; }
INITIUM_INLINE void multiply(Wide a, Wide b, Wide &high, Wide &low) {  // the two halves of the 64-bit products
  const uint64_t product = static_cast<uint64_t>(a.value) * b.value;
  high = {static_cast<uint32_t>(product >> 32)};
  low = {static_cast<uint32_t>(product)};
}
INITIUM_INLINE Bits multiply_high(Bits a, Bits b) { return static_cast<uint32_t>(static_cast<uint64_t>(a) * b >> 32); }
INITIUM_INLINE Wide xor3(Wide a, Wide b, Wide c) { return {a.value ^ b.value ^ c.value}; }

INITIUM_INLINE Float number(float x) { return x; }
INITIUM_INLINE Float as_float(Bits a) {
  float x;
  memcpy(&x, &a, 4);
  return x;
}
INITIUM_INLINE Bits as_bits(Float a) {
  uint32_t x;
  memcpy(&x, &a, 4);
  return x;
}
INITIUM_INLINE Float from_signed(Bits a) { return static_cast<float>(static_cast<int32_t>(a)); }  // rounded to nearest even
INITIUM_INLINE Float add(Float a, Float b) { return a + b; }
INITIUM_INLINE Float subtract(Float a, Float b) { return a - b; }
INITIUM_INLINE Float multiply(Float a, Float b) { return a * b; }
INITIUM_INLINE Float at_least(Float a, Float low) { return a < low ? low : a; }  // ±0 and NaN stay as they are
INITIUM_INLINE Float at_most(Float a, Float high) { return a > high ? high : a; }
INITIUM_INLINE Bits where_nan(Float a, Bits then, Bits otherwise) { return a != a ? then : otherwise; }

template <int bit>
INITIUM_INLINE bool all_have(Bits) {  // whether that bit is set in every lane; may say no where LOOKUP_PARTS is 1
  return false;
}
template <int part>
INITIUM_INLINE Float lookup(const float *row, Bits octave) {  // octaves are all in the upper half (part 2), in the upper quarter (4)
  return row[octave];
}

INITIUM_INLINE void store(uint32_t *out, Bits a) { *out = a; }
INITIUM_INLINE void store(float *out, Float a) { *out = a; }
INITIUM_INLINE void store(double *out, Float a, double low, double high) {  // widened, then kept in [low, high]
  const double x = a;
  *out = x < low ? low : x > high ? high : x;
}
INITIUM_INLINE void store_half(uint16_t *out, Float a) {  // IEEE fp16, rounded to nearest even
  const uint32_t x = as_bits(a), sign = x >> 16 & 0x8000, magnitude = x & 0x7FFFFFFF;
  uint32_t half;
  if (magnitude > 0x7F800000) {
    half = 0x7E00 | (magnitude >> 13 & 0x3FF);
  } else if (magnitude >= 0x477FF000) {  // 65520: the first that rounds to infinity
    half = 0x7C00;
  } else if (magnitude >= 0x38800000) {  // 2^-14: normal
    half = (magnitude - 0x38000000 + 0x0FFF + (magnitude >> 13 & 1)) >> 13;
  } else {  // in units of 2^-24, the adder rounds: 0.5f has a last place of 2^-24
    half = as_bits(as_float(magnitude) + 0.5f) - 0x3F000000;
  }
  *out = static_cast<uint16_t>(sign | half);
}
INITIUM_INLINE void store_upper_half(uint16_t *out, Bits a) { *out = static_cast<uint16_t>(a >> 16); }

}  // namespace
}  // namespace initium
