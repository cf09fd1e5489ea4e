"""torch.nn.init's functions, name for name, and a few that it lacks: ``from initium import init``.

Arguments, errors, warnings and the in-place meaning are torch's; the numbers drawn are not. Every function fills the tensor
that it is given, whatever its memory layout, outside autograd, and returns it. What is drawn depends on torch's generator
(``manual_seed``, ``generator=``), which is advanced once a call whatever the size, on an element's place and on the law: not on
dtype, memory layout, threads or instruction set. Meta, fake and empty tensors are left alone and draw nothing. ``docs/init.md``
lists what differs.

Every function raises, beside what its own text says: WriteError (a RuntimeError) for a tensor that cannot be written (expanded,
inference, quantised) or a generator on another device, DtypeError (a TypeError and NotImplementedError) for random values in an
integer, bool or 8-bit float tensor, NoTensorError (a TypeError and AttributeError) for None, LazyError (a ValueError) for a
lazy parameter; and it warns where the tensor was computed from others, as a parametrised weight is, since the model then does
not change.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import ParamSpec

import torch
from torch import Tensor

from ._errors import ArgumentError, ArgumentTypeError
from ._fans import DENSE
from ._gains import calculate_gain
from ._init.dropin import dropin, fill_by, fill_by_generator, real
from ._init.fans import (
    _calculate_correct_fan,  # noqa: F401 – private in torch too, but many a reset_parameters calls them
    _calculate_fan_in_and_fan_out,  # noqa: F401
    kaiming_normal_,
    kaiming_uniform_,
    lecun_normal_,
    lecun_uniform_,
    variance_scaling_,
    xavier_normal_,
    xavier_uniform_,
)
from ._init.special import bilinear_, delta_orthogonal_, icnr_, siren_
from .initializers import Constant, CutNormal, Dirac, Eye, Normal, Orthogonal, Sparse, Uniform

__all__ = [
    "bilinear_",
    "calculate_gain",
    "constant",
    "constant_",
    "delta_orthogonal_",
    "dirac",
    "dirac_",
    "eye",
    "eye_",
    "icnr_",
    "identity_",
    "kaiming_normal",
    "kaiming_normal_",
    "kaiming_uniform",
    "kaiming_uniform_",
    "lecun_normal_",
    "lecun_uniform_",
    "normal",
    "normal_",
    "ones_",
    "orthogonal",
    "orthogonal_",
    "siren_",
    "sparse",
    "sparse_",
    "trunc_normal_",
    "uniform",
    "uniform_",
    "variance_scaling_",
    "xavier_normal",
    "xavier_normal_",
    "xavier_uniform",
    "xavier_uniform_",
    "zeros_",
]

P = ParamSpec("P")


@dropin
def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
    """Fill with U[a, b): u · (b − a) + a, u = k / 2²⁴.

    Args:
        tensor: floating or complex (then each part is uniform); any shape.
        a, b: the bounds, a ≤ b; b itself is not drawn, but in fp16 and bf16 the rounded value may equal it.
        generator: a torch.Generator on the tensor's device; None is the default one.

    Returns:
        The same tensor.

    Raises:
        DropinError (a ValueError and RuntimeError): a > b, a bound that is not finite, or b − a beyond fp32.

    Example:
        >>> w = init.uniform_(torch.empty(1000), -0.1, 0.1)
        >>> bool((w >= -0.1).all() and (w < 0.1).all())
        True

    Differs from torch: bf16, fp16 and fp64 tensors get the fp32 values, rounded or widened; in fp32 and fp64 b is never drawn.
    """
    return fill_by(tensor, Uniform, real(a, "a"), real(b, "b"), generator=generator)


@dropin
def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
    """Fill with N(mean, std²): z · std + mean, |z| ≤ 6.23.

    Args:
        tensor: floating or complex (then E|w − mean|² = std², half in each part); any shape.
        mean: any finite number.
        std: standard deviation, ≥ 0.
        generator: a torch.Generator on the tensor's device; None is the default one.

    Returns:
        The same tensor.

    Raises:
        DropinError (a ValueError and RuntimeError): std < 0, or a number that is not finite.

    Example:
        >>> w = init.normal_(torch.empty(256, 256), std=0.02)
        >>> abs(float(w.std()) - 0.02) < 2e-4
        True

    Differs from torch: a tensor of 32 elements holds the first 32 of one of 40; bf16, fp16 and fp64 get the fp32 values.
    """
    return fill_by(tensor, Normal, real(std, "std"), real(mean, "mean"), generator=generator)


@dropin
def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Fill with N(mean, std²) cut to [a, b], exactly and without rejection: Φ⁻¹ of a uniform number between Φ(a) and Φ(b).

    Args:
        tensor: floating or complex (then each part is cut, with half the variance); any shape.
        mean: any finite number; it may lie outside [a, b].
        std: standard deviation before the cut, ≥ 0; what comes out is smaller (0.88 std for a cut at ±2 std).
        a, b: the cuts, *absolute* (not in units of std), a ≤ b, ±inf allowed; no value lies outside, but for the rounding of
            fp16 and bf16.
        generator: a torch.Generator on the tensor's device; None is the default one.

    Returns:
        The same tensor.

    Raises:
        DropinError (a ValueError and RuntimeError): std < 0, a > b, or a NaN.

    Example:
        >>> w = init.trunc_normal_(torch.empty(1000), a=8.0, b=9.0)
        >>> bool((w >= 8).all() and (w <= 9).all())
        True

    Differs from torch: exact for narrow and far intervals and in every dtype, without torch's warning there; takes the same
    time whatever the cut; std = 0 gives the mean kept within [a, b] (torch raises ZeroDivisionError); complex works. For a cut
    in units of σ and the std that was asked for: ``initium.TruncNormal``.
    """
    return fill_by(tensor, CutNormal, real(std, "std"), real(mean, "mean"), real(a, "a"), real(b, "b"), generator=generator)


