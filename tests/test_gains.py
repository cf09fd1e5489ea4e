"""Gains: the table against 30-digit integrals, quadrature against the table, errors."""

from __future__ import annotations

import ast
import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from mpmath import mp, mpf
from torch import nn

import initium._gains
from initium._errors import InitiumError
from initium._gains import ALIASES, GAINS, MODES, TORCH_GAINS, calculate_gain, gain

with mp.workdps(40):
    _SELU = (mpf("1.0507009873554804934193349852946"), mpf("1.6732632423543772848170429916717"))
    _GELU_TANH = (mp.sqrt(2 / mp.pi), mpf("0.044715"))


def _sigmoid(x):
    return 1 / (1 + mp.exp(-x))


def _softplus(x):
    return mp.log1p(mp.exp(x))


def _gelu_tanh(x):
    return x / 2 * (1 + mp.tanh(_GELU_TANH[0] * (x + _GELU_TANH[1] * x**3)))


def _gelu_tanh_slope(x):
    c, k = _GELU_TANH
    t = mp.tanh(c * (x + k * x**3))
    return (1 + t) / 2 + x / 2 * (1 - t * t) * c * (1 + 3 * k * x * x)


def _mish_slope(x):
    t = mp.tanh(_softplus(x))
    return t + x * (1 - t * t) * _sigmoid(x)


def _clip(x):
    return min(max(x / 6 + mpf(1) / 2, 0), 1)


EXACT = {  # name: f, f', kinks
    "identity": (lambda x: x, lambda x: 1, ()),
    "relu": (lambda x: max(x, 0), lambda x: x > 0, (0,)),
    "relu2": (lambda x: max(x, 0) ** 2, lambda x: 2 * max(x, 0), (0,)),
    "relu6": (lambda x: min(max(x, 0), 6), lambda x: 0 < x < 6, (0, 6)),
    "leaky_relu": (lambda x: x if x > 0 else x / 100, lambda x: 1 if x > 0 else mpf(1) / 100, (0,)),
    "prelu": (lambda x: x if x > 0 else x / 4, lambda x: 1 if x > 0 else mpf(1) / 4, (0,)),
    "elu": (lambda x: x if x > 0 else mp.expm1(x), lambda x: 1 if x > 0 else mp.exp(x), (0,)),
    "selu": (
        lambda x: _SELU[0] * (x if x > 0 else _SELU[1] * mp.expm1(x)),
        lambda x: _SELU[0] * (1 if x > 0 else _SELU[1] * mp.exp(x)),
        (0,),
    ),
    "gelu": (lambda x: x * mp.ncdf(x), lambda x: mp.ncdf(x) + x * mp.npdf(x), ()),
    "gelu_tanh": (_gelu_tanh, _gelu_tanh_slope, ()),
    "quick_gelu": (
        lambda x: x * _sigmoid(mpf("1.702") * x),
        lambda x: (s := _sigmoid(mpf("1.702") * x)) + mpf("1.702") * x * s * (1 - s),
        (),
    ),
    "silu": (lambda x: x * _sigmoid(x), lambda x: (s := _sigmoid(x)) + x * s * (1 - s), ()),
    "mish": (lambda x: x * mp.tanh(_softplus(x)), _mish_slope, ()),
    "softplus": (_softplus, _sigmoid, ()),
    "logsigmoid": (lambda x: -_softplus(-x), lambda x: _sigmoid(-x), ()),
    "sigmoid": (_sigmoid, lambda x: (s := _sigmoid(x)) * (1 - s), ()),
    "tanh": (mp.tanh, lambda x: 1 - mp.tanh(x) ** 2, ()),
    "hardtanh": (lambda x: min(max(x, -1), 1), lambda x: abs(x) < 1, (-1, 1)),
    "hardsigmoid": (_clip, lambda x: mpf(1) / 6 if abs(x) < 3 else 0, (-3, 3)),
    "hardswish": (lambda x: x * _clip(x), lambda x: (x > 3) if abs(x) > 3 else x / 3 + mpf(1) / 2, (-3, 3)),
    "softsign": (lambda x: x / (1 + abs(x)), lambda x: 1 / (1 + abs(x)) ** 2, (0,)),
    "tanhshrink": (lambda x: x - mp.tanh(x), lambda x: mp.tanh(x) ** 2, ()),
    "softshrink": (lambda x: x - mp.sign(x) / 2 if abs(x) > 0.5 else 0, lambda x: abs(x) > 0.5, (-0.5, 0.5)),
    "hardshrink": (lambda x: x if abs(x) > 0.5 else 0, lambda x: abs(x) > 0.5, (-0.5, 0.5)),
    "sin": (mp.sin, mp.cos, ()),
    "cos": (mp.cos, mp.sin, ()),
    "gaussian": (lambda x: mp.exp(-x * x), lambda x: -2 * x * mp.exp(-x * x), ()),
    "erf": (mp.erf, lambda x: 2 / mp.sqrt(mp.pi) * mp.exp(-x * x), ()),
    "abs": (abs, mp.sign, (0,)),
}

