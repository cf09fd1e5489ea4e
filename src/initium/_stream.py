"""The stream contract, version 1: (seed, name, tag) -> key, element index -> 32-bit word, word -> value.

This file is the contract's only home and its readable twin: plain torch integer and fp32 operations, on any device. The native
and Triton kernels compute the same bits faster. Frozen once released: a change of any value is a new version beside this one.

- A *key* is four 32-bit words, the little-endian BLAKE2b-128 of the seed, the tag and the canonical full name. The first two are
  Philox's key, the last two the upper half of its counter.
- Element i of the whole, unsharded, row-major tensor uses one 32-bit word: block b = i // 64, counter low half 16 b + i % 16,
  word (i // 16) % 4 of Philox4x32-10's output. 64 elements are 16 counters are four 512-bit vectors: no shuffles anywhere.
- A word becomes a value by integer operations, one multiplication and one addition in IEEE fp32 (never fused), and for the normal
  law by one degree-6 polynomial picked from a frozen table by the word's octave. No log, no sqrt, no rejection.

Complex tensors are drawn as their real view: element i has words 2 i and 2 i + 1.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes

from ._errors import ArgumentError, ArgumentTypeError
from ._normal_table import DEGREE, NORMAL_TABLE_BITS

STREAM_VERSION = 1
BLOCK = 64  # elements that share 16 counters; runs that start at a multiple of it are the cheapest
VALUES = "values"  # the tag of a tensor's own values; whatever else a distribution needs has a tag of its own
DROPIN = "dropin"

_MASK = 0xFFFFFFFF
_LENGTH = struct.Struct("<I").pack
_WORDS = struct.Struct("<4I").unpack
_SEED_RANGE = (-(2**63), 2**64 - 1)  # what torch.manual_seed takes


class Key(NamedTuple):
    """Where a tensor's words come from: Philox's key (k0, k1) and the upper counter words (c2, c3), each in [0, 2**32)."""

    k0: int
    k1: int
    c2: int
    c3: int


def checked_seed(seed: object) -> int:
    """The seed mod 2**64, for any integer that ``torch.manual_seed`` takes."""
    if isinstance(seed, bool) or not hasattr(seed, "__index__"):
        raise ArgumentTypeError(f"a seed is an integer, not {type(seed).__name__}: write seed=0")
    value = int(seed.__index__())
    if not _SEED_RANGE[0] <= value <= _SEED_RANGE[1]:
        raise ArgumentError(f"seed {value} is out of range: torch takes -2**63 … 2**64 - 1")
    return value % 2**64


_as_key: Callable[[tuple[int, ...]], Key] = functools.partial(
    tuple.__new__, Key
)  # Key._make counts its words, at half the cost of a key


def key_head(seed: int, tag: str) -> bytes:
    """What a key's hash is given before the name: the seed, and the tag behind its length."""
    encoded = tag.encode()
    return seed.to_bytes(8, "little") + _LENGTH(len(encoded)) + encoded


def derive_key(seed: int, name: str, tag: str = VALUES) -> Key:
    """The key of a tensor's stream.

    Args:
        seed: an integer in [0, 2**64).
        name: the canonical full name of the parameter.
        tag: what the words are for: ``"values"``, or a word of a distribution's own.
    """
    encoded = name.encode()
    hashed = hashlib.blake2b(key_head(seed, tag) + _LENGTH(len(encoded)) + encoded, digest_size=16, person=b"initium/1")
    return _as_key(_WORDS(hashed.digest()))


@dataclass(frozen=True)
class Keys:
    """The keys of one tensor's streams, by tag; and those of other tensors, for what is copied or computed from them."""

    seed: int
    name: str

    def __call__(self, tag: str) -> Key:
        return derive_key(self.seed, self.name, tag)

    def of(self, name: str) -> Keys:
        """The keys of another tensor."""
        return Keys(self.seed, name)


