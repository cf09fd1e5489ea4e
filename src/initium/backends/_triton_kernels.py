"""The stream contract in Triton: the kernels behind ``triton.py``, same order of operations as ``_stream.py``.

A job is a table row of whole numbers (``Row`` says which), so that one launch serves many tensors. Compile with
``enable_fp_fusion=False``: each fp32 operation is rounded by itself. Of ``triton.language`` only its primitives are used, so that the
interpreter can run this whatever has imported Triton before. This module is imported only where Triton is.
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator, no-any-return, operator, attr-defined, name-defined"

from __future__ import annotations

from enum import IntEnum

import triton  # type: ignore[import-not-found, import-untyped, unused-ignore]
import triton.language as tl  # type: ignore[import-not-found, import-untyped, unused-ignore]

BLOCKS = 32  # of 64 elements, to a program: 16 to a thread, in 48 registers
WORDS, UNIFORM, NORMAL, TRUNCATED, TABULATED = range(5)


class Row(IntEnum):
    """What stands where in a job's row; floats are there as their bits."""

    ADDRESS = 0
    FIRST_PROGRAM = 1
    ROWS = 2
    WIDTH = 3
    ROW_STEP = 4
    STEP = 5
    START = 6
    STRIDE = 7
    PER_ROW = 8  # blocks that a row of the job touches at most
    SEED = 9  # k0 and k1
    UPPER = 10  # c2 and c3
    SCALE_SHIFT = 11  # two fp32, as the next two
    LIMITS = 12
    LO_SPAN = 13  # two 32-bit integers
    WHOLE = 14  # 1 where the span is 2³²
    LOW = 15  # fp64, as the next
    HIGH = 16
    TABLE = 17  # address of 7 × 32 fp32


@triton.jit
def _wide(number):
    return tl.cast(number, tl.int64)  # the interpreter takes a small number for 32 bits


@triton.jit
def _low(pair):
    return (pair & 0xFFFFFFFF).to(tl.uint32)


@triton.jit
def _high(pair):
    return ((pair >> 32) & 0xFFFFFFFF).to(tl.uint32)


if hasattr(tl, "mul"):  # from Triton 3.3 on: products are to wrap around, and in debug mode an operator would object

    @triton.jit
    def _times(a, b):
        return tl.mul(a, b, sanitize_overflow=False)

    @triton.jit
    def _plus(a, b):
        return tl.add(a, b, sanitize_overflow=False)
else:

    @triton.jit
    def _times(a, b):
        return a * b

    @triton.jit
    def _plus(a, b):
        return a + b


@triton.jit
def _philox(counter, seed, upper):
    """Philox4x32-10: the four words of each counter."""
    c0, c1 = _low(counter), _high(counter)
    c2, c3 = _low(upper + counter * 0), _high(upper + counter * 0)
    k0, k1 = _low(seed), _high(seed)
    for _ in tl.static_range(10):
        product0, product1 = _times(c0.to(tl.uint64), 0xD2511F53), _times(c2.to(tl.uint64), 0xCD9E8D57)  # one instruction each
        c0, c1 = (product1 >> 32).to(tl.uint32) ^ c1 ^ k0, product1.to(tl.uint32)
        c2, c3 = (product0 >> 32).to(tl.uint32) ^ c3 ^ k1, product0.to(tl.uint32)
        k0 = _plus(k0, 0x9E3779B9)
        k1 = _plus(k1, 0xBB67AE85)
    return c0, c1, c2, c3


@triton.jit
def _polynomial(magnitude, table):
    """The octave polynomial at a 31-bit magnitude, by Horner."""
    bits = magnitude.to(tl.int32, bitcast=True).to(tl.float32).to(tl.int32, bitcast=True)
    bits = tl.minimum(tl.maximum(bits, 0x3F800000), 0x4EFFFFFF)
    octave = (bits >> 23) - 127
    x = ((bits & 0x7FFFFF) | 0x40000000).to(tl.float32, bitcast=True) - 3.0
    column = table.to(tl.pointer_type(tl.float32)) + octave  # the rows below it are at offsets that an instruction holds
    y = tl.load(column + 6 * 32)
    for degree in tl.static_range(6):
        y = y * x + tl.load(column + (5 - degree) * 32)
    return y


@triton.jit
def _signed(positive, sign):
    """A positive number with the top bit of ``sign`` for its sign."""
    bits = positive.to(tl.uint32, bitcast=True) | (sign & 0x80000000)
    return bits.to(tl.float32, bitcast=True)


@triton.jit
def _value(word, scale_shift, limits, lo_span, whole, table, LAW: tl.constexpr):
    """An element's fp32 value; with WORDS the word itself."""
    scale, shift = _low(scale_shift).to(tl.float32, bitcast=True), _high(scale_shift).to(tl.float32, bitcast=True)
    least, most = _low(limits).to(tl.float32, bitcast=True), _high(limits).to(tl.float32, bitcast=True)
    if LAW == 0:
        value = word
    elif LAW == 1:
        u = (word >> 8).to(tl.int32, bitcast=True).to(tl.float32) * 5.9604644775390625e-08
        value = tl.minimum(tl.maximum(u * scale + shift, least), most)
    elif LAW == 2:
        value = _signed(_polynomial(word & 0x7FFFFFFF, table), word) * scale + shift
    elif LAW == 3:
        c = _low(lo_span) + tl.umulhi(word, _high(lo_span)) + word * whole.to(tl.uint32)
        mirrored = tl.where((c >> 31) != 0, c ^ 0xFFFFFFFF, c)
        value = _signed(_polynomial(mirrored, table), c ^ 0xFFFFFFFF) * scale + shift
        value = tl.minimum(tl.maximum(value, least), most)
    else:
        value = _polynomial(word >> 1, table) * scale + shift
        value = tl.minimum(tl.maximum(value, least), most)
    return value