TORCHS = {  # the same in torch, as a user would pass them
    "identity": nn.Identity,
    "relu": F.relu,
    "relu2": lambda z: F.relu(z).square(),
    "relu6": nn.ReLU6(),
    "leaky_relu": F.leaky_relu,
    "prelu": nn.PReLU(),
    "elu": nn.ELU,
    "selu": F.selu,
    "gelu": F.gelu,
    "gelu_tanh": nn.GELU("tanh"),
    "quick_gelu": lambda z: z * torch.sigmoid(1.702 * z),
    "silu": F.silu,
    "mish": F.mish,
    "softplus": lambda z: F.softplus(z, threshold=100.0),
    "logsigmoid": F.logsigmoid,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "hardtanh": F.hardtanh,
    "hardsigmoid": F.hardsigmoid,
    "hardswish": F.hardswish,
    "softsign": F.softsign,
    "tanhshrink": F.tanhshrink,
    "softshrink": F.softshrink,
    "hardshrink": F.hardshrink,
    "sin": torch.sin,
    "cos": torch.cos,
    "gaussian": lambda z: torch.exp(-z * z),
    "erf": torch.erf,
    "abs": torch.abs,
}


def test_every_row_is_checked():
    assert set(EXACT) == set(TORCHS) == set(GAINS)
    assert set(ALIASES.values()) <= set(GAINS)


@pytest.mark.parametrize("name", GAINS)
def test_table_is_correctly_rounded(name):
    function, slope, kinks = EXACT[name]
    points = sorted({-13, -8, -4, -2, 0, 2, 4, 8, 13, *kinks})

    def expectation(g):
        return mp.quad(lambda x: g(x) * mp.npdf(x), points)

    with mp.workdps(30):
        square, steepness, mean = (
            expectation(lambda x: function(x) ** 2),
            expectation(lambda x: slope(x) ** 2),
            expectation(function),
        )
        assert GAINS[name] == tuple(float(1 / mp.sqrt(m)) for m in (square, steepness, square - mean**2))


@pytest.mark.parametrize("name", GAINS)
@pytest.mark.parametrize("mode", MODES)
def test_quadrature_agrees_with_the_table_to_12_digits(name, mode):
    assert gain(TORCHS[name], mode) == pytest.approx(GAINS[name][MODES.index(mode)], rel=5e-13)


@pytest.mark.parametrize(
    ("function", "mode", "exact"),
    [
        (lambda z: torch.sin(30 * z), "forward", math.sqrt(2 / (1 - math.exp(-1800)))),
        (lambda z: torch.sin(30 * z), "backward", math.sqrt(2) / 30),
        (lambda z: (z > 0.1234567).double(), "forward", (math.erfc(0.1234567 / math.sqrt(2)) / 2) ** -0.5),
        (lambda z: torch.exp(2 * z), "forward", math.exp(-4)),
        (lambda z: z**8, "forward", math.prod(range(1, 16, 2)) ** -0.5),
        (lambda z: 3 * z + 1e3, "centred", 1 / 3),
        (lambda x: max(0.0, x), "forward", math.sqrt(2)),
        (math.erf, "centred", GAINS["erf"][0]),
        (lambda z: F.relu(z - 6.0), "backward", (math.erfc(6 / math.sqrt(2)) / 2) ** -0.5),
    ],
)
def test_quadrature_finds_kinks_jumps_waves_and_tails(function, mode, exact):
    assert gain(function, mode) == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize("place", [5e-5, 0.0035, 0.25 + 1e-6, 0.3, 1 / 64, -1.0, -2.0000001, 0.7310585, 1e-9, 0.0])
def test_jumps_beside_a_panel_s_edge_are_found(place):
    """Without the ends among the nodes, four of five jumps drawn at random were misplaced, by up to 1e-3."""
    exact = (math.erfc(place / math.sqrt(2)) / 2) ** -0.5
    assert gain(lambda z: (z > place).double()) == pytest.approx(exact, rel=1e-12)


def test_narrow_bumps_and_poles_are_found():
    inside = (math.erf(0.301 / math.sqrt(2)) - math.erf(0.299 / math.sqrt(2))) / 2
    assert gain(lambda z: ((z - 0.3).abs() < 0.001).double()) == pytest.approx(inside**-0.5, rel=1e-10)
    fourth = 2**-0.25 * math.gamma(0.25) / math.sqrt(math.pi)  # E |z|^-1/2
    assert gain(lambda z: z.abs() ** -0.25) == pytest.approx(fourth**-0.5, rel=1e-12)
    assert gain(lambda z: z.abs() ** 0.75, "backward") == pytest.approx(fourth**-0.5 / 0.75, rel=1e-12)


