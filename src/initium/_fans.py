"""Fans: how many terms each output of a weight sums, and how many outputs each input feeds, by the module and not by the shape.

A ``Layout`` says what the axes of one tensor mean. ``_layouts.py`` knows the layouts of torch.nn's modules; a user's module brings
its own by ``initium.module`` or states the axes in the initializer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from ._errors import ArgumentError


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
        zero_rows: rows of axis 0 that stay zero whatever is drawn (``padding_idx``).
        reset: the constant that the module's own reset writes (norms, running statistics), or None.
    """

    role: str = "parameter"
    out_axes: tuple[int, ...] = (0,)
    in_axes: tuple[int, ...] = (1,)
    batch_axes: tuple[int, ...] = ()
    groups: int = 1
    blocks: tuple[int, ...] = ()
    block_names: tuple[str, ...] = ()
    block_axis: int = 0
    zero_rows: tuple[int, ...] = ()
    reset: float | None = None

    def block_shapes(self, shape: tuple[int, ...]) -> list[tuple[int, ...]]:
        """The shape of each logical weight packed in a tensor of this shape."""
        if not self.blocks:
            return [shape]
        if sum(self.blocks) != shape[self.block_axis]:
            raise ArgumentError(
                f"the blocks {self.blocks} do not add up to axis {self.block_axis} of shape {shape}: "
                f"say the sizes of the weights that are packed there"
            )
        axis = self.block_axis
        return [(*shape[:axis], size, *shape[axis + 1 :]) for size in self.blocks]

    def fans(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """(fan_in, fan_out) of one logical weight of this shape (a block, where several are packed).

        fan_in = product of the in-axes × receptive field; fan_out = product of the out-axes × receptive field; batch axes count
        in neither, and axis 0 of a grouped convolution is divided by its groups.
        """
        if self.role == "embedding":  # a lookup: each output is one row's entry, not a sum over the vocabulary
            return 1, math.prod(shape[axis] for axis in self.out_axes)
        if len(shape) < 2:
            raise ArgumentError(
                f"a tensor of shape {shape} has no fan: fan_in and fan_out need at least 2 dimensions; "
                f"use Constant, Normal or Uniform for it"
            )
        sizes = list(shape)
        sizes[0] //= self.groups
        ends = {*self.in_axes, *self.out_axes, *self.batch_axes}
        field = math.prod(size for axis, size in enumerate(sizes) if axis not in ends)
        fan_in = math.prod(sizes[axis] for axis in self.in_axes) * field
        fan_out = math.prod(sizes[axis] for axis in self.out_axes) * field
        return fan_in, fan_out

    def with_axes(
        self,
        in_axes: tuple[int, ...] | None,
        out_axes: tuple[int, ...] | None,
        batch_axes: tuple[int, ...] | None,
        ndim: int,
    ) -> Layout:
        """This layout with the axes that the user said; negative axes count from the end."""

        def positive(axes: tuple[int, ...] | None, default: tuple[int, ...]) -> tuple[int, ...]:
            if axes is None:
                return default
            for axis in axes:
                if not -ndim <= axis < ndim:
                    raise ArgumentError(f"axis {axis} is out of range for a tensor of {ndim} dimensions")
            return tuple(axis % ndim for axis in axes)

        if in_axes is None and out_axes is None and batch_axes is None:
            return self
        return replace(
            self,
            role="weight" if self.role in ("parameter", "embedding") else self.role,
            in_axes=positive(in_axes, self.in_axes),
            out_axes=positive(out_axes, self.out_axes),
            batch_axes=positive(batch_axes, self.batch_axes),
        )


DENSE = Layout(role="weight")  # (out, in, *field): Linear and Conv, what torch.nn.init takes every tensor for
EMBEDDING = Layout(role="embedding", out_axes=(1,), in_axes=(0,))
BIAS = Layout(role="bias")
BARE = Layout()
KEPT_BUFFER = Layout(role="buffer")
ONE = Layout(role="norm", reset=1.0)
ZERO = Layout(role="norm", reset=0.0)
