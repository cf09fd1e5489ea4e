"""In-place functions that torch.nn.init has not: for convolutions that upsample, keep norms, or feed sines."""

from __future__ import annotations

import torch
from torch import Tensor

from .._fans import DENSE, Layout
from ..initializers import ICNR, Bilinear, DeltaOrthogonal, Initializer, Siren
from .dropin import dropin, fill_by_generator, real

Generator = torch.Generator | None


@dropin
def delta_orthogonal_(tensor: Tensor, gain: float = 1.0, generator: Generator = None) -> Tensor:
    """Fill a convolution's kernel with gain · H in its centre tap, HᵀH = 1, and 0 elsewhere: it multiplies norms by ``gain``.

    Args:
        tensor: (out, in, *field) with out ≥ in and 3, 4 or 5 dimensions.
        gain: factor on the norm.
        generator: the generator to draw the key from (torch's own unless said).

    Returns:
        The same tensor.

    Raises:
        DropinError (a ValueError and RuntimeError): fewer outputs than inputs, or another number of dimensions.

    Example:
        >>> w = init.delta_orthogonal_(torch.empty(16, 8, 3, 3))
        >>> torch.allclose(w[:, :, 1, 1].T @ w[:, :, 1, 1], torch.eye(8), atol=1e-6)
        True

    Source: Xiao et al. 2018 (1806.05393); ``initium.DeltaOrthogonal``.
    """
    return fill_by_generator(tensor, DeltaOrthogonal(real(gain, "gain")), generator=generator)


@dropin
def icnr_(
    tensor: Tensor, upscale_factor: int, initializer: Initializer | str | float = "kaiming_normal", generator: Generator = None
) -> Tensor:
    """Fill a convolution's kernel (or bias) so that every upscale_factor² neighbouring outputs agree, as PixelShuffle reads them.

    Args:
        tensor: (out, in, *field), or a bias, (out,).
        upscale_factor: of the shuffle that follows; its power of the number of spatial axes divides ``out``.
        initializer: what one of the equal kernels gets; its fans are those of out / upscale_factor² outputs.
        generator: the generator to draw the key from (torch's own unless said).

    Returns:
        The same tensor.

    Raises:
        DropinError (a ValueError and RuntimeError): outputs that it does not divide, or another number of dimensions.

    Example:
        >>> w = init.icnr_(torch.empty(8, 3, 3, 3), upscale_factor=2)
        >>> bool((w[0] == w[3]).all()), bool((w[3] == w[4]).all())
        (True, False)

    Source: Aitken et al. 2017 (1707.02937); ``initium.ICNR``.
    """
    return fill_by_generator(tensor, ICNR(upscale_factor, initializer), generator=generator)  # type: ignore[arg-type]


@dropin
def bilinear_(tensor: Tensor) -> Tensor:
    """Fill a transposed convolution's kernel with the tent that interpolates each channel by itself.

    Args:
        tensor: (channels, channels, *field), or (channels, 1, *field) of a depthwise layer, of which each channel gets the tent.

    Returns:
        The same tensor.

    Raises:
        DropinError (a ValueError and RuntimeError): different numbers of channels, or not 3, 4 or 5 dimensions.

    Example:
        >>> init.bilinear_(torch.empty(1, 1, 4))
        tensor([[[0.2500, 0.7500, 0.7500, 0.2500]]])

    Source: Long et al. 2015; ``initium.Bilinear``.
    """
    depthwise = tensor.dim() > 2 and tensor.shape[1] == 1
    layout = Layout("weight", groups=tensor.shape[0]) if depthwise and tensor.shape[0] > 0 else DENSE
    return fill_by_generator(tensor, Bilinear(), layout)


@dropin
def siren_(tensor: Tensor, first: bool = False, omega_0: float = 30.0, generator: Generator = None) -> Tensor:
    """Fill with U(±√(6 / fan_in) / omega_0), or U(±1 / fan_in) in the first layer, for a sine network.

    Args:
        tensor: at least 2 dimensions.
        first: this is the first layer.
        omega_0: the frequency inside the sine, > 0.
        generator: the generator to draw the key from (torch's own unless said).

    Returns:
        The same tensor.

    Raises:
        DropinError (a ValueError and RuntimeError): fewer than 2 dimensions, or omega_0 ≤ 0.

    Example:
        >>> float(init.siren_(torch.empty(64, 600)).abs().max()) <= 0.1 / 30 + 1e-8  # the bound is rounded to fp32
        True

    Source: Sitzmann et al. 2020 (2006.09661); ``initium.Siren``.
    """
    return fill_by_generator(tensor, Siren(first, real(omega_0, "omega_0")), generator=generator)