@pytest.mark.parametrize("mode", MODES)
def test_functions_may_write_in_place(mode):
    def in_place(z):
        z[z < 0] *= 0.25
        return z

    assert gain(in_place, mode) == pytest.approx(gain("prelu", mode), rel=5e-13)
    assert gain(nn.ReLU(inplace=True), mode) == pytest.approx(gain("relu", mode), rel=5e-13)
    assert gain(lambda z: z.mul_(2), mode) == pytest.approx(0.5, rel=1e-12)


@pytest.mark.parametrize(
    ("function", "mode", "message"),
    [
        (lambda z: torch.exp(1j * z), "forward", "values are complex: give its modulus"),
        (lambda z: F.softmax(z, -1), "forward", "random or not elementwise"),
        (lambda z: z.cumsum(0), "centred", "random or not elementwise"),
        (F.dropout, "forward", "random or not elementwise"),
        (lambda z: z.abs().sqrt(), "backward", "does not converge near z = 0, where the function has a pole"),
        (lambda z: 1 / z, "forward", "not finite at z = "),
        (math.sqrt, "forward", r"fails at z = -19.* \(math domain error\)"),
        (nn.Threshold, "forward", r"Threshold needs arguments .* give an instance, Threshold\(…\)"),
    ],
)
def test_functions_without_a_gain_are_told_why(function, mode, message):
    with pytest.raises(InitiumError, match=message):
        gain(function, mode)


def test_modules_are_left_as_they_are():
    module = nn.Sequential(nn.PReLU(init=0.1), nn.Dropout(0.5)).train()
    assert gain(module) == pytest.approx(math.sqrt(2 / 1.01), rel=1e-7)  # the slope 0.1 is an fp32
    assert module.training
    assert module[0].weight.dtype == torch.float32
    assert module[0].weight.grad is None


def test_gain_works_where_autograd_is_off():
    with torch.no_grad():
        assert gain(torch.tanh, "backward") == pytest.approx(GAINS["tanh"][1], rel=1e-12)
    with torch.inference_mode(), torch.device("meta"):
        assert gain(torch.tanh, "backward") == pytest.approx(GAINS["tanh"][1], rel=1e-12)


# calculate_gain


@pytest.mark.parametrize("name", [*TORCH_GAINS, "leaky_relu"])
def test_torchs_names_keep_torchs_values(name):
    assert calculate_gain(name) == torch.nn.init.calculate_gain(name)
    assert calculate_gain(name, 0.3) == torch.nn.init.calculate_gain(name, 0.3)


@pytest.mark.parametrize("slope", [0, 0.01, 0.2, 10, -1.0])
def test_leaky_slopes_are_torchs(slope):
    assert calculate_gain("leaky_relu", slope) == torch.nn.init.calculate_gain("leaky_relu", slope)


@pytest.mark.parametrize("name", sorted({*GAINS, *ALIASES} - {*TORCH_GAINS, "relu"}))
def test_other_names_are_forward_gains(name):
    assert calculate_gain(name) == pytest.approx(gain(name), rel=1e-15)


def test_parameters_of_the_others():
    for name in ("elu", "celu", "softplus", "sin"):
        assert calculate_gain(name, 1.0) == pytest.approx(gain(name), rel=1e-12), name
    assert calculate_gain("softshrink", 0.5) == pytest.approx(gain("softshrink"), rel=1e-12)
    assert calculate_gain("hardshrink", 0.5) == pytest.approx(gain("hardshrink"), rel=1e-12)
    assert calculate_gain("quick_gelu", 1.702) == pytest.approx(gain("quick_gelu"), rel=1e-12)
    assert calculate_gain("prelu", 0.1) == calculate_gain("leaky_relu", 0.1)
    assert calculate_gain("sin", 30.0) == pytest.approx(math.sqrt(2), rel=1e-12)


def test_a_function_or_module_stands_for_its_name():
    assert calculate_gain(nn.SiLU()) == calculate_gain(F.silu) == calculate_gain(nn.SiLU)
    assert calculate_gain(nn.SiLU()) == pytest.approx(calculate_gain("silu"), rel=1e-12)


