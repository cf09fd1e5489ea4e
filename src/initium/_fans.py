"""Fans: how many terms each output of a weight sums, and how many outputs each input feeds, by the module and not by the shape.

A ``Layout`` says what the axes of one tensor mean. ``_layouts/registry.py`` finds the layouts of a module's tensors; a user's module
brings its own by ``initium.module`` or states the axes in the initializer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from ._errors import ArgumentError

Axes = tuple[int, ...]


@dataclass(frozen=True)
class Layout:
    """What the axes of one parameter mean.

    Args:
        role: ``weight`` (a linear map), ``bias``, ``norm``, ``embedding``, ``buffer``, or ``parameter`` (anything else).
        out_axes, in_axes: the axes of outputs and of inputs; axes that are neither nor batch are the receptive field.
        batch_axes: axes along which independent weights are stacked (experts, heads, layers).
        groups: of a grouped convolution; the groups are stacked along axis 0.
        blocks: sizes of the logical weights packed along ``block_axis`` (q, k, v; gates; gate and up), or () for one.
        block_names: their names, for rules on slices and for the table.
        block_axis: the axis they are packed along.
        repeats: how often the blocks take turns along that axis: 1 where each lies in one piece, the number of heads where
            every head brings its own q, k and v; each turn has ``1 / repeats`` of every block.
        zero_rows: rows of axis 0 that stay zero whatever is drawn (``padding_idx``).
        reset: the constant that the module's own reset writes (norms, running statistics), or None.
        said: (fan_in, fan_out) where no axes can say them, because the tensor is a flattened weight; else None.

    Raises:
        ArgumentError: numbers that contradict each other; the message says which.
    """

    role: str = "parameter"
    out_axes: Axes = (0,)
    in_axes: Axes = (1,)
    batch_axes: Axes = ()
    groups: int = 1
    blocks: tuple[int, ...] = ()
    block_names: tuple[str, ...] = ()
    block_axis: int = 0
    repeats: int = 1
    zero_rows: tuple[int, ...] = ()
    reset: float | None = None
    said: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise ArgumentError(f"a layout's role is one of {', '.join(ROLES)}, not {self.role!r}")
        axes = (*self.out_axes, *self.in_axes, *self.batch_axes)
        if len(set(axes)) < len(axes):
            raise ArgumentError(
                f"an axis is either an output, an input or a batch axis: out_axes={self.out_axes}, in_axes={self.in_axes} "
                f"and batch_axes={self.batch_axes} share one"
            )
        if min((*axes, self.block_axis)) < 0:
            raise ArgumentError(f"a layout counts its axes from 0, and {min((*axes, self.block_axis))} is not one")
        if self.groups < 1 or self.repeats < 1:
            raise ArgumentError(f"groups and repeats are at least 1, not {self.groups} and {self.repeats}")
        if self.block_names and len(self.block_names) != len(self.blocks):
            raise ArgumentError(f"the {len(self.blocks)} blocks {self.blocks} need as many names, not {self.block_names}")
        if any(size % self.repeats for size in self.blocks):
            raise ArgumentError(f"blocks of {self.blocks} cannot take {self.repeats} equal turns: repeats divides each of them")

    def block_shapes(self, shape: tuple[int, ...]) -> list[tuple[int, ...]]:
        """The shape of each logical weight packed in a tensor of this shape."""
        if not self.blocks:
            return [shape]
        axis = self.block_axis
        if axis >= len(shape) or sum(self.blocks) != shape[axis]:
            raise ArgumentError(
                f"the blocks {self.blocks} do not add up to axis {axis} of shape {shape}: "
                f"say the sizes of the weights that are packed there"
            )
        return [(*shape[:axis], size, *shape[axis + 1 :]) for size in self.blocks]

    def pieces(self) -> Iterator[tuple[int, int]]:
        """(block, size) of each contiguous piece along the block axis, in order: ``repeats`` pieces of every block."""
        for _ in range(self.repeats):
            yield from ((block, size // self.repeats) for block, size in enumerate(self.blocks))

    def fans(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """(fan_in, fan_out) of one logical weight of this shape (a block, where several are packed).

        fan_in = product of the in-axes × receptive field; fan_out = product of the out-axes × receptive field; batch axes count
        in neither, and axis 0 of a grouped convolution is divided by its groups.
        """
        if self.said is not None:
            return self.said
        if self.role == "embedding":  # a lookup: each output is one row's entry, not a sum over the vocabulary
            return 1, math.prod(shape[axis] for axis in self.out_axes)
        if len(shape) < 2:
            raise ArgumentError(
                f"a tensor of shape {shape} has no fan: fan_in and fan_out need at least 2 dimensions; "
                f"use Constant, Normal or Uniform for it"
            )
        ends = {*self.in_axes, *self.out_axes, *self.batch_axes}
        if max(ends, default=0) >= len(shape):
            raise ArgumentError(
                f"a tensor of shape {shape} has no axis {max(ends)}: its layout says out_axes={self.out_axes}, "
                f"in_axes={self.in_axes}, batch_axes={self.batch_axes}"
            )
        sizes = list(shape)
        sizes[0] //= self.groups
        field = math.prod(size for axis, size in enumerate(sizes) if axis not in ends)
        fan_in = math.prod(sizes[axis] for axis in self.in_axes) * field
        fan_out = math.prod(sizes[axis] for axis in self.out_axes) * field
        return fan_in, fan_out

    def with_axes(self, in_axes: Axes | None, out_axes: Axes | None, batch_axes: Axes | None, ndim: int) -> Layout:
        """This layout with the axes that the user said; negative axes count from the end.

        An axis that is said is taken from whoever had it: with only ``in_axes=(0,)`` a matrix's outputs are axis 1, and with
        only ``batch_axes=(0,)`` the first free axis has the outputs and the second the inputs, as in torch.
        """
        if in_axes is None and out_axes is None and batch_axes is None:
            return self
        said = [None if axes is None else _positive(axes, ndim) for axes in (out_axes, in_axes, batch_axes)]
        taken = {axis for axes in said if axes is not None for axis in axes}
        old_out, old_in, old_batch = self.out_axes, self.in_axes, self.batch_axes
        batch = said[2] if said[2] is not None else tuple(axis for axis in old_batch if axis not in taken)
        free = [axis for axis in (*old_out, *old_in, *range(ndim)) if axis < ndim and axis not in {*taken, *batch}]
        free = list(dict.fromkeys(free))
        ends = []
        for new, old in ((said[0], old_out), (said[1], old_in)):
            if new is None:
                kept = tuple(axis for axis in old if axis in free)
                new = kept or tuple(free[:1])
                free = [axis for axis in free if axis not in new]
            ends.append(new)
        role = "weight" if self.role in ("parameter", "embedding") else self.role
        return replace(self, role=role, out_axes=ends[0], in_axes=ends[1], batch_axes=batch, said=None)


def _positive(axes: Axes, ndim: int) -> Axes:
    for axis in axes:
        if not -ndim <= axis < ndim:
            raise ArgumentError(f"axis {axis} is out of range for a tensor of {ndim} dimensions")
    return tuple(axis % ndim for axis in axes)


ROLES = ("weight", "bias", "norm", "embedding", "buffer", "parameter")
DENSE = Layout(role="weight")  # (out, in, *field): Linear and Conv, what torch.nn.init takes every tensor for
TRANSPOSED = Layout(role="weight", in_axes=(0,), out_axes=(1,))  # (in, out, *field): x @ w, ConvTranspose
EMBEDDING = Layout(role="embedding", out_axes=(1,), in_axes=(0,))
BIAS = Layout(role="bias")
BARE = Layout()
KEPT_BUFFER = Layout(role="buffer")
ONE = Layout(role="norm", reset=1.0)
ZERO = Layout(role="norm", reset=0.0)
