"""DeltaOrthogonal: a convolution that is an isometry."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from .. import _laws as laws
from .._errors import ArgumentError
from .._expressions import Expression
from .._fans import Layout
from .._programs import Draw
from ._base import Initializer, Number
from .orthogonal import Orthogonal, matrix_sizes


@dataclass(frozen=True)
class DeltaOrthogonal(Initializer):
    """The centre tap is gain · H with HᵀH = 1, H Haar-distributed; all other taps are 0.

    So the convolution multiplies every input's norm by ``gain`` (with circular padding, or any padding at stride 1 that keeps
    the size), at any depth: networks of tanh train at 10,000 layers. ``Orthogonal`` on the same weight does not do that: it makes
    the rows of the flattened matrix orthonormal, and the map is no isometry.

    Use when: a plain convolutional network without norms is to be hundreds of layers deep.
    Not when: a layer has fewer outputs than inputs, or the stride is not 1: no such isometry exists.

    Args:
        gain: factor on the norm; σ_w of ``recipe("edge-of-chaos")`` for tanh.

    Raises:
        ArgumentError: not 3, 4 or 5 dimensions, fewer output than input channels (no such H exists), a gain that is not finite.

    Example:
        >>> import torch
        >>> w = DeltaOrthogonal()(16, 8, 3, 3)
        >>> x = torch.randn(1, 8, 5, 5)
        >>> y = torch.conv2d(x, w, padding=1)
        >>> torch.allclose(y.norm(), x.norm(), rtol=1e-5)
        True

    Source: Xiao et al. 2018 (1806.05393), algorithm 1. A group of a grouped convolution is an isometry by itself. An even
    kernel's centre is k // 2, as for ``Dirac``. (TensorFlow's first version scaled the norm by √gain.)
    """

    name = "delta_orthogonal"
    exact = False

    gain: Number = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.gain, Expression) and not abs(cast(float, self.gain)) < 1e38:
            raise ArgumentError(f"delta_orthogonal expects a finite gain, below 1e38 in size, got gain={self.gain}")

    def moments(self, shape: tuple[int, ...], layout: Layout) -> tuple[float, float]:
        if len(shape) not in (3, 4, 5):
            raise ArgumentError(f"delta_orthogonal is for convolutions, with 3, 4 or 5 dimensions, got shape {shape}")
        rows, columns, count = matrix_sizes(shape[:2], layout)
        if rows < columns:
            raise ArgumentError(
                f"delta_orthogonal needs at least as many output as input channels, got {rows} and {columns}: "
                f"no map to fewer channels keeps every norm; use Orthogonal there"
            )
        return 0.0, abs(cast(float, self.gain)) * math.sqrt(count * columns / math.prod(shape))

    def make(self, shape: tuple[int, ...], layout: Layout, draw: Draw) -> Tensor:
        def at_centre(law: laws.Law, tag: str) -> Tensor:
            return centre_tap(draw(law, tag))

        tap = Orthogonal(self.gain).make(shape[:2], dataclasses.replace(layout, said=None), at_centre)
        tensor = torch.zeros(shape, dtype=tap.dtype, device="cpu")
        centre_tap(tensor).copy_(tap)
        return tensor


def centre_tap(kernel: Tensor) -> Tensor:
    """The view (axis 0, axis 1) of the middle of a convolution's kernel."""
    for size in reversed(kernel.shape[2:]):
        kernel = kernel.select(-1, size // 2)
    return kernel
