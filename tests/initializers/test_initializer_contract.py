"""The contract of every initializer in the registry: a new one joins with one line in ``CASES``."""

from __future__ import annotations

import dataclasses
import doctest
import math
import sys
from fractions import Fraction

import pytest
import torch

from initium import _laws as laws
from initium._errors import InitiumError
from initium._execute import Batch
from initium._fans import DENSE, Layout
from initium._init.dropin import fill_by_generator
from initium._programs import is_random
from initium._regions import Region
from initium._stream import derive_key
from initium._text.codec import initializer_of
from initium._text.forms import Malformed
from initium.initializers import Initializer, as_initializer, initializer_class

SHAPE = (12, 10)
CASES = {
    "bilinear": {},
    "chrono": None,  # for the packed biases of LSTM and GRU alone: test_chrono.py
    "class_default": None,  # resolved by the planner, not drawn
    "complex_rayleigh": {"criterion": "he"},
    "constant": {"value": 0.5},
    "cut_normal": {"std": 0.3, "a": -0.2, "b": 0.5},
    "delta_orthogonal": {"gain": 1.5},
    "dirac": {"groups": 2},
    "dt_bias": {"low": 0.01},
    "eye": {"gain": 2.0},
    "hadamard": {},
    "hippo": {},
    "hyper_fan": {"fan": 8, "biases": True},
    "icnr": {"upscale_factor": 2},
    "kaiming_normal": {"nonlinearity": "silu"},
    "kaiming_uniform": {"a": math.sqrt(5)},
    "keep": None,
    "lecun_normal": {},
    "lecun_uniform": {},
    "log_range": {},
    "log_uniform": {"b": 8.0},
    "mimetic": {"part": "value", "heads": 2},
    "new_tokens": {"old": torch.linspace(-1, 1, 80).reshape(8, 10) ** 3, "scale": 0.5},
    "normal": {"std": 0.02, "mean": 0.1},
    "ones": {},
    "orthogonal": {"gain": 1.5},
    "parts": None,  # made by rules with rows= or gates=; tests/initializers/test_parts.py
    "prior_bias": {"pi": 0.02},
    "ramp": {"start": -1.0, "step": 0.3},
    "random_walk": {"activation": "linear"},
    "reset": None,
    "sinusoids": {"longest": 1000.0},
    "siren": {"omega_0": 20.0},
    "sparse": {"sparsity": 0.4},
    "trunc_normal": {"std": 0.02},
    "uniform": {"a": -0.3, "b": 0.7},
    "values": {"tensor": torch.linspace(-1, 1, 120).reshape(SHAPE)},
    "variance_scaling": {"scale": 2.0, "mode": "fan_avg"},
    "xavier_normal": {"gain": 0.5},
    "xavier_uniform": {},
    "zeros": {},
}
CONVOLUTIONS = {
    "hippo": (12, 12),
    "mimetic": (12, 12),
    "bilinear": (12, 12, 2),
    "delta_orthogonal": (12, 5, 3),
    "dirac": (12, 5, 2),
    "icnr": (12, 5, 3),
}
DRAWN = [name for name, arguments in CASES.items() if arguments is not None]
KEYS = {tag: derive_key(5, "block.weight", tag) for tag in ("values", "places", "imaginary", "vo")}


def make(name: str) -> Initializer:
    return initializer_class(name)(**CASES[name])


def shape_of(name: str) -> tuple[int, ...]:
    return CONVOLUTIONS.get(name, SHAPE)


def filled(name: str, out: torch.Tensor, region: Region | None = None) -> torch.Tensor:
    batch = Batch()
    batch.add(out, make(name).program(shape_of(name), DENSE), KEYS.__getitem__, region)
    batch.run()
    return out


def test_every_registered_initializer_is_here():
    mine = {name for name, known in Initializer._registry.items() if known.__module__.startswith("initium.initializers.")}
    assert mine == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_example_runs(name):
    cls = initializer_class(name)
    namespace = vars(sys.modules[cls.__module__])
    tests = doctest.DocTestFinder(recurse=False).find(cls, name, globs=dict(namespace))
    assert tests[0].examples, f"{name} has no example"
    assert doctest.DocTestRunner().run(tests[0]).failed == 0


@pytest.mark.parametrize("name", DRAWN)
def test_is_a_frozen_value(name):
    one, other = make(name), make(name)
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.anything = 1
    if name not in ("values", "new_tokens"):  # a tensor is not a value
        assert one == other
        assert hash(one) == hash(other)
    assert name in str(one) or name in ("constant", "ones", "zeros")
    assert as_initializer(one) is one


NONSENSE = [
    "abc",
    "",
    None,
    [1],
    [-1],
    (),
    math.nan,
    math.inf,
    -1,
    0,
    10**400,
    -(10**28),
    True,
    {"a": 1},
    1j,
    1.5,
    b"x",
    torch.zeros(2),
]