def philox(counter: tuple[Tensor, Tensor], key: Key) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Philox4x32-10 (Salmon et al. 2011): the four output words for each counter.

    Args:
        counter: the low words c0 and c1, int64 tensors of values in [0, 2**32); c2 and c3 come from the key.
        key: the stream's key.

    Returns:
        Four int64 tensors of values in [0, 2**32).
    """
    (a0, a1), (k0, k1) = counter, key[:2]
    a2, a3 = torch.full_like(a0, key.c2), torch.full_like(a0, key.c3)
    for _ in range(10):
        # int64 products wrap, which leaves the 64 bits that count
        p0, p1 = a0 * 0xD2511F53, a2 * 0xCD9E8D57
        a0, a1, a2, a3 = ((p1 >> 32) & _MASK) ^ a1 ^ k0, p1 & _MASK, ((p0 >> 32) & _MASK) ^ a3 ^ k1, p0 & _MASK
        k0, k1 = (k0 + 0x9E3779B9) & _MASK, (k1 + 0xBB67AE85) & _MASK
    return a0, a1, a2, a3


def words(key: Key, start: int, count: int, device: torch.device | str = "cpu") -> Tensor:
    """The words of elements ``start … start + count``, as int64 values in [0, 2**32); any start costs the same."""
    first, last = start // BLOCK, -(-(start + count) // BLOCK)
    blocks = torch.arange(first, last, device=device)
    counters = blocks[:, None] * 16 + torch.arange(16, device=device)
    output = torch.stack(philox((counters & _MASK, (counters >> 32) & _MASK), key), dim=1)
    return output.reshape(-1)[start - first * BLOCK :][:count]


def uniform_from(word: Tensor) -> Tensor:
    """u = (word >> 8) · 2⁻²⁴, an fp32 in [0, 1)."""
    return (word >> 8).to(torch.float32) * 2.0**-24


@contextlib.contextmanager
def outside() -> Iterator[None]:
    """Outside every mode and transform: what is remembered must not be a tensor of the ``grad``, fake or inference mode it was made in."""
    with torch.inference_mode(False), torch._C._DisableFuncTorch(), _disable_current_modes():
        yield


@functools.lru_cache(maxsize=16)
def normal_table(device: torch.device) -> Tensor:
    """The frozen coefficients as fp32, shape (7, 32): row d multiplies x**d, column e serves magnitudes in [2**e, 2**(e+1))."""
    with outside():
        bits = torch.tensor(NORMAL_TABLE_BITS, dtype=torch.int64, device="cpu")
        return bits.to(torch.int32).view(torch.float32).to(device)


def polynomial_from(magnitude: Tensor, table: Tensor) -> Tensor:
    """The octave polynomial at a 31-bit magnitude: Horner in fp32, each multiplication and addition rounded by itself."""
    # One rounding to fp32 gives exponent (the octave) and mantissa (x in [-1, 1)). 0 counts as 1, and what rounds up to 2**31
    # as the largest fp32 below it.
    bits = magnitude.to(torch.int32).to(torch.float32).view(torch.int32).clamp(0x3F800000, 0x4EFFFFFF)
    octave = ((bits >> 23) - 127).to(torch.int64)
    x = ((bits & 0x7FFFFF) | 0x40000000).view(torch.float32) - 3.0
    y = table[DEGREE][octave]
    for degree in range(DEGREE - 1, -1, -1):
        y = y * x + table[degree][octave]
    return y


def normal_from(word: Tensor) -> Tensor:
    """A standard normal fp32: the top bit is the sign, the other 31 bits the magnitude's quantile; |z| > 0, at most 6.23."""
    z = polynomial_from(word & 0x7FFFFFFF, normal_table(word.device))
    return torch.where(word >> 31 != 0, -z, z)


def truncated_from(word: Tensor, lo: int, hi: int) -> Tensor:
    """A standard normal between two quantiles, one word an element, no rejection.

    Args:
        word: int64 values in [0, 2**32).
        lo, hi: Φ(a) and Φ(b) in 2⁻³²nds, integers in [0, 2**32].
    """
    span = hi - lo
    c = lo + (((word >> 16) * span + (((word & 0xFFFF) * span) >> 16)) >> 16)  # lo + floor(word · span / 2**32) within int64
    negative = c < 2**31
    magnitude = torch.where(negative, c, _MASK - c)
    z = polynomial_from(magnitude, normal_table(word.device))
    return torch.where(negative, -z, z)


def tabulated_from(word: Tensor, table: Tensor) -> Tensor:
    """A value by a table of its own (see ``_laws.quantile_table``): the word's top 31 bits pick octave and x; no sign bit."""
    return polynomial_from(word >> 1, table)
