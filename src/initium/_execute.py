"""Run a program into a tensor: laws become backend jobs, whole tensors are computed and copied. Knows tensors, no modules."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from . import _laws as laws
from ._programs import At, Blocks, Computed, Draw, Given, Leaf, Made, Program, Renamed, Step
from ._regions import Region, flat_boxes, law_jobs
from ._stream import VALUES, Key, Keys
from .backends import Alike, Job, fill, fill_named

KeyOf = Callable[[str], Key]
"""The key of a stream by its tag."""


_SHORT = 32  # elements: runs of memory shorter than this are drawn into a contiguous tensor and copied


class Batch:
    """Fills waiting to run together, so that many small tensors cost few backend calls."""

    def __init__(self) -> None:
        self._jobs: list[Job] = []
        self._copies: list[tuple[Tensor, Tensor]] = []
        self._named: list[tuple[Sequence[Alike], int]] = []

    def add(self, out: Tensor, program: Program, key_of: KeyOf, region: Region | None = None) -> None:
        """Fill ``out``, which holds ``region`` of the tensor that the program describes (the whole of it unless said)."""
        self._add(out, program, key_of, region or Region.whole(tuple(out.shape)), None)

    def extend(self, groups: Sequence[Alike], seed: int) -> None:
        """Fill whole ordinary tensors by elementwise laws, from the streams of their names: nearly all there are, and the cheapest."""
        self._named.append((groups, seed))

    def add_flat(self, out: Tensor, program: Program, key_of: KeyOf, shape: tuple[int, ...], start: int) -> None:
        """Fill the 1-D ``out`` with the elements from flat index ``start`` of a tensor of ``shape``."""
        if isinstance(program, (laws.Constant, laws.Uniform, laws.Normal, laws.TruncNormal)) and not out.is_complex():
            if isinstance(program, laws.Constant):
                out.fill_(program.value)
            else:
                self._jobs.append(Job(out, program, key_of(VALUES), start))
            return
        for region, low, high in flat_boxes(shape, start, start + out.numel()):
            view = out[low - start : high - start].view(region.local_shape)
            self._add(view, program, key_of, region, None)

    def run(self) -> None:
        """Draw everything that was added."""
        for groups, seed in self._named:
            fill_named(groups, seed)
        fill(self._jobs)
        for out, drawn in self._copies:
            out.copy_(drawn)
        self._named, self._jobs, self._copies = [], [], []

    def _add(self, out: Tensor, program: Program, key_of: KeyOf, region: Region, block: Region | None) -> None:
        if out.numel() == 0:
            return
        if isinstance(program, Blocks):
            self._add_blocks(out, program, key_of, region, block)
        elif isinstance(program, Given):
            _copy_part(out, program.values, region, block)
        elif isinstance(program, Made):
            _copy_part(out, make(program, key_of, block or Region.whole(region.shape), out.is_complex()), region, block)
        elif isinstance(program, Renamed):
            self._add(out, program.program, _renamed(program, key_of), region, block)
        elif isinstance(program, Computed):
            _copy_part(out, compute(program, key_of), region, block)
        elif isinstance(program, laws.Constant):
            out.fill_(program.value)
        elif out.is_complex():
            real = Region((*region.shape, 2), (*region.runs, ((0, 2),)))
            self._add_law(torch.view_as_real(out), program.part_of_complex(), key_of(VALUES), real)
        else:
            self._add_law(out, program, key_of(VALUES), region)

    def _add_blocks(self, out: Tensor, program: Blocks, key_of: KeyOf, region: Region, block: Region | None) -> None:
        low, extent = block.runs[program.axis][0] if block else (0, region.shape[program.axis])
        sizes = [low, *(size for size, _ in program.parts), region.shape[program.axis] - low - extent]
        box = block or Region.whole(region.shape)
        for piece, local, length, part in region.split(program.axis, sizes):
            start = sum(sizes[:piece])
            inner = Region(region.shape, (*box.runs[: program.axis], ((start, sizes[piece]),), *box.runs[program.axis + 1 :]))
            self._add(out.narrow(program.axis, local, length), program.parts[piece - 1][1], key_of, part, inner)

    def _add_law(self, out: Tensor, law: laws.Law, key: Key, region: Region) -> None:
        if region.is_whole and not out.is_contiguous() and _memory_run(out) < _SHORT:
            drawn = torch.empty(out.shape, dtype=out.dtype, device=out.device)
            self._copies.append((out, drawn))
            out = drawn
        self._jobs.extend(law_jobs(out, region, law, key))


def values(program: Program, key_of: KeyOf, shape: tuple[int, ...], start: int, stop: int) -> Tensor:
    """Elements ``start … stop`` (flat) of the tensor that a program describes, as 1-D fp32."""
    out = torch.empty(max(stop - start, 0), dtype=torch.float32, device="cpu")
    batch = Batch()
    batch.add_flat(out, program, key_of, shape, start)
    batch.run()
    return out


def make(program: Made, key_of: KeyOf, block: Region, in_complex: bool = False) -> Tensor:
    """The whole block of a ``Made`` program, on the CPU, in one thread; its values are drawn complex for a complex tensor."""

    def draw(law: laws.Law, tag: str) -> Tensor:
        if not in_complex or tag != VALUES or isinstance(law, laws.Constant):
            out = torch.empty(block.local_shape, dtype=torch.float32, device="cpu")
            fill(list(law_jobs(out, block, law, key_of(tag))))
            return out
        # as any complex tensor: the words of its real view
        pairs = torch.empty((*block.local_shape, 2), dtype=torch.float32, device="cpu")
        real = Region((*block.shape, 2), (*block.runs, ((0, 2),)))
        fill(list(law_jobs(pairs, real, law.part_of_complex(), key_of(tag))))
        return torch.view_as_complex(pairs)

    with torch.no_grad(), one_thread():
        if program.layout.repeats > 1:
            return _in_turns(program, block.local_shape, draw)
        return program.maker.make(block.local_shape, program.layout, draw)


def _in_turns(program: Made, shape: tuple[int, ...], draw: Draw) -> Tensor:
    """Logical weights that take turns along an axis (heads with their own q, k and v): each made whole from its own rows."""
    layout, axis = program.layout, program.layout.block_axis % len(shape)
    owner = torch.tensor([index for index, size in layout.pieces() for _ in range(size)], device="cpu")
    lone = replace(layout, blocks=(), block_names=(), repeats=1)
    out = torch.empty(shape, dtype=torch.float64, device="cpu")
    for index, block in enumerate(layout.block_shapes(shape)):
        rows = (owner == index).nonzero().flatten()

        def of_block(law: laws.Law, tag: str, rows: Tensor = rows) -> Tensor:
            return draw(law, tag).index_select(axis, rows)

        out.index_copy_(axis, rows, program.maker.make(block, lone, of_block).double())
    return out


def compute(program: Computed, key_of: KeyOf) -> Tensor:
    """The whole tensor of a computation, on the CPU, in one thread, every float as fp64."""
    results: list[tuple[Tensor, ...]] = []
    with torch.no_grad(), one_thread(), torch.random.fork_rng(devices=()):
        for index, step in enumerate(program.steps):
            if isinstance(step, Step):
                results.append(_stepped(step, results, key_of(f"step/{index}")))
            else:
                results.append((_leaf(step, key_of),))
    return results[program.out.index][program.out.item]


def _leaf(leaf: Leaf, key_of: KeyOf) -> Tensor:
    if isinstance(leaf.program, Given):
        return _wide(leaf.program.values.cpu())
    out = torch.empty(leaf.shape, dtype=torch.float32, device="cpu")
    batch = Batch()
    batch.add(out, leaf.program, key_of)
    batch.run()
    return _wide(out)


def _stepped(step: Step, results: list[tuple[Tensor, ...]], key: Key) -> tuple[Tensor, ...]:
    def value(said: Any, changes: bool = False) -> Any:
        if isinstance(said, At):
            found = results[said.index][said.item]
            return found.clone() if changes else found
        if isinstance(said, tuple):
            return [value(part, changes) for part in said]
        return _WIDER.get(said, said) if isinstance(said, torch.dtype) else said

    operator = operator_of(step.op)
    args = [value(said, place in step.changes) for place, said in enumerate(step.args)]
    kwargs = {name: value(said, name in step.changes) for name, said in step.kwargs}
    if torch.Tag.nondeterministic_seeded in operator.tags:
        torch.manual_seed(key.k0 | key.k1 << 32)
    returned = operator(*args, **kwargs)
    if step.changes:
        return tuple(args[place] if isinstance(place, int) else kwargs[place] for place in step.changes)
    return tuple(returned) if isinstance(returned, (tuple, list)) else (returned,)


def operator_of(name: str) -> Any:
    """torch's operator of that name: ``"aten.mul.Tensor"``."""
    namespace, operator, overload = name.split(".")
    return getattr(getattr(getattr(torch.ops, namespace), operator), overload)


