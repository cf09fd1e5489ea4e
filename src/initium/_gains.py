"""Gains: by how much weights must grow so that a nonlinearity keeps the scale of what passes through it.

For z ~ N(0, 1): *forward* = E[f(z)²]^-½ keeps the second moment of activations, *backward* = E[f'(z)²]^-½ that of gradients,
*centred* = Var[f(z)]^-½ the variance, for weights that are standardised. A weight's std is gain / √fan.

Named functions have constants, correctly rounded from 32 digits, so that they are the same on every machine; anything else is
integrated here, in fp64, and rounded to 13 digits.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ._errors import ArgumentError, ArgumentTypeError, nearest
from ._quadrature import Function, derivative, expectation, on_tensors

MODES = ("forward", "backward", "centred")

GAINS: dict[str, tuple[float, float, float]] = {  # name: forward, backward, centred
    "identity": (1.0, 1.0, 1.0),
    "relu": (1.4142135623730951, 1.4142135623730951, 1.7128585504496627),
    "relu2": (0.816496580927726, 0.7071067811865476, 0.8944271909999159),  # max(z, 0)²
    "relu6": (1.4142135650950736, 1.4142135637683406, 1.7128585549723954),
    "leaky_relu": (1.4141428569978354, 1.4141428569978354, 1.7048316271773367),  # slope 0.01
    "prelu": (1.3719886811400708, 1.3719886811400708, 1.504609643215645),  # slope 0.25
    "elu": (1.2451983007007066, 1.223428557552621, 1.2708434178501964),  # alpha 1: celu is the same
    "selu": (1.0, 0.9660257769739011, 1.0),
    "gelu": (1.5335304411955353, 1.4811144127083482, 1.7009262433633332),  # z Φ(z)
    "gelu_tanh": (1.533580521666147, 1.4811680580933506, 1.7009165616954505),
    "quick_gelu": (1.5394587622988314, 1.491459226750051, 1.7093585898912749),  # z sigmoid(1.702 z)
    "silu": (1.676532470331091, 1.6233202579524972, 1.787187222100442),
    "mish": (1.486847581273208, 1.4447552325473194, 1.5920253810994462),
    "softplus": (1.0418668355353018, 1.8462285453386054, 1.9191259801076563),
    "logsigmoid": (1.0418668355353018, 1.8462285453386054, 1.9191259801076563),
    "sigmoid": (1.8462285453386054, 4.722646085937974, 4.801313372039962),
    "tanh": (1.5925374197228315, 1.467413591630795, 1.5925374197228315),
    "hardtanh": (1.3920361404483097, 1.2102870624325224, 1.3920361404483097),
    "hardsigmoid": (1.897840424729559, 6.008115825196681, 6.015034486637097),
    "hardswish": (1.7366572127665416, 1.6700763674413823, 1.8138714738131827),
    "softsign": (2.3375333631085398, 2.095780608943311, 2.3375333631085398),
    "tanhshrink": (2.3383675301021216, 1.9881388232490018, 2.3383675301021216),
    "softshrink": (1.5443605282801334, 1.2730076010313076, 1.5443605282801334),  # lambda 0.5
    "hardshrink": (1.015796354719734, 1.2730076010313076, 1.015796354719734),  # lambda 0.5
    "sin": (1.5208666231788148, 1.327250600284575, 1.5208666231788148),
    "cos": (1.327250600284575, 1.5208666231788148, 2.237252914212928),
    "gaussian": (1.4953487812212205, 1.671850762441055, 2.9633010224029768),  # exp(-z²)
    "erf": (1.4671669504891387, 1.3252183528612111, 1.4671669504891387),
    "abs": (1.0, 1.0, 1.6588967399703058),
}

_LINEAR = ("linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
ALIASES = {
    **dict.fromkeys(_LINEAR, "identity"),
    "swish": "silu",
    "celu": "elu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu²": "relu2",
    "relu_squared": "relu2",
    "squared_relu": "relu2",
    "log_sigmoid": "logsigmoid",
}

# torch.nn.init's own numbers: sigmoid, tanh and selu are rules of thumb, not E[f²]^-½.
TORCH_GAINS: dict[str, float] = {
    **dict.fromkeys((*_LINEAR, "sigmoid"), 1),
    "tanh": 5.0 / 3,
    "relu": math.sqrt(2.0),
    "selu": 3.0 / 4,
}

_PARAMETRIC: dict[str, Callable[[Tensor, float], Tensor]] = {
    "elu": lambda z, alpha: F.elu(z, alpha),
    "celu": lambda z, alpha: F.celu(z, alpha),
    "softplus": lambda z, beta: F.softplus(z, beta, threshold=50.0),
    "softshrink": lambda z, lambd: F.softshrink(z, lambd),
    "hardshrink": lambda z, lambd: F.hardshrink(z, lambd),
    "sin": lambda z, omega: torch.sin(omega * z),
    "quick_gelu": lambda z, slope: z * torch.sigmoid(slope * z),
}


def calculate_gain(nonlinearity: str | Function, param: float | None = None) -> float:
    """The factor on a weight's std for the nonlinearity that follows it.

    Torch's names keep torch's values (linear and convolutions 1, sigmoid 1, tanh 5/3, relu √2, leaky_relu √(2 / (1 + slope²)),
    selu 3/4). Every other name, and any function, gets E[f(z)²]^-½ for z ~ N(0, 1), which keeps the second moment of the
    activations.

    Args:
        nonlinearity: a name (``"gelu"``, ``"silu"``, ``"mish"``, …), or a function as for ``initium.gain``.
        param: leaky_relu's and prelu's negative slope, elu's and celu's alpha, softplus's beta, softshrink's and hardshrink's
            lambda, quick_gelu's slope, sin's frequency; ignored for the names where torch ignores it.

    Returns:
        A positive number.

    Raises:
        ArgumentError: an unknown name (the nearest is offered), or a param that is no number or has no meaning there.

    Example:
        >>> calculate_gain("leaky_relu", 0.2), calculate_gain("silu"), calculate_gain(torch.nn.GELU())
        (1.3867504905630728, 1.676532470331091, 1.533530441196)

    Source: He et al. 2015 (1502.01852) for relu; the other exact values are integrals, see ``initium.gain``.

    Differs from torch: torch raises for gelu, silu, mish, elu, celu, softplus, hardswish, quick_gelu, relu², sin, … and for
    functions.
    """
    if not isinstance(nonlinearity, str):
        if not callable(nonlinearity):
            raise ArgumentError(f"Unsupported nonlinearity {nonlinearity}: write a name such as 'gelu', or a function")
        if param is not None:
            raise ArgumentError(f"param={param} has no meaning for a function: put it into the function")
        return gain(nonlinearity)
    if nonlinearity in ("leaky_relu", "prelu"):
        slope = (0.01 if nonlinearity == "leaky_relu" else 0.25) if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, (int, float)):
            raise ArgumentError(f"negative_slope {param} not a valid number")
        if abs(slope) > 1e150:  # its square is beyond double precision
            raise ArgumentError("negative_slope is beyond 1e150, where its square is no number")
        return math.sqrt(2.0 / (1 + slope**2))
    if nonlinearity in TORCH_GAINS:
        return TORCH_GAINS[nonlinearity]
    row = _row(nonlinearity)
    if param is None:
        return row[0]
    function = _PARAMETRIC.get(nonlinearity)
    if function is None:
        raise ArgumentError(f"{nonlinearity} has no parameter, got param={param}: leave it out, or give the function itself")
    if isinstance(param, bool) or not isinstance(param, (int, float)) or not math.isfinite(param):
        raise ArgumentError(f"{nonlinearity} expects a number for param, got {param!r}")
    return gain(lambda z: function(z, param))


def gain(f: str | Function, mode: str = "forward") -> float:
    """The gain of a nonlinearity for a standard normal input, exact for names and to 12 digits for anything else.

    forward = E[f(z)²]^-½, backward = E[f'(z)²]^-½, centred = Var[f(z)]^-½, z ~ N(0, 1).

    Args:
        f: a name that ``calculate_gain`` knows; an ``nn.Module`` (used in eval mode, in fp64); a function of tensors,
            elementwise; or, for forward and centred, a function of one float. Kinks and jumps may be anywhere; what is narrower
            than 1/1000 of a sigma may be missed.
        mode: ``"forward"``, ``"backward"`` or ``"centred"``.

    Returns:
        A positive number. For gated units f(g) · u the gain of the projection behind them is f's forward gain.

    Raises:
        ArgumentError: an unknown name or mode; a function that is not finite, complex or not elementwise, grows too fast for the
            integral, is zero everywhere, or is not smooth between its kinks (noise, or arithmetic below fp64).
        ArgumentTypeError: not a function, or backward of a function that autograd cannot see through.

    Example:
        >>> gain("tanh"), gain(torch.sin), gain(torch.nn.ReLU(), "backward"), gain(lambda x: max(0.0, x), "centred")
        (1.5925374197228315, 1.520866623179, 1.414213562373, 1.71285855045)
    """
    if mode not in MODES:
        raise ArgumentError(f"mode {mode!r} is no gain.{nearest(str(mode), MODES)} Please use one of {', '.join(MODES)}")
    if isinstance(f, str):
        return _row(f)[MODES.index(mode)]
    if not callable(f):
        raise ArgumentTypeError(f"gain expects a name, an nn.Module or a function, got {type(f).__name__}")
    with torch.inference_mode(False), torch.enable_grad():
        function = on_tensors(f)
        mean = 0.0
        if mode == "backward":
            moment = expectation(lambda z: derivative(function, z).square())
        else:
            mean = expectation(function) if mode == "centred" else 0.0
            moment = expectation(lambda z: (function(z) - mean).square())
    if moment <= max(1e-280, 1e-26 * mean**2):  # a constant's variance is rounding
        flat = "derivative" if mode == "backward" else "variation"
        raise ArgumentError(f"the function has no {mode} gain: its {flat} is zero")
    return float(f"{1.0 / math.sqrt(moment):.13g}")  # what is left out is where machines could disagree


def _row(name: str) -> tuple[float, float, float]:
    row = GAINS.get(ALIASES.get(name, name))
    if row is None:
        known = sorted({*GAINS, *ALIASES})
        raise ArgumentError(
            f"Unsupported nonlinearity {name}.{nearest(name, known)} Known: {', '.join(known)}; or give the function itself"
        )
    return row