@pytest.mark.parametrize("name", [name for name in CASES if name != "values"])
def test_nonsense_is_a_sentence_when_it_is_said_or_when_it_is_planned(name):
    """Whatever is given for an argument, in Python or as text: it means something, or the error is ours; never a traceback from inside."""
    cls, refused = initializer_class(name), 0

    def said(argument: str, value: object) -> Initializer:
        return initializer_of({name: {argument: value}})

    needed = {field.name: CASES[name][field.name] for field in dataclasses.fields(cls) if field.name in (CASES[name] or {})}
    for field in dataclasses.fields(cls):
        for nonsense in NONSENSE:
            for made in (lambda n=field.name, v=nonsense: cls(**{**needed, n: v}), lambda n=field.name, v=nonsense: said(n, v)):
                try:
                    initializer = made()
                    hash(initializer), str(initializer), initializer == initializer
                    for shape in (shape_of(name), (3, 4), ()):
                        initializer.bound({}).program(shape, DENSE)
                except (InitiumError, Malformed):
                    refused += 1
    assert refused or not dataclasses.fields(cls)


@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_any_dtype_is_the_same_values_rounded(name, dtype):
    exact = filled(name, torch.empty(shape_of(name)))
    low = filled(name, torch.empty(shape_of(name), dtype=dtype))
    if dtype == torch.float64:  # closer than fp32 where the values are computed in fp64
        assert torch.allclose(low, exact.double(), rtol=1e-6, atol=1e-7)
    else:
        assert low.equal(exact.to(dtype))


@pytest.mark.parametrize("name", DRAWN)
def test_the_default_dtype_changes_nothing(name):
    """What a whole tensor is made from is drawn in fp32, whatever torch.empty would give."""
    expected = filled(name, torch.empty(shape_of(name)))
    torch.set_default_dtype(torch.bfloat16)
    try:
        found = filled(name, torch.empty(shape_of(name), dtype=torch.float32))
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(found, expected)


@pytest.mark.parametrize("name", DRAWN)
def test_a_part_is_the_part_of_the_whole(name):
    shape = shape_of(name)
    whole = filled(name, torch.empty(shape))
    runs = (((1, 3), (7, 4)), ((2, 3),), *(((0, size),) for size in shape[2:]))
    part = filled(name, torch.empty(7, 3, *shape[2:]), Region(shape, runs))
    assert part.equal(torch.cat((whole[1:4, 2:5], whole[7:11, 2:5])))


@pytest.mark.parametrize("name", DRAWN)
def test_layout_of_memory_does_not_matter(name):
    shape = shape_of(name)
    turned = torch.empty(shape[::-1]).permute(*reversed(range(len(shape))))
    assert filled(name, turned).equal(filled(name, torch.empty(shape)))


@pytest.mark.parametrize("name", DRAWN)
def test_drawing_is_keyed_by_the_name_only_if_random(name):
    program = make(name).program(shape_of(name), DENSE)
    tensors = []
    for key in ("a", "b"):
        batch = Batch()
        tensors.append(torch.empty(shape_of(name)))
        batch.add(tensors[-1], program, lambda tag, key=key: derive_key(0, key, tag))
        batch.run()
    assert tensors[0].equal(tensors[1]) is not is_random(program)


@pytest.mark.parametrize("name", [name for name in DRAWN if name not in ("values", "new_tokens", "mimetic", "hippo")])
def test_moments_are_those_of_what_is_drawn(name):
    """Within five standard errors of 60 draws of 30,000 elements at most: a correct initializer fails one seed in a million."""
    shape = (100, 100, 3) if name == "bilinear" else (300, 100, 2) if name in CONVOLUTIONS else (300, 100)
    initializer = make(name)
    program = initializer.program(shape, DENSE)
    torch.manual_seed(11)
    drawn = fill_by_generator(torch.empty(shape, dtype=torch.float64), initializer)
    error = 5 / math.sqrt(drawn.numel())
    assert float(drawn.mean()) == pytest.approx(program.mean, abs=error * max(program.std, 1e-9))
    assert float(drawn.std(correction=0)) == pytest.approx(program.std, rel=error * 2, abs=1e-12)


@pytest.mark.parametrize("name", [name for name in DRAWN if name != "values" and name not in CONVOLUTIONS])
def test_called_on_a_shape_it_makes_a_tensor(name):
    torch.manual_seed(0)
    made = make(name)(*SHAPE, dtype=torch.bfloat16)
    assert made.shape == SHAPE
    assert made.dtype == torch.bfloat16
    torch.manual_seed(0)
    assert made.equal(make(name)(SHAPE, dtype=torch.bfloat16))
    assert make(name)(3, 4, device="meta").is_meta


@pytest.mark.parametrize(
    "name", [name for name in DRAWN if name not in ("values", "new_tokens", "eye", "sparse", *CONVOLUTIONS)]
)
def test_packed_weights_are_drawn_each_by_itself(name):
    packed = Layout(role="weight", blocks=(4, 8), block_names=("q", "kv"))
    alone = make(name).program((4, 10), DENSE)
    program = make(name).program(SHAPE, packed)
    first = program.parts[0][1] if hasattr(program, "parts") else program
    assert (first.mean, first.std) == (alone.mean, alone.std)