@pytest.mark.parametrize(
    ("call", "kind", "sentence"),
    [
        (lambda: calculate_gain("rellu"), ValueError, "Unsupported nonlinearity rellu. Did you mean 'relu'? Known: abs, celu"),
        (lambda: calculate_gain("ReLU"), ValueError, "Unsupported nonlinearity ReLU. Did you mean 'relu'?"),
        (lambda: calculate_gain(3), ValueError, "Unsupported nonlinearity 3: write a name such as 'gelu', or a function"),
        (lambda: calculate_gain("leaky_relu", True), ValueError, "negative_slope True not a valid number"),
        (lambda: calculate_gain("leaky_relu", [1]), ValueError, "negative_slope [1] not a valid number"),
        (lambda: calculate_gain("gelu", 0.1), ValueError, "gelu has no parameter, got param=0.1"),
        (lambda: calculate_gain("elu", math.nan), ValueError, "elu expects a number for param, got nan"),
        (lambda: calculate_gain(F.gelu, 0.1), ValueError, "param=0.1 has no meaning for a function"),
        (lambda: gain("tanh", "forwards"), ValueError, "mode 'forwards' is no gain. Did you mean 'forward'?"),
        (lambda: gain(3), TypeError, "gain expects a name, an nn.Module or a function, got int"),
        (lambda: gain(torch.log), ValueError, "the function is not finite at z = -"),
        (lambda: gain(lambda z: torch.exp(z * z)), ValueError, "the function is not finite at z = -"),
        (lambda: gain(lambda z: torch.exp(z * z / 4.2)), ValueError, "the function grows too fast"),
        (lambda: gain(lambda z: 0 * z), ValueError, "the function has no forward gain: its variation is zero"),
        (lambda: gain(lambda z: 0 * z + 3, "centred"), ValueError, "the function has no centred gain: its variation is zero"),
        (lambda: gain(torch.sign, "backward"), ValueError, "the function has no backward gain: its derivative is zero"),
        (
            lambda: gain(torch.rand_like),
            ValueError,
            "the function has another value for the same number when other numbers stand beside it: it is random or",
        ),
        (lambda: gain(lambda z: z.float().sin()), ValueError, "the function is not smooth between kinks"),
        (lambda: gain(math.tanh, "backward"), TypeError, "backward gain needs a function that autograd sees through"),
        (lambda: gain(lambda z: z.sum()), TypeError, "gave Tensor of another shape"),
        (lambda: gain(lambda z: undefined), TypeError, "on an fp64 tensor it failed (name 'undefined' is not defined)"),  # noqa: F821
    ],
)
def test_errors(call, kind, sentence):
    with pytest.raises(kind) as caught:
        call()
    assert isinstance(caught.value, InitiumError)
    assert sentence in str(caught.value)


def test_import_brings_no_mpmath():
    """torch itself may import mpmath (by sympy), so the module's own imports are what is looked at; nor at run time numpy."""
    tree = ast.parse(Path(initium._gains.__file__).read_text(encoding="utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert "torch" in names
    assert not names & {"mpmath", "numpy", "scipy"}


ELEMENTWISE = [
    nn.CELU, nn.ELU, nn.GELU, nn.Hardshrink, nn.Hardsigmoid, nn.Hardswish, nn.Hardtanh, nn.LeakyReLU, nn.LogSigmoid, nn.Mish, nn.PReLU,
    nn.ReLU, nn.ReLU6, nn.RReLU, nn.SELU, nn.SiLU, nn.Sigmoid, nn.Softplus, nn.Softshrink, nn.Softsign, nn.Tanh, nn.Tanhshrink,
]  # fmt: skip
OTHERS = {
    "GLU",
    "MultiheadAttention",
    "Softmax",
    "Softmax2d",
    "Softmin",
    "LogSoftmax",
    "Threshold",
}  # no functions of one number; an argument


def test_no_activation_of_torch_is_forgotten() -> None:
    assert {cls.__name__ for cls in ELEMENTWISE} | OTHERS == set(nn.modules.activation.__all__)


@pytest.mark.parametrize("cls", ELEMENTWISE, ids=lambda cls: cls.__name__)
def test_every_activation_of_torch_nn_has_its_three_gains(cls: type[nn.Module]) -> None:
    """Against a sum over 2²⁰ equal probabilities of the normal, which knows nothing of quadrature: 1e-4 of it."""
    module = cls().double().eval()
    z = torch.special.ndtri((torch.arange(1 << 20, dtype=torch.float64) + 0.5) / (1 << 20)).requires_grad_()
    value = module(z)
    slope = torch.autograd.grad(value.sum(), z)[0]
    value = value.detach()
    expected = {"forward": value.square().mean(), "backward": slope.square().mean(), "centred": value.var(correction=0)}
    for mode, moment in expected.items():
        assert initium.gain(cls, mode) == pytest.approx(float(moment) ** -0.5, rel=1e-4), mode
