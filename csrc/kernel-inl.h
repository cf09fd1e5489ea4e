// The algorithm, once: stream contract version 1 (src/initium/_stream.py, same order of operations) over the operations of a
// vec_*.h, which a target_*.cpp includes before this file and compiles for its instruction set.
//
// fp32 operations are written one by one and must be rounded one by one: compile with -ffp-contract=off, never -ffast-math.

#include <float.h>
#include <stddef.h>

#include "normal_table.h"
#include "target.h"

#if defined(__FAST_MATH__)
#error "the stream contract needs IEEE arithmetic: compile without -ffast-math"
#endif
static_assert(FLT_EVAL_METHOD == 0, "the stream contract needs fp32 operations rounded to fp32");

#if defined(_MSC_VER)
#define INITIUM_MEMBER __forceinline
#define INITIUM_NOINLINE __declspec(noinline)
#else
#define INITIUM_MEMBER inline __attribute__((always_inline))
#define INITIUM_NOINLINE __attribute__((noinline))
#endif

namespace initium {
namespace {

constexpr int COUNTERS = 16;  // to a block
constexpr int BLOCK = 64;     // elements: the four words of 16 counters
constexpr uint64_t BLOCKS_TO_A_CARRY = (1ull << 32) / COUNTERS;
constexpr int TOGETHER = 4;   // vectors whose values are worked out side by side
constexpr int GROUPS = COUNTERS / LANES, VECTORS = BLOCK / LANES;

// A stream's constants in registers: the ten round keys and the upper half of the counter.
struct Stream {
  Wide k0[10], k1[10], c2, c3;
  INITIUM_MEMBER explicit Stream(const uint32_t (&key)[4]) : c2(wide(key[2])), c3(wide(key[3])) {
    for (uint32_t round = 0; round < 10; ++round) {
      k0[round] = wide(key[0] + round * 0x9E3779B9u);
      k1[round] = wide(key[1] + round * 0xBB67AE85u);
    }
  }
};

// Philox4x32-10 (Salmon et al. 2011) for LANES counters, whose lower words go on from `low` and whose upper word is `high`;
// the four words they give are GROUPS vectors apart.
INITIUM_INLINE void philox(const Stream &stream, uint32_t low, Wide high, Bits *word) {
  const Wide m0 = wide(0xD2511F53u), m1 = wide(0xCD9E8D57u);
  Wide c0 = widen(add(bits(low), iota())), c1 = high, c2 = stream.c2, c3 = stream.c3;
  for (int round = 0; round < 10; ++round) {
    Wide high0, low0, high1, low1;
    multiply(c0, m0, high0, low0);
    multiply(c2, m1, high1, low1);
    c0 = xor3(high1, c1, stream.k0[round]);
    c1 = low1;
    c2 = xor3(high0, c3, stream.k1[round]);
    c3 = low0;
  }
  word[0 * GROUPS] = narrow(c0);
  word[1 * GROUPS] = narrow(c1);
  word[2 * GROUPS] = narrow(c2);
  word[3 * GROUPS] = narrow(c3);
}

// ---- words -> values, TOGETHER vectors at a time: a polynomial is one long chain, and several hide each other's latency

// `part`: the coefficients are looked up among all octaves (1), their upper half (2) or their upper quarter (4).
template <int part>
INITIUM_INLINE void horner(const float (*table)[32], const Bits (&octave)[TOGETHER], const Float (&x)[TOGETHER],
                           Float (&y)[TOGETHER]) {
  for (int i = 0; i < TOGETHER; ++i) y[i] = lookup<part>(table[NORMAL_DEGREE], octave[i]);
  for (int degree = NORMAL_DEGREE - 1; degree >= 0; --degree)
    for (int i = 0; i < TOGETHER; ++i) y[i] = add(multiply(y[i], x[i]), lookup<part>(table[degree], octave[i]));
}

// The octave polynomial at 31-bit magnitudes: one rounding to fp32 gives the octave (exponent) and x in [-1, 1) (mantissa).
// Half of all magnitudes are of the highest octave, a quarter of the next: few vectors need more than a part of the table.
INITIUM_INLINE void polynomial(const float (*table)[32], const Bits (&magnitude)[TOGETHER], Float (&y)[TOGETHER]) {
  Bits octave[TOGETHER];
  Float x[TOGETHER];
  for (int i = 0; i < TOGETHER; ++i) {
    const Bits rounded = clamp_signed(as_bits(from_signed(magnitude[i])), 0x3F800000, 0x4EFFFFFF);
    octave[i] = subtract(shift_right<23>(rounded), bits(127));
    x[i] = subtract(as_float(bit_or(bit_and(rounded, bits(0x7FFFFF)), bits(0x40000000))), number(3.0f));
  }
  if (LOOKUP_PARTS > 1) {
    Bits common = octave[0];  // has bits 3 and 4 where all have them
    for (int i = 1; i < TOGETHER; ++i) common = bit_and(common, octave[i]);
    if (LOOKUP_PARTS > 2 && all_have<4>(common) && all_have<3>(common)) return horner<4>(table, octave, x, y);
    if (all_have<4>(common)) return horner<2>(table, octave, x, y);
  }
  return horner<1>(table, octave, x, y);
}

// A positive number with the top bit of `sign` for its sign.
INITIUM_INLINE Float with_sign(Float positive, Bits sign) { return as_float(either(bits(0x80000000u), sign, as_bits(positive))); }

// ---- laws. Each holds its numbers in registers, read from the caller's law once.

struct Affine {
  Float scale, shift, least, most;
  explicit Affine(const initium_law &law)
      : scale(number(law.scale)), shift(number(law.shift)), least(number(law.least)), most(number(law.most)) {}
  INITIUM_MEMBER Float free(Float base) const { return add(multiply(base, scale), shift); }
  INITIUM_MEMBER Float kept(Float base) const { return at_most(at_least(free(base), least), most); }
};

struct Words {
  using Value = Bits;
  explicit Words(const initium_law &) {}
  INITIUM_MEMBER void operator()(const Bits (&word)[TOGETHER], Bits (&value)[TOGETHER]) const {
    for (int i = 0; i < TOGETHER; ++i) value[i] = word[i];
  }
};

struct Uniform : Affine {
  using Value = Float;
  using Affine::Affine;
  INITIUM_MEMBER void operator()(const Bits (&word)[TOGETHER], Float (&value)[TOGETHER]) const {
    for (int i = 0; i < TOGETHER; ++i) {
      const Float u = multiply(from_signed(shift_right<8>(word[i])), number(0x1p-24f));
      value[i] = at_most(free(u), most);  // u * scale is not negative, so the sum is not below shift, which is least
    }
  }
};

struct Normal : Affine {
  using Value = Float;
  using Affine::Affine;
  INITIUM_MEMBER void operator()(const Bits (&word)[TOGETHER], Float (&value)[TOGETHER]) const {
    Bits magnitude[TOGETHER];
    for (int i = 0; i < TOGETHER; ++i) magnitude[i] = bit_and(word[i], bits(0x7FFFFFFF));
    polynomial(NORMAL_TABLE, magnitude, value);
    for (int i = 0; i < TOGETHER; ++i) value[i] = free(with_sign(value[i], word[i]));
  }
};

struct Truncated : Affine {
  using Value = Float;
  Bits lo, span, whole;
  explicit Truncated(const initium_law &law)
      : Affine(law),
        lo(bits(static_cast<uint32_t>(law.lo))),
        span(bits(static_cast<uint32_t>(law.span))),
        whole(bits(law.span >> 32 ? 0xFFFFFFFFu : 0u)) {}  // a span of 2^32 leaves the word as it is
  INITIUM_MEMBER void operator()(const Bits (&word)[TOGETHER], Float (&value)[TOGETHER]) const {
    Bits c[TOGETHER], magnitude[TOGETHER];
    for (int i = 0; i < TOGETHER; ++i) {
      c[i] = add(lo, bit_or(multiply_high(word[i], span), bit_and(word[i], whole)));
      magnitude[i] = bit_xor(c[i], sign_mask(c[i]));  // the upper half, which is the positive side, mirrored
    }
    polynomial(NORMAL_TABLE, magnitude, value);
    for (int i = 0; i < TOGETHER; ++i) value[i] = kept(with_sign(value[i], bit_not(c[i])));
  }
};

struct Tabulated : Affine {
  using Value = Float;
  const float (*table)[32];
  explicit Tabulated(const initium_law &law) : Affine(law), table(reinterpret_cast<const float (*)[32]>(law.table)) {}
  INITIUM_MEMBER void operator()(const Bits (&word)[TOGETHER], Float (&value)[TOGETHER]) const {
    Bits magnitude[TOGETHER];
    for (int i = 0; i < TOGETHER; ++i) magnitude[i] = shift_right<1>(word[i]);
    polynomial(table, magnitude, value);
    for (int i = 0; i < TOGETHER; ++i) value[i] = kept(value[i]);
  }
};

// ---- outputs: an fp32 value in the element's dtype, rounded once

struct AsWord {
  using Element = uint32_t;
  explicit AsWord(const initium_law &) {}
  INITIUM_MEMBER void put(uint32_t *out, Bits value) const { store(out, value); }
};

struct AsFloat {
  using Element = float;
  explicit AsFloat(const initium_law &) {}
  INITIUM_MEMBER void put(float *out, Float value) const { store(out, value); }
};

struct AsDouble {
  using Element = double;
  double low, high;
  explicit AsDouble(const initium_law &law) : low(law.low), high(law.high) {}
  INITIUM_MEMBER void put(double *out, Float value) const { store(out, value, low, high); }
};

struct AsHalf {
  using Element = uint16_t;
  explicit AsHalf(const initium_law &) {}
  INITIUM_MEMBER void put(uint16_t *out, Float value) const { store_half(out, value); }
};

struct AsBfloat {
  using Element = uint16_t;
  explicit AsBfloat(const initium_law &) {}
  INITIUM_MEMBER void put(uint16_t *out, Float value) const {
    const Bits x = as_bits(value), even = bit_and(shift_right<16>(x), bits(1));
    store_upper_half(out, where_nan(value, bits(0x7FC00000), add(x, add(bits(0x7FFF), even))));
  }
};

// ---- blocks -> parts of a job

// `count` whole blocks from block `first` on, to contiguous memory.
template <class Law, class As>
INITIUM_NOINLINE void blocks(const initium_law &law, const uint32_t (&key)[4], uint64_t first, uint64_t count,
                             typename As::Element *out) {
  const Law value(law);
  const As as(law);
  const Stream stream(key);
  const uint64_t end = first + count;
  while (first != end) {
    // As far as the counter's upper word stays: what Philox makes of it alone leaves the loop.
    const Wide high = wide(static_cast<uint32_t>(first / BLOCKS_TO_A_CARRY));
    const uint64_t carry = (first / BLOCKS_TO_A_CARRY + 1) * BLOCKS_TO_A_CARRY, stop = carry < end ? carry : end;
    for (; first != stop; ++first, out += BLOCK) {
      Bits word[VECTORS];
      for (int group = 0; group < GROUPS; ++group)
        philox(stream, static_cast<uint32_t>(first * COUNTERS) + static_cast<uint32_t>(group * LANES), high, word + group);
      for (int vector = 0; vector < VECTORS; vector += TOGETHER) {
        Bits some[TOGETHER];
        typename Law::Value drawn[TOGETHER];
        for (int i = 0; i < TOGETHER; ++i) some[i] = word[vector + i];
        value(some, drawn);
        for (int i = 0; i < TOGETHER; ++i) as.put(out + (vector + i) * LANES, drawn[i]);
      }
    }
  }
}

// One row's pieces; a block that is not written whole is drawn here, and kept for the next row, which may go on in it.
template <class Law, class As>
struct Run {
  using Element = typename As::Element;
  const initium_law &law;
  uint32_t key[4];
  int64_t step;
  uint64_t held = ~0ull;
  Element buffer[BLOCK];