_WIDER = {
    torch.float32: torch.float64,
    torch.float16: torch.float64,
    torch.bfloat16: torch.float64,
    torch.complex64: torch.complex128,
}


def _wide(values: Tensor) -> Tensor:
    return values.to(_WIDER.get(values.dtype, values.dtype))


def _renamed(program: Renamed, key_of: KeyOf) -> KeyOf:
    assert isinstance(key_of, Keys), "only a plan's tensors have names"
    other = key_of.of(program.name)
    return lambda tag: other(program.tag_of(tag))


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """LAPACK and reductions give other bits on other thread counts: they run on one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _copy_part(out: Tensor, values: Tensor, region: Region, block: Region | None) -> None:
    """Copy into ``out`` the elements of ``region`` from a block's values; rounded to fp32 first where ``out`` is lower."""
    if values.dtype == torch.float64 and out.dtype != torch.float64 and not out.is_complex() and out.is_floating_point():
        values = values.float()
    low = [runs[0][0] for runs in block.runs] if block else [0] * values.dim()
    for offset, view in region.boxes(out):
        part = values
        for axis, (place, size) in enumerate(zip(offset, view.shape, strict=True)):
            part = part.narrow(axis, place - low[axis], size)
        view.copy_(part)


def _memory_run(out: Tensor) -> int:
    """How many elements lie side by side in memory in logical order, at the end of a non-contiguous tensor."""
    run = 1
    for size, stride in zip(reversed(out.shape), reversed(out.stride()), strict=True):
        if size != 1 and stride != run:
            break
        run *= size
    return run
