"""The functions of ``initium.init`` whose std follows the fans. ``init.py`` is where users find them."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from .._errors import ArgumentError
from .._fans import DENSE
from .._quadrature import Function
from ..initializers import (
    KaimingNormal,
    KaimingUniform,
    LecunNormal,
    LecunUniform,
    VarianceScaling,
    XavierNormal,
    XavierUniform,
)
from .dropin import dropin, fill_by, real

Axes = int | tuple[int, ...] | None
Generator = torch.Generator | None


@dropin
def xavier_uniform_(
    tensor: Tensor,
    gain: float = 1.0,
    generator: Generator = None,
    *,
    in_axes: Axes = None,
    out_axes: Axes = None,
    batch_axes: Axes = None,
) -> Tensor:
    """Fill with U(−a, a), a = gain · √(6 / (fan_in + fan_out)): Xavier's, or Glorot's, uniform law.

    fan_in = size(1) · field and fan_out = size(0) · field, field being the product of the other sizes, unless axes are said.

    Args:
        tensor: floating or complex, at least 2 dimensions.
        gain: factor on the std, ≥ 0; ``calculate_gain`` knows the activations'.
        generator: a torch.Generator on the tensor's device; None is the default one.
        in_axes, out_axes, batch_axes: an axis or a tuple of axes: summed over, one an output, and stacks of independent
            weights.

    Returns:
        The same tensor.

    Raises:
        DropinError (a ValueError and RuntimeError): fewer than 2 dimensions, gain < 0, or an axis that is not there.

    Example:
        >>> w = init.xavier_uniform_(torch.empty(300, 300), gain=0.5)
        >>> float(w.abs().max()) <= 0.05 + 1e-8  # the bound is rounded to fp32
        True

    Source: Glorot & Bengio 2010, AISTATS, eq. 16.

    Differs from torch: a (0, 0) tensor is left alone (torch raises ZeroDivisionError); the axes can be said, for (in, out)
    matrices, stacked experts and transposed convolutions.
    """
    _check_dimensions(tensor)
    return fill_by(tensor, XavierUniform, real(gain, "gain"), *_axes(in_axes, out_axes, batch_axes), generator=generator)


@dropin
def xavier_normal_(
    tensor: Tensor,
    gain: float = 1.0,
    generator: Generator = None,
    *,
    in_axes: Axes = None,
    out_axes: Axes = None,
    batch_axes: Axes = None,
) -> Tensor:
    """Fill with N(0, std²), std = gain · √(2 / (fan_in + fan_out)): Xavier's, or Glorot's, normal law.

    Args:
        tensor, gain, generator, in_axes, out_axes, batch_axes: as for ``xavier_uniform_``.

    Returns:
        The same tensor.

    Raises:
        DropinError (a ValueError and RuntimeError): fewer than 2 dimensions, gain < 0, or an axis that is not there.

    Example:
        >>> w = init.xavier_normal_(torch.empty(300, 500))
        >>> abs(float(w.std()) - 0.05) < 1e-3
        True

    Source: Glorot & Bengio 2010, AISTATS, eq. 12.

    Differs from torch: a (0, 0) tensor is left alone (torch raises ZeroDivisionError); the axes can be said.
    """
    _check_dimensions(tensor)
    return fill_by(tensor, XavierNormal, real(gain, "gain"), *_axes(in_axes, out_axes, batch_axes), generator=generator)


@dropin
def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str | Function = "leaky_relu",
    generator: Generator = None,
    *,
    in_axes: Axes = None,
    out_axes: Axes = None,
    batch_axes: Axes = None,
) -> Tensor:
    """Fill with U(−bound, bound), bound = gain · √(3 / fan): Kaiming's, or He's, uniform law.

    gain = ``calculate_gain(nonlinearity, a)``; fans as for ``xavier_uniform_``.

    Args:
        tensor: floating or complex, at least 2 dimensions.
        a: the negative slope of the leaky ReLU that follows; used with ``"leaky_relu"`` (and ``"prelu"``) only, as in torch.
        mode: ``"fan_in"`` keeps the scale of activations, ``"fan_out"`` that of gradients; ``"fan_avg"`` and ``"fan_geo_avg"``
            are the arithmetic and geometric mean of the two.
        nonlinearity: a name that ``calculate_gain`` knows, or a function.
        generator, in_axes, out_axes, batch_axes: as for ``xavier_uniform_``.

    Returns:
        The same tensor. One without elements is left alone with a UserWarning, as in torch.

    Raises:
        DropinError (a ValueError and RuntimeError): fewer than 2 dimensions, an unknown mode or nonlinearity.

    Example:
        >>> w = init.kaiming_uniform_(torch.empty(64, 600), nonlinearity="relu")
        >>> float(w.abs().max()) <= 0.1 + 1e-8  # the bound is rounded to fp32
        True

    Source: He et al. 2015 (1502.01852). ``a=5**0.5`` is the default of torch's Linear and Conv: U(±1 / √fan_in).

    Differs from torch: more nonlinearities (gelu, silu, …, any function), two more modes; the axes can be said.
    """
    if _is_empty(tensor):
        return tensor
    return fill_by(tensor, KaimingUniform, a, mode, nonlinearity, *_axes(in_axes, out_axes, batch_axes), generator=generator)


@dropin
def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str | Function = "leaky_relu",
    generator: Generator = None,
    *,
    in_axes: Axes = None,
    out_axes: Axes = None,
    batch_axes: Axes = None,
) -> Tensor:
    """Fill with N(0, std²), std = gain / √fan: Kaiming's, or He's, normal law.

    Args:
        tensor, a, mode, nonlinearity, generator, in_axes, out_axes, batch_axes: as for ``kaiming_uniform_``.

    Returns:
        The same tensor. One without elements is left alone with a UserWarning, as in torch.

    Raises:
        DropinError (a ValueError and RuntimeError): fewer than 2 dimensions, an unknown mode or nonlinearity.

    Example:
        >>> w = init.kaiming_normal_(torch.empty(64, 800), nonlinearity="relu")
        >>> abs(float(w.std()) - 0.05) < 1e-3
        True

    Source: He et al. 2015 (1502.01852), eq. 10 and 14.

    Differs from torch: more nonlinearities (gelu, silu, …, any function), two more modes; the axes can be said.
    """
    if _is_empty(tensor):
        return tensor
    return fill_by(tensor, KaimingNormal, a, mode, nonlinearity, *_axes(in_axes, out_axes, batch_axes), generator=generator)


@dropin
def lecun_normal_(
    tensor: Tensor, generator: Generator = None, *, in_axes: Axes = None, out_axes: Axes = None, batch_axes: Axes = None
) -> Tensor:
    """Fill with N(0, 1 / fan_in): keeps the variance through a linear layer, and SELU's fixed point.

    Args:
        tensor, generator, in_axes, out_axes, batch_axes: as for ``xavier_uniform_``.

    Returns:
        The same tensor.

    Raises:
        DropinError (a ValueError and RuntimeError): fewer than 2 dimensions, or an axis that is not there.

    Example:
        >>> abs(float(init.lecun_normal_(torch.empty(64, 400)).std()) - 0.05) < 1e-3
        True

    Source: LeCun et al. 1998, Efficient BackProp; Klambauer et al. 2017 (1706.02515). JAX and timm cut it at ±2σ: for theirs
    write ``variance_scaling_(w)``.
    """
    _check_dimensions(tensor)
    return fill_by(tensor, LecunNormal, *_axes(in_axes, out_axes, batch_axes), generator=generator)


@dropin
def lecun_uniform_(
    tensor: Tensor, generator: Generator = None, *, in_axes: Axes = None, out_axes: Axes = None, batch_axes: Axes = None
) -> Tensor:
    """Fill with U(±√(3 / fan_in)), whose variance is 1 / fan_in.

    Args:
        tensor, generator, in_axes, out_axes, batch_axes: as for ``xavier_uniform_``.

    Returns:
        The same tensor.

    Raises:
        DropinError (a ValueError and RuntimeError): fewer than 2 dimensions, or an axis that is not there.

    Example:
        >>> float(init.lecun_uniform_(torch.empty(64, 300)).abs().max()) <= 0.1 + 1e-8  # the bound is rounded to fp32
        True

    Source: LeCun et al. 1998, Efficient BackProp.
    """
    _check_dimensions(tensor)
    return fill_by(tensor, LecunUniform, *_axes(in_axes, out_axes, batch_axes), generator=generator)


@dropin
def variance_scaling_(
    tensor: Tensor,
    scale: float = 1.0,
    mode: str = "fan_in",
    law: str = "truncated_normal",
    generator: Generator = None,
    *,
    in_axes: Axes = None,
    out_axes: Axes = None,
    batch_axes: Axes = None,
) -> Tensor:
    """Fill with a zero-mean law of variance scale / fan: the general case of LeCun's, Xavier's and Kaiming's.

    Args:
        tensor: floating or complex, at least 2 dimensions.
        scale: > 0; 1 for linear layers, 2 for ReLU.
        mode: ``"fan_in"``, ``"fan_out"``, ``"fan_avg"`` = (fan_in + fan_out) / 2, ``"fan_geo_avg"`` = √(fan_in · fan_out).
        law: ``"normal"``, ``"uniform"``, or ``"truncated_normal"``: cut at ±2σ with σ so that the variance still holds.
        generator, in_axes, out_axes, batch_axes: as for ``xavier_uniform_``.

    Returns:
        The same tensor.

    Raises:
        DropinError (a ValueError and RuntimeError): fewer than 2 dimensions, scale ≤ 0, an unknown mode or law.

    Example:
        >>> w = init.variance_scaling_(torch.empty(64, 400), 2.0, "fan_in", "normal")
        >>> abs(float(w.std()) - (2 / 400) ** 0.5) < 2e-3
        True

    Source: the arguments are Keras's and JAX's ``VarianceScaling``.
    """
    _check_dimensions(tensor)
    return fill_by(
        tensor, VarianceScaling, real(scale, "scale"), mode, law, *_axes(in_axes, out_axes, batch_axes), generator=generator
    )


def _axes(*axes: Axes) -> tuple[tuple[int, ...] | None, ...]:
    return tuple((axis,) if isinstance(axis, int) else axis for axis in axes)


def _check_dimensions(tensor: Tensor) -> None:
    if tensor.dim() < 2:
        raise ArgumentError(
            f"Fan in and fan out can not be computed for tensor with fewer than 2 dimensions: this one has shape "
            f"{tuple(tensor.shape)}; a bias or a scale wants zeros_, constant_, normal_ or uniform_"
        )


def _is_empty(tensor: Tensor) -> bool:
    if 0 in tensor.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", UserWarning, stacklevel=4)
        return True
    _check_dimensions(tensor)
    return False


def _calculate_fan_in_and_fan_out(tensor: Tensor) -> tuple[int, int]:
    """(fan_in, fan_out) by shape; private in torch too, but many a ``reset_parameters`` calls it."""
    _check_dimensions(tensor)
    return DENSE.fans(tuple(tensor.shape))


def _calculate_correct_fan(tensor: Tensor, mode: str) -> int:
    """The fan of a mode, by shape; private in torch too."""
    if mode.lower() not in ("fan_in", "fan_out"):
        raise ArgumentError(f"Mode {mode} not supported, please use one of ['fan_in', 'fan_out']")
    return _calculate_fan_in_and_fan_out(tensor)[mode.lower() == "fan_out"]