@dropin
def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fill with ``val``.

    Args:
        tensor: any dtype and shape; views of one memory (``expand``) too.
        val: a number; complex for complex tensors.

    Returns:
        The same tensor.

    Example:
        >>> init.constant_(torch.empty(2), 0.3)
        tensor([0.3000, 0.3000])
    """
    return fill_by_generator(tensor, Constant(_scalar(val)))


@dropin
def ones_(tensor: Tensor) -> Tensor:
    """Fill with 1.

    Args:
        tensor: any dtype and shape.

    Returns:
        The same tensor.

    Example:
        >>> init.ones_(torch.empty(2))
        tensor([1., 1.])
    """
    return fill_by(tensor, Constant, 1.0)


@dropin
def zeros_(tensor: Tensor) -> Tensor:
    """Fill with 0.

    Args:
        tensor: any dtype and shape.

    Returns:
        The same tensor.

    Example:
        >>> init.zeros_(torch.empty(2))
        tensor([0., 0.])
    """
    return fill_by(tensor, Constant, 0.0)


@dropin
def eye_(tensor: Tensor) -> Tensor:
    """Fill a matrix with the identity map: 1 on the diagonal, 0 elsewhere.

    Args:
        tensor: any dtype, 2 dimensions of any sizes.

    Returns:
        The same tensor.

    Raises:
        DropinError (a ValueError and RuntimeError): not 2 dimensions.

    Example:
        >>> init.eye_(torch.empty(2, 3))
        tensor([[1., 0., 0.],
                [0., 1., 0.]])
    """
    return identity_.__wrapped__(tensor)  # type: ignore[attr-defined, no-any-return]


@dropin
def identity_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Fill a matrix with ``gain`` times the identity map.

    Args:
        tensor: any dtype, 2 dimensions of any sizes; for convolutions see ``dirac_``.
        gain: the value on the diagonal.

    Returns:
        The same tensor.

    Raises:
        DropinError (a ValueError and RuntimeError): not 2 dimensions.

    Example:
        >>> init.identity_(torch.empty(2, 2), 0.5)
        tensor([[0.5000, 0.0000],
                [0.0000, 0.5000]])

    Source: Le et al. 2015 (1504.00941), for recurrent weights; Keras's and flax's ``identity``.
    """
    _check_matrix(tensor)
    return fill_by_generator(tensor, Eye(real(gain, "gain")))