  Run(const initium_law &law, const initium_job &job)
      : law(law),
        key{static_cast<uint32_t>(job.k0), static_cast<uint32_t>(job.k1), static_cast<uint32_t>(job.c2),
            static_cast<uint32_t>(job.c3)},
        step(job.step) {}

  void fill(Element *out, uint64_t address, uint64_t count) {
    while (count) {
      const uint64_t block = address / BLOCK, offset = address % BLOCK;
      uint64_t done = BLOCK - offset < count ? BLOCK - offset : count;
      if (step == 1 && done == BLOCK) {
        done = count - count % BLOCK;
        blocks<Law, As>(law, key, block, done / BLOCK, out);
      } else {
        if (held != block) blocks<Law, As>(law, key, block, 1, buffer);
        held = block;
        for (uint64_t i = 0; i < done; ++i) out[static_cast<int64_t>(i) * step] = buffer[offset + i];
      }
      out += static_cast<int64_t>(done) * step;
      address += done;
      count -= done;
    }
  }
};

// Where the rows lie closer together in memory than a row's elements, columns are taken a few at a time, so that the lines
// of memory they share are still in the cache when the next row comes to them.
constexpr int64_t TILE = 256;

INITIUM_INLINE int64_t magnitude(int64_t x) { return x < 0 ? -x : x; }

template <class Law, class As>
void fill(const initium_job &job, const initium_law &law, const Part &part) {
  using Element = typename As::Element;
  Run<Law, As> run(law, job);
  const bool interleaved = part.rows > 1 && magnitude(job.row_step) < magnitude(job.step);
  const int64_t tile = interleaved ? TILE : part.columns;
  for (int64_t from = 0; from < part.columns; from += tile) {
    const int64_t column = part.column + from, width = part.columns - from < tile ? part.columns - from : tile;
    for (int64_t row = part.row; row < part.row + part.rows; ++row)
      run.fill(static_cast<Element *>(job.out) + row * job.row_step + column * job.step,
               static_cast<uint64_t>(job.start + row * job.stride + column), static_cast<uint64_t>(width));
  }
}

template <class Element>
void fill_constant(const initium_job &job, const initium_law &law, const Part &part) {
  const Element value = static_cast<Element>(law.bits);
  for (int64_t row = part.row; row < part.row + part.rows; ++row) {
    Element *out = static_cast<Element *>(job.out) + row * job.row_step + part.column * job.step;
    if (job.step == 1)
      for (int64_t i = 0; i < part.columns; ++i) out[i] = value;
    else
      for (int64_t i = 0; i < part.columns; ++i) out[i * job.step] = value;
  }
}

void block_of_words(uint64_t counter, const uint32_t key[4], uint32_t words[64]) {
  const uint32_t copy[4] = {key[0], key[1], key[2], key[3]};
  blocks<Words, AsWord>(initium_law(), copy, counter / COUNTERS, 1, words);
}

}  // namespace

#define INITIUM_FILLS(law) {fill<law, AsFloat>, fill<law, AsDouble>, fill<law, AsHalf>, fill<law, AsBfloat>, nullptr}
#define INITIUM_DEFINE_TARGET(identifier, name)                                                                     \
  const Target identifier = {                                                                                       \
      name,                                                                                                         \
      {{fill_constant<uint32_t>, fill_constant<uint64_t>, fill_constant<uint16_t>, fill_constant<uint16_t>,         \
        fill_constant<uint32_t>},                                                                                   \
       {nullptr, nullptr, nullptr, nullptr, fill<Words, AsWord>},                                                   \
       INITIUM_FILLS(Uniform),                                                                                      \
       INITIUM_FILLS(Normal),                                                                                       \
       INITIUM_FILLS(Truncated),                                                                                    \
       INITIUM_FILLS(Tabulated)},                                                                                   \
      block_of_words}

}  // namespace initium