@triton.jit
def _rounded(value, low, high, DTYPE: tl.constexpr):
    """A value as the element's dtype, rounded once; bf16 as its bits."""
    if tl.float64 == DTYPE:
        least, most = low.to(tl.float64, bitcast=True), high.to(tl.float64, bitcast=True)
        result = tl.minimum(tl.maximum(value.to(tl.float64), least), most)
    elif tl.uint16 == DTYPE:
        bits = value.to(tl.uint32, bitcast=True)
        result = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).to(tl.uint16)
    else:
        result = value.to(DTYPE)
    return result


@triton.jit
def _draw(
    program, address, rows, width, row_step, step, start, stride, per_row, seed, upper,
    scale_shift, limits, lo_span, whole, low, high, table,
    LAW: tl.constexpr, DTYPE: tl.constexpr, PLAIN: tl.constexpr, BLOCKS: tl.constexpr,
):  # fmt: skip
    """The program's BLOCKS blocks of a job, counted through its rows; PLAIN: it has one row, whose elements lie side by side."""
    # one axis throughout: with two, the compiler carries every value through shared memory for each look at the table
    each = tl.arange(0, BLOCKS * 16)
    lane = each & 15
    place = program.to(tl.int64) * BLOCKS
    nth = place + (each >> 4)  # block of its row
    # the address that a row begins at, how far apart its elements lie in memory, and how many there are
    first, apart, room = start, 1, width
    out = address.to(tl.pointer_type(DTYPE))
    if not PLAIN:
        row = nth * 0
        if rows > 1:
            above = place // per_row  # of the program's first block: 64 bits are divided once
            nth -= above * per_row
            # 32 bits, or at most one row's end; noqa: a condition that the compiler does not know makes no expression
            if per_row < BLOCKS:  # noqa: SIM108
                row = _wide(nth.to(tl.int32) // per_row.to(tl.int32))
            else:
                row = (nth >= per_row).to(tl.int64)
            nth -= row * per_row
            row += above
        first, apart, room = start + row * stride, step, tl.where(row < rows, width, 0)
        out += row * row_step
    block = (first >> 6) + nth
    w0, w1, w2, w3 = _philox(block * 16 + lane, seed, upper)
    column = block * 64 - first + lane
    out += column * apart
    for k in tl.static_range(4):
        word = w0 if k == 0 else w1 if k == 1 else w2 if k == 2 else w3
        value = _rounded(_value(word, scale_shift, limits, lo_span, whole, table, LAW), low, high, DTYPE)
        here = tl.cast(column + 16 * k, tl.uint64, bitcast=True)  # a column below 0 is a very large one then
        tl.store(out + 16 * k * apart, value, mask=here < tl.cast(room, tl.uint64, bitcast=True))


@triton.jit(do_not_specialize=[f"a{i}" for i in range(18)])
def one(
    a0: tl.int64, a1: tl.int64, a2: tl.int64, a3: tl.int64, a4: tl.int64, a5: tl.int64,
    a6: tl.int64, a7: tl.int64, a8: tl.int64, a9: tl.int64, a10: tl.int64, a11: tl.int64,
    a12: tl.int64, a13: tl.int64, a14: tl.int64, a15: tl.int64, a16: tl.int64, a17: tl.int64,
    LAW: tl.constexpr, DTYPE: tl.constexpr, PLAIN: tl.constexpr, BLOCKS: tl.constexpr,
):  # fmt: skip
    """One job, its row as arguments: 64 bits each, whatever their value, so that nothing is compiled twice."""
    _draw(
        tl.program_id(0), _wide(a0), _wide(a2), _wide(a3), _wide(a4), _wide(a5), _wide(a6), _wide(a7), _wide(a8), _wide(a9),
        _wide(a10), _wide(a11), _wide(a12), _wide(a13), _wide(a14), _wide(a15), _wide(a16), _wide(a17), LAW, DTYPE, PLAIN, BLOCKS,
    )  # fmt: skip


@triton.jit
def many(
    jobs, count,
    LAW: tl.constexpr, DTYPE: tl.constexpr, PLAIN: tl.constexpr, BLOCKS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Many jobs of one law and dtype: each program finds its row by bisection over FIRST_PROGRAM."""
    program = tl.program_id(0)
    below, above = 0, count
    while above - below > 1:
        middle = (below + above) // 2
        is_later = tl.load(jobs + middle * COLUMNS + 1) > program
        above = tl.where(is_later, middle, above)
        below = tl.where(is_later, below, middle)
    a = jobs + below * COLUMNS
    _draw(
        program - tl.load(a + 1), tl.load(a), tl.load(a + 2), tl.load(a + 3), tl.load(a + 4), tl.load(a + 5),
        tl.load(a + 6), tl.load(a + 7), tl.load(a + 8), tl.load(a + 9), tl.load(a + 10), tl.load(a + 11), tl.load(a + 12),
        tl.load(a + 13), tl.load(a + 14), tl.load(a + 15), tl.load(a + 16), tl.load(a + 17), LAW, DTYPE, PLAIN, BLOCKS,
    )  # fmt: skip