@dropin
def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Fill a convolution's weight so that it passes its input through: w[o, o, centre] = 1, 0 elsewhere.

    Args:
        tensor: any dtype; 3, 4 or 5 dimensions (out, in, *kernel); the centre of an even kernel is k // 2.
        groups: each of ``groups`` equal parts of the outputs passes the inputs again, ≥ 1.

    Returns:
        The same tensor.

    Raises:
        DropinError (a ValueError and RuntimeError): other dimensions, or outputs that are not divisible by ``groups``.

    Example:
        >>> init.dirac_(torch.empty(1, 1, 3))
        tensor([[[0., 1., 0.]]])

    Source: Zagoruyko & Komodakis 2017 (1706.00388).
    """
    if groups < 1:
        raise ArgumentError(f"dirac expects groups >= 1, got groups={groups}")
    Dirac(groups).program(tuple(tensor.shape), DENSE)  # its checks, for meta and empty tensors too
    return fill_by_generator(tensor, Dirac(groups))


@dropin
def orthogonal_(tensor: Tensor, gain: float = 1, generator: torch.Generator | None = None) -> Tensor:
    """Fill with gain · Q, Q uniform (Haar) among the matrices of shape (size(0), all else) with orthonormal rows or columns.

    Args:
        tensor: floating, or complex (then Q is unitary); at least 2 dimensions, those behind the first flattened.
        gain: every singular value, any finite number.
        generator: a torch.Generator on the tensor's device; None is the default one.

    Returns:
        The same tensor.

    Raises:
        DropinError (a ValueError and RuntimeError): fewer than 2 dimensions, or a gain that is not finite.

    Example:
        >>> w = init.orthogonal_(torch.empty(64, 100, dtype=torch.float64), gain=2)
        >>> torch.allclose(w @ w.T, 4 * torch.eye(64, dtype=torch.float64))
        True

    Source: Saxe et al. 2014 (1312.6120); Mezzadri 2007 (math-ph/0609050) for the signs. A convolution so filled is no isometry.

    Differs from torch: bf16, fp16, complex and channels_last work; computed in fp64 on one thread, so that it agrees to 1e-6
    whatever the machine, threads and device; a gain that is NaN or infinite is refused.
    """
    if tensor.dim() < 2:
        raise ArgumentError("Only tensors with 2 or more dimensions are supported")
    return fill_by_generator(tensor, Orthogonal(real(gain, "gain")), generator=generator)


@dropin
def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: torch.Generator | None = None) -> Tensor:
    """Fill with N(0, std²), and ceil(sparsity · rows) elements of each column, at random places, with 0.

    Args:
        tensor: floating or complex, 2 dimensions.
        sparsity: the fraction of each column that is zero, in [0, 1].
        std: standard deviation of the other elements, ≥ 0.
        generator: a torch.Generator on the tensor's device; None is the default one.

    Returns:
        The same tensor.

    Raises:
        DropinError (a ValueError and RuntimeError): not 2 dimensions, sparsity outside [0, 1], or std < 0.

    Example:
        >>> w = init.sparse_(torch.empty(10, 4), sparsity=0.9)
        >>> (w == 0).sum(0).tolist()
        [9, 9, 9, 9]

    Source: Martens 2010, ICML; the paper fixes the incoming connections instead: ``initium.Sparse(along="row")``.

    Differs from torch: the places of the zeros obey ``generator`` too (torch takes them from the default one); sparsity > 1 is
    refused.
    """
    _check_matrix(tensor)
    return fill_by_generator(tensor, Sparse(real(sparsity, "sparsity"), real(std, "std")), generator=generator)


def _check_matrix(tensor: Tensor) -> None:
    if tensor.dim() != 2:
        raise ArgumentError("Only tensors with 2 dimensions are supported")


def _scalar(value: object) -> complex:
    """What torch's ``fill_`` takes: a number of Python or numpy, or a tensor without dimensions; whole numbers stay exact."""
    if hasattr(value, "item") and not (isinstance(value, Tensor) and value.dim() > 0):
        value = value.item()
    if not isinstance(value, (int, float, complex)):
        raise ArgumentTypeError(f"val must be a number, not {type(value).__name__}")
    return int(value) if isinstance(value, bool) else value


def _legacy(function: Callable[P, Tensor]) -> Callable[P, Tensor]:
    """The name without the underscore, from before torch 0.4."""
    new = function.__name__
    old = new[:-1]

    @functools.wraps(function)
    def deprecated(*args: P.args, **kwargs: P.kwargs) -> Tensor:
        warnings.warn(f"`nn.init.{old}` is now deprecated in favor of `nn.init.{new}`.", FutureWarning, stacklevel=2)
        return function(*args, **kwargs)

    deprecated.__name__ = deprecated.__qualname__ = old
    deprecated.__doc__ = f"``{new}`` under the name it had before torch 0.4; warns with a FutureWarning."
    return deprecated


uniform = _legacy(uniform_)
normal = _legacy(normal_)
constant = _legacy(constant_)
eye = _legacy(eye_)
dirac = _legacy(dirac_)
xavier_uniform = _legacy(xavier_uniform_)
xavier_normal = _legacy(xavier_normal_)
kaiming_uniform = _legacy(kaiming_uniform_)
kaiming_normal = _legacy(kaiming_normal_)
orthogonal = _legacy(orthogonal_)
sparse = _legacy(sparse_)
