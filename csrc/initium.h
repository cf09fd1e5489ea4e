/* The C interface of the native backend. Plain data in, bits out: no exceptions, no global state a caller can see.
 *
 * The numbers are those of the stream contract, version 1 (src/initium/_stream.py), which is also the place to read what they
 * mean. Every target (scalar, avx2, avx512, neon) gives the same bits.
 */
#ifndef INITIUM_H
#define INITIUM_H

#include <stdint.h>

#if defined(_WIN32)
#define INITIUM_API __declspec(dllexport)
#else
#define INITIUM_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Raised whenever a structure or a function below changes; the caller refuses a library with another one. */
#define INITIUM_ABI 3

enum { INITIUM_F32 = 0, INITIUM_F64 = 1, INITIUM_F16 = 2, INITIUM_BF16 = 3, INITIUM_U32 = 4, INITIUM_DTYPES = 5 };

enum {
  INITIUM_CONSTANT = 0,  /* `bits` in every element */
  INITIUM_WORDS = 1,     /* the stream's words themselves; the one law for INITIUM_U32, which takes no other but CONSTANT */
  INITIUM_UNIFORM = 2,
  INITIUM_NORMAL = 3,
  INITIUM_TRUNCATED = 4, /* by the normal table, between the quantiles lo and lo + span */
  INITIUM_TABULATED = 5, /* by a table of its own: no sign bit */
  INITIUM_LAWS = 6
};

/* What to draw, and as what: value = fl(fl(base * scale) + shift), kept in [least, most]; an fp64 output is kept in [low, high]
 * besides. */
typedef struct {
  int64_t kind, dtype;
  uint64_t bits;      /* CONSTANT: the element's bit pattern */
  int64_t lo, span;   /* TRUNCATED: in 2^-32nds, span in (0, 2^32], lo + span <= 2^32 */
  const float *table; /* TABULATED: 7 rows of 32 */
  double low, high;
  float scale, shift, least, most;
} initium_law;

/* One fill: element (r, c) of `out` gets the value of address start + r * stride + c. Every field has 8 bytes, so that an array
 * of int64 is an array of jobs. Steps are in elements; outputs of one call must not overlap. */
typedef struct {
  void *out;
  int64_t law; /* an index into the call's laws */
  int64_t rows, width, row_step, step;
  int64_t start, stride;
  int64_t k0, k1, c2, c3; /* the key, 32 bits each */
} initium_job;

/* A whole tensor in row-major order without gaps. */
typedef struct {
  void *out;
  int64_t law;         /* an index into the call's laws */
  int64_t size;        /* in elements */
  int64_t name_length; /* in bytes, below 2^32 */
} initium_named;

INITIUM_API int32_t initium_abi(void);

/* The targets compiled in, best first, separated by blanks. */
INITIUM_API const char *initium_targets(void);

/* The number of a target; -1 if it is not compiled in, -2 if this CPU or operating system cannot run it. NULL: the best one. */
INITIUM_API int32_t initium_target(const char *name);

/* Runs the jobs on up to `threads` threads, the caller's among them. 0, or -1 if a law, dtype or target is unknown (then
 * nothing has been written). */
INITIUM_API int32_t initium_fill(int32_t target, const initium_job *jobs, int64_t count, const initium_law *laws, int32_t threads);

/* Runs fills of whole tensors whose keys are derived here, from `head`, what is hashed before a name and its length (_stream.py
 * says it), and `names`, which lie end to end in UTF-8. Otherwise as initium_fill. */
INITIUM_API int32_t initium_fill_named(int32_t target, const initium_named *tensors, int64_t count, const char *names,
                                       const char *head, int64_t head_length, const initium_law *laws, int32_t threads);

/* One such key. For known-answer tests. */
INITIUM_API void initium_key(const char *head, int64_t head_length, const char *name, int64_t name_length, int64_t key[4]);

/* The 64 words of 16 consecutive Philox4x32-10 counters, of which `counter`, a multiple of 16, is the lower half of the first:
 * word k of counter i at 16 k + i. For known-answer tests, whose counters lie beyond any tensor. */
INITIUM_API int32_t initium_block(int32_t target, uint64_t counter, const uint32_t key[4], uint32_t words[64]);

#ifdef __cplusplus
}
#endif
#endif
