"""Fingerprint: one number of 128 bits for all the values of a model, in any order, in any parts.

Version 1, part of the stream contract. It is a sum over elements, mod 2¹²⁸, so it does not depend on order, and the parts of a model
on several ranks add up to that of the whole. An element counts by its tensor's canonical name, its dtype, its flat index i in the
whole row-major tensor, and its raw bits b, read as a signed integer of that size (complex: its real view, elements 2 i and 2 i + 1):

    (k0, k1, c2, c3) = derive_key(0, name, "fingerprint/" + dtype)        dtype as in "bfloat16"
    t  = INDEX · i + BITS · b + (k0 + 2³² k1)           mod 2⁶⁴, as all that follows
    h1 = x ^ x >> 29   where   x = FIRST · (t ^ t >> 32)
    h2 = y ^ y >> 32   where   y = SECOND · (h1 ^ (c2 + 2³² c3))
    its term is 2⁶⁴ h1 + h2, h2 read as a signed number

BITS is odd and every step a bijection, so a change of one element's bits, whatever they are, always changes the sum; other changes
go unseen with a chance of about 2⁻⁶⁴ or less. It tells accidents apart; it is no protection against somebody who wants two models to
look alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor, nn

from .. import _laws as laws
from .._entry import Row
from .._errors import ArgumentError, PlanError, WriteError, counted, listing, nearest
from .._execute import Batch
from .._inventory import inventory
from .._patterns import is_literal, matches
from .._plan import Plan
from .._programs import Program
from .._regions import Region, law_jobs
from .._sharded.placed import first_rank, is_counted, located
from .._stream import Key, derive_key

_INDEX, _BITS = 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93
_FIRST, _SECOND = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_SIGNED = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
_CHUNK = 1 << 15  # elements at a time on a CPU: its integers stay in the cache, and torch starts no threads of its own for them
_TASK = 1 << 20  # elements that one thread takes
_Task = tuple[Tensor, Key, int, int]  # (1-D or 2-D integers, key, address of the first, addresses from row to row)


class Fingerprint(int):
    """A fingerprint, or a part of one: an integer mod 2¹²⁸ that prints as 32 hexadecimal digits; parts are added with ``+``."""

    def __new__(cls, value: int = 0) -> Fingerprint:
        return super().__new__(cls, value % 2**128)

    def __add__(self, other: int) -> Fingerprint:
        return Fingerprint(int(self) + int(other)) if isinstance(other, int) else NotImplemented

    __radd__ = __add__

    def __str__(self) -> str:
        return f"{int(self):032x}"

    def __repr__(self) -> str:
        return f"Fingerprint('{self}')"


def fingerprint(
    model: nn.Module,
    *,
    plan: Plan | None = None,
    only: str | Iterable[str] | None = None,
    prefix: str = "",
    rename: Mapping[str, str] | Callable[[str], str] | None = None,
    group: Any = None,
) -> Fingerprint:
    """The fingerprint of every parameter and buffer that a model stores, in the dtypes it stores; ties count once.

    On a sharded model each rank sums its own part, without communication, and of several replicas one counts: the parts add up to
    that of the same model on one process.

    Args:
        model: with memory (not on meta), sharded or not.
        plan: whose ties hold: what it ties is counted under the first name, where sharding or pipeline stages have made it two tensors.
        only: names or globs; nothing else is counted.
        prefix: what goes before every name.
        rename: from the model's names to the whole model's, for pipeline stages that count from 0 again.
        group: a process group over which the parts are added up (one small all_reduce), as ``torch.distributed.group.WORLD``. Copies
            of the model that no DTensor's mesh tells of count each: take a group that holds one.

    Returns:
        A Fingerprint: this process's part, or with ``group`` the whole.

    Raises:
        WriteError: a tensor has no values (meta). ArgumentError: ``only`` names nothing.

    Example:
        >>> a, b = nn.Linear(3, 2), nn.Linear(3, 2)
        >>> fingerprint(a) == fingerprint(b)
        False
    """
    slots = [slot for slot in inventory(model).slots if slot.tied_to is None and slot.computed is None]
    first = first_rank(model, [slot.tensor for slot in slots])
    if rename is None:
        full = [prefix + slot.name for slot in slots]
    else:
        full = [rename(prefix + s.name) if callable(rename) else rename.get(prefix + s.name, prefix + s.name) for s in slots]
    chosen = _chosen(only, full)
    tasks: list[_Task] = []
    for slot, name in zip(slots, full, strict=True):
        tensor = slot.tensor
        if name not in chosen or (plan is not None and name in plan and plan.row(name).decision.kind == "tied"):
            continue
        if tensor.is_meta or tensor.layout is not torch.strided or tensor.is_quantized:
            raise WriteError(f"{name} has no plain values to count (device {tensor.device}, {tensor.layout}): write them first")
        if is_counted(tensor, first):
            local, region = located(tensor)
            tasks.extend(_tasks(local.detach(), region, _key(name, tensor.dtype)))
    part = _summed(tasks)
    return part if group is None else _added_up(part, group)


def plan_fingerprint(plan: Plan, dtype: torch.dtype | None = None, only: str | Iterable[str] | None = None) -> Fingerprint:
    """The fingerprint that a model will have after ``plan.apply``: every value is drawn again, in memory of a few megabytes.

    Args:
        plan: whose values.
        dtype: what the model's floating tensors are stored in; None for each entry's own.
        only: names or globs, as given to ``fingerprint``.

    Raises:
        PlanError: the plan does not hold the values of a tensor (kept, derived): name the others by ``only``.
    """
    rows = [row for row in plan.rows() if row.decision.kind != "tied"]
    chosen = _chosen(only, [row.name for row in rows])
    rows = [row for row in rows if row.name in chosen]
    lost = [f"{row.name} ({row.decision.kind})" for row in rows if row.decision.program is None]
    if lost:
        raise PlanError(
            f"the plan does not hold the values of {counted(len(lost), 'tensor')}:\n{listing(lost)}\n"
            f"say only=[…] here and in initium.fingerprint to compare the others"
        )
    total = Fingerprint()
    for row in rows:
        stored = dtype if dtype is not None and row.decision.dtype.is_floating_point else row.decision.dtype
        for values, start in _drawn(plan, row, stored):
            total += _summed(_tasks(values, None, _key(row.name, stored), start))
    return total


def _drawn(plan: Plan, row: Row, dtype: torch.dtype) -> Iterator[tuple[Tensor, int]]:
    """(values, flat index of the first): in chunks where the law is elementwise, else the whole tensor."""
    shape, program = row.decision.shape, row.decision.program
    numel = math.prod(shape)
    chunk = 4 * _TASK if isinstance(program, (laws.Constant, laws.Uniform, laws.Normal, laws.TruncNormal)) else max(numel, 1)
    for start in range(0, numel, chunk):
        values = torch.empty(min(chunk, numel - start), dtype=dtype, device="cpu")
        _fill(values, program, plan, row, start, numel)
        yield values, start


def _fill(values: Tensor, program: Program | None, plan: Plan, row: Row, start: int, numel: int) -> None:
    assert program is not None
    batch, keys = Batch(), plan.key_of(row.name)
    with torch.no_grad():
        if values.numel() == numel:
            batch.add(values.view(row.decision.shape), program, keys)
        else:
            batch.add_flat(values, program, keys, row.decision.shape, start)
        batch.run()


def _chosen(only: str | Iterable[str] | None, names: list[str]) -> frozenset[str]:
    if only is None:
        return frozenset(names)
    found: set[str] = set()
    for pattern in [only] if isinstance(only, str) else only:
        hits = {name for name in names if matches(pattern, name)}
        if not hits:
            raise ArgumentError(f"only={pattern!r} matches no tensor.{nearest(pattern, names) if is_literal(pattern) else ''}")
        found |= hits
    return frozenset(found)


def _key(name: str, dtype: torch.dtype) -> Key:
    return derive_key(0, name, "fingerprint/" + str(dtype).removeprefix("torch."))


def _tasks(local: Tensor, region: Region | None, key: Key, start: int = 0) -> Iterator[_Task]:
    """The local tensor's integers in pieces of at most ``_TASK`` elements, with their addresses in the whole."""
    if local.numel() == 0:
        return
    region = region or Region.whole(tuple(local.shape))
    if local.is_complex():
        local = torch.view_as_real(local.resolve_conj())
        region = Region((*region.shape, 2), (*region.runs, ((0, 2),)))
    bits = local.resolve_neg().contiguous().view(_SIGNED[local.dtype.itemsize])
    for job in law_jobs(bits, region, laws.Constant(0), key):
        first, view = start + job.start, job.out
        if view.dim() == 1:
            for offset in range(0, view.numel(), _TASK):
                yield view[offset : offset + _TASK], key, first + offset, 0
            continue
        rows = max(1, _TASK // view.shape[1])
        for row in range(0, view.shape[0], rows):
            yield view[row : row + rows], key, first + row * job.stride, job.stride


def _summed(tasks: Iterable[_Task]) -> Fingerprint:
    tasks = list(tasks)
    threads = min(torch.get_num_threads(), len(tasks))
    if threads < 2 or tasks[0][0].device.type != "cpu" or sum(task[0].numel() for task in tasks) < _TASK:
        return Fingerprint(sum(map(_task_sum, tasks)))
    with ThreadPoolExecutor(threads) as pool:
        return Fingerprint(sum(pool.map(_task_sum, tasks)))


def _task_sum(task: _Task) -> int:
    bits, key, start, stride = task
    chunk = _CHUNK if bits.device.type == "cpu" else 1 << 22
    table = bits if bits.dim() == 2 else bits.unsqueeze(0)
    rows, columns = table.shape
    height, width = max(1, chunk // columns), min(columns, chunk)
    ramp = torch.arange(width, device=bits.device).mul_(_signed(_INDEX))
    steps = torch.arange(min(height, rows), device=bits.device).mul_(_signed(_INDEX * stride)).unsqueeze(1)
    scratch = torch.empty(2, min(height, rows) * width, dtype=torch.int64, device=bits.device)
    total = 0
    for row in range(0, rows, height):
        for column in range(0, columns, width):
            block = table[row : row + height, column : column + width]
            total += _block_sum(block, ramp, steps, key, start + row * stride + column, scratch)
    return total


def _block_sum(block: Tensor, ramp: Tensor, steps: Tensor, key: Key, start: int, scratch: Tensor) -> int:
    """The sum of the terms of a few thousand elements; row r, column c is element ``start + r · stride + c``."""
    t, spare = (half[: block.numel()].view(block.shape) for half in scratch)
    t.copy_(block)
    torch.add(ramp[: t.shape[1]], t, alpha=_signed(_BITS), out=t)
    if t.shape[0] > 1:
        t += steps[: t.shape[0]]
    t += _signed(_INDEX * start + key.k0 + (key.k1 << 32))
    _fold(t, 32, spare)
    t *= _signed(_FIRST)
    _fold(t, 29, spare)
    high = int(t.sum())
    t ^= _signed(key.c2 + (key.c3 << 32))
    t *= _signed(_SECOND)
    _fold(t, 32, spare)
    # the exact sum of signed numbers from two sums that wrap: that of their upper halves, and what is left for the lower ones
    wrapped = int(t.sum())
    t >>= 32
    upper = int(t.sum()) << 32
    return (high << 64) + upper + (wrapped - upper) % 2**64


def _fold(t: Tensor, by: int, spare: Tensor) -> None:
    """t ^= t >> by, the shift filling with zeros."""
    torch.bitwise_right_shift(t, by, out=spare)
    spare &= (1 << (64 - by)) - 1
    t ^= spare


def _signed(word: int) -> int:
    word %= 2**64
    return word - 2**64 if word >= 2**63 else word


def _added_up(part: Fingerprint, group: Any) -> Fingerprint:
    backend = str(torch.distributed.get_backend(group))
    device = "cpu" if "gloo" in backend or "mpi" in backend else torch.device("cuda", torch.cuda.current_device())
    limbs = torch.tensor([(part >> shift) & 0xFFFFFFFF for shift in range(0, 128, 32)], dtype=torch.int64, device=device)
    torch.distributed.all_reduce(limbs, group=group)
    return Fingerprint(sum(limb << shift for limb, shift in zip(limbs.tolist(), range(0, 128, 32), strict=True)))