@pytest.mark.parametrize("name", ["normal", "uniform", "trunc_normal", "cut_normal", "orthogonal"])
def test_zero_rows_stay_zero(name):
    tensor = torch.full(SHAPE, math.nan)
    torch.manual_seed(0)
    fill_by_generator(tensor, make(name), Layout(role="weight", zero_rows=(3,)))
    assert bool((tensor[3] == 0).all())
    assert bool((tensor[[0, 1, 2, 4, 11]] != 0).all())


def test_complex_made_tensors_are_complex():
    for name in ("orthogonal", "sparse"):
        tensor = fill_by_generator(torch.empty(SHAPE, dtype=torch.complex64), make(name))
        assert bool((tensor.imag != 0).any())


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: initializer_class("xavier_norml"), "no initializer is called 'xavier_norml'. Did you mean 'xavier_normal'?"),
        (lambda: as_initializer(True), "an initializer is expected, got True: write 1 for the constant"),
        (lambda: as_initializer(object()), "an initializer is expected, got object: write Normal(std=0.02)"),
        (lambda: initializer_class("normal")(std=-1), "normal expects std >= 0, got std=-1"),
        (lambda: initializer_class("normal")(std=[1]), "normal expects a number for std, got [1]"),
        (lambda: initializer_class("uniform")(1, 0), "uniform expects low <= high, got [1, 0): swap them"),
        (lambda: initializer_class("uniform")(-3e38, 3e38), "is wider than fp32 holds"),
        (lambda: initializer_class("trunc_normal")(bounds=(1, 1)), "trunc_normal expects bounds in σ, low < high, got (1, 1)"),
        (lambda: initializer_class("trunc_normal")(std=math.nan), "trunc_normal expects std >= 0, got std=nan"),
        (lambda: initializer_class("cut_normal")(a=1, b=0), "cut_normal expects a <= b, got [1, 0]: swap them"),
        (lambda: initializer_class("orthogonal")(math.inf), "orthogonal expects a finite gain, got gain=inf"),
        (lambda: initializer_class("sparse")(1.5), "sparsity"),
        (lambda: initializer_class("siren")(omega_0=math.inf), "siren expects a finite omega_0 > 0, got omega_0=inf"),
        (lambda: initializer_class("delta_orthogonal")(1e300), "expects a finite gain, below 1e38 in size, got gain=1e+300"),
        (
            lambda: initializer_class("mimetic")()(8, 8),
            "mimetic has to be told how many heads there are: Mimetic('query', heads=8)",
        ),
        (lambda: initializer_class("dirac")(-1), "dirac expects groups >= 1, got groups=-1"),
        (lambda: initializer_class("xavier_normal")(-1), "xavier_normal expects gain >= 0, got gain=-1"),
        (lambda: initializer_class("kaiming_normal")(mode="fan"), "mode 'fan' not supported."),
        (lambda: initializer_class("kaiming_normal")(nonlinearity="gellu"), "Did you mean 'gelu'?"),
        (lambda: initializer_class("variance_scaling")(-1), "variance_scaling expects scale > 0, got scale=-1"),
        (lambda: initializer_class("values")([1]), "values expects a tensor, got list: write torch.tensor(…)"),
        (lambda: initializer_class("values")(torch.zeros(2)).program((3,), DENSE), "values has shape (2,), the parameter (3,)"),
        (lambda: initializer_class("eye")().program((3,), DENSE), "Only tensors with 2 dimensions are supported"),
    ],
)
def test_errors(call, sentence):
    with pytest.raises(InitiumError) as caught:
        call()
    assert sentence in str(caught.value)


def test_two_of_one_name_are_refused():
    with pytest.raises(InitiumError, match="two initializers are called 'normal'"):

        class Other(Initializer):
            name = "normal"


def test_expressions_are_worked_out_when_the_names_are_known():
    bound = initializer_class("normal")(std="0.02 / sqrt(2 * depth)").bound({"depth": 8.0})
    assert bound.law_for((), DENSE) == laws.Normal(0.0, 0.005)
    cut = initializer_class("cut_normal")(std=1.0, a="-2 * sigma", b="2 * sigma").bound({"sigma": 0.5})
    assert (cut.a, cut.b) == (-1.0, 1.0)


def test_numbers_of_other_libraries_become_python_s():
    std = initializer_class("normal")(std=Fraction(1, 4)).std
    assert (std, type(std)) == (0.25, float)
    numpy = pytest.importorskip("numpy")
    single = initializer_class("normal")(std=numpy.float32(0.5)).std
    assert (single, type(single)) == (0.5, float)


def test_axes_may_be_lists_or_one_number():
    for axes in (0, [0], (0,)):
        made = initializer_class("lecun_normal")(in_axes=axes)
        assert made == initializer_class("lecun_normal")(in_axes=(0,))
        assert hash(made)
        assert made.program((30, 7), DENSE).std == 1 / math.sqrt(30)


def test_a_tensor_where_sizes_belong_is_told_how_to_be_filled() -> None:
    for tensor in (torch.empty(0), torch.tensor([3, 4]), torch.randn(3, 2)):
        with pytest.raises(
            InitiumError, match=r"Normal\(…\) is called with sizes and makes a new tensor; to fill one that is there, write"
        ):
            initializer_class("normal")()(tensor)
