"""ICNR: a convolution before a pixel shuffle whose output starts without checkerboards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from torch import Tensor

from .. import _laws as laws
from .._errors import ArgumentError
from .._fans import Layout
from .._programs import Draw, Made, Program
from ._base import Initializer, as_initializer


@dataclass(frozen=True)
class ICNR(Initializer):
    """Every r² neighbouring output channels get one and the same kernel, so conv → ``PixelShuffle(r)`` is nearest-neighbour upsampling.

    With a sub-kernel V of out / r² channels: w[c · r² + j] = V[c] for j = 0 … r² − 1, interleaved, as the shuffle reads them
    (V repeated whole, one after the other, is not the same thing). V's fans are its own: out / r² outputs.

    Use when: a convolution stands before ``nn.PixelShuffle``: super-resolution, decoders.
    Not when: the upsampling is a transposed convolution: ``Bilinear``.

    Args:
        upscale_factor: r ≥ 1, of the shuffle. A kernel with d spatial axes has rᵈ copies, a bias r².
        initializer: what V gets: an initializer, a number, or a name. Give the bias ICNR too, or 0: the upsampling is exact
            only where the copies' biases are equal.

    Raises:
        ArgumentError: output channels that rᵈ does not divide, not 1, 3, 4 or 5 dimensions, or an upscale_factor below 1.

    Example:
        >>> w = ICNR(2)(8, 3, 3, 3)
        >>> bool((w[0] == w[3]).all()), bool((w[0] == w[4]).all())
        (True, False)

    Source: Aitken et al. 2017 (1707.02937). The fans are the sub-kernel's (torch issue 5429).
    """

    name = "icnr"

    upscale_factor: int = 2
    initializer: Initializer = "kaiming_normal"  # type: ignore[assignment]

    def __post_init__(self) -> None:
        object.__setattr__(self, "initializer", as_initializer(self.initializer))
        if self.upscale_factor < 1:
            raise ArgumentError(f"icnr expects upscale_factor >= 1, got {self.upscale_factor}")

    @property
    def random(self) -> bool:  # type: ignore[override]
        return self.initializer.random

    @property
    def exact(self) -> bool:  # type: ignore[override]
        return self.initializer.exact

    def _sub(self, shape: tuple[int, ...], layout: Layout) -> tuple[int, tuple[int, ...], Program]:
        """(copies, shape of the sub-kernel, what it gets)."""
        if len(shape) not in (1, 3, 4, 5):
            raise ArgumentError(f"icnr is for convolutions and their biases, with 1, 3, 4 or 5 dimensions, got shape {shape}")
        copies = self.upscale_factor ** (len(shape) - 2 if len(shape) > 1 else 2)
        channels = shape[0] // layout.groups
        if layout.out_axes != (0,):
            raise ArgumentError("icnr is for convolutions, whose outputs are axis 0, not for transposed ones")
        if channels % copies:
            raise ArgumentError(
                f"icnr with upscale_factor={self.upscale_factor} needs output channels that {copies} divides, got {channels}"
            )
        sub = (shape[0] // copies, *shape[1:])
        return copies, sub, self.initializer.program(sub, layout)

    def _block(self, shape: tuple[int, ...], layout: Layout) -> Program:
        program = self._sub(shape, layout)[2]
        return program if isinstance(program, laws.Constant) else super()._block(shape, layout)

    def moments(self, shape: tuple[int, ...], layout: Layout) -> tuple[float, float]:
        program = self._sub(shape, layout)[2]
        return cast(float, program.mean), cast(float, program.std)

    def make(self, shape: tuple[int, ...], layout: Layout, draw: Draw) -> Tensor:
        copies, sub, program = self._sub(shape, layout)

        def of_sub(law: laws.Law, tag: str) -> Tensor:
            return draw(law, tag)[::copies]  # the first of the places that show a kernel

        if isinstance(program, Made):
            values = program.maker.make(sub, program.layout, of_sub)
        elif isinstance(program, (laws.Uniform, laws.Normal, laws.TruncNormal)):
            values = of_sub(program, "values")
        else:
            raise ArgumentError(f"icnr cannot repeat what {self.initializer} gives: use an elementwise initializer")
        return values.repeat_interleave(copies, 0)
