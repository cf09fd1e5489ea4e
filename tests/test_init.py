"""``initium.init`` as a drop-in: names, signatures, errors, warnings, generators. What is drawn is in ``test_init_laws.py``."""

from __future__ import annotations

import doctest
import inspect
import math
import pickle
import runpy
import warnings
from pathlib import Path

import pytest
import torch
from torch import nn

from initium import init
from initium._errors import InitiumError

ROOT = Path(__file__).parents[1]
NEW = {"identity_", "lecun_normal_", "lecun_uniform_", "variance_scaling_", "bilinear_", "delta_orthogonal_", "icnr_", "siren_"}
# torch names them from 2.10 on; before that they are the functions that it defines
TORCHS: list[str] = getattr(torch.nn.init, "__all__", None) or [
    name for name, found in vars(torch.nn.init).items() if inspect.isfunction(found) and not name.startswith("_")
]
LEGACY = [name for name in TORCHS if name + "_" in TORCHS]
RANDOM = {
    "uniform_": (),
    "normal_": (),
    "trunc_normal_": (),
    "xavier_uniform_": (),
    "xavier_normal_": (),
    "kaiming_uniform_": (),
    "kaiming_normal_": (),
    "lecun_normal_": (),
    "lecun_uniform_": (),
    "variance_scaling_": (),
    "orthogonal_": (),
    "sparse_": (0.5,),
}
FIXED = {"constant_": (0.5,), "ones_": (), "zeros_": (), "eye_": (), "identity_": (2.0,)}
ALL = {**RANDOM, **FIXED}


def call(name: str, tensor: torch.Tensor, **kwargs: object) -> torch.Tensor:
    return getattr(init, name)(tensor, *ALL.get(name, ()), **kwargs)


# The surface


def test_every_name_of_torch_is_there_and_the_new_ones_besides():
    assert set(init.__all__) == set(TORCHS) | NEW
    assert all(hasattr(init, name) for name in ("_calculate_fan_in_and_fan_out", "_calculate_correct_fan"))


@pytest.mark.parametrize("name", [name for name in TORCHS if name not in LEGACY])
def test_positional_signature_is_torchs(name):
    def positional(function):
        parameters = inspect.signature(function).parameters.values()
        return [(p.name, p.default, p.kind) for p in parameters if p.kind is not p.KEYWORD_ONLY]

    assert positional(getattr(init, name)) == positional(getattr(torch.nn.init, name))


@pytest.mark.parametrize("name", sorted(set(init.__all__) - set(LEGACY)))
def test_examples_run(name):
    function = getattr(init, name)
    tests = doctest.DocTestFinder(recurse=False).find(function, name, globs={"init": init, "torch": torch, **vars(init)})
    assert tests
    assert tests[0].examples, f"{name} has no example"
    assert doctest.DocTestRunner().run(tests[0]).failed == 0


@pytest.mark.parametrize("name", sorted(set(init.__all__) - set(LEGACY) - {"calculate_gain"}))
def test_functions_are_known_by_their_public_name(name):
    function = getattr(init, name)
    assert (function.__module__, function.__qualname__) == ("initium.init", name)
    assert pickle.loads(pickle.dumps(function)) is function


@pytest.mark.parametrize("name", LEGACY)
def test_legacy_names_warn_in_torchs_words_and_do_the_same(name):
    arguments = {"constant": (0.5,), "sparse": (0.5,)}.get(name, ())
    shape = (4, 4, 3) if name == "dirac" else (4, 4)
    with pytest.warns(FutureWarning) as theirs:
        getattr(torch.nn.init, name)(torch.empty(shape), *arguments)
    torch.manual_seed(0)
    with pytest.warns(FutureWarning) as ours:
        old = getattr(init, name)(torch.empty(shape), *arguments)
    torch.manual_seed(0)
    assert old.equal(getattr(init, name + "_")(torch.empty(shape), *arguments))
    assert str(ours[0].message) == str(theirs[0].message)
    assert ours[0].filename == __file__
    assert getattr(init, name).__name__ == name


@pytest.mark.skipif(not hasattr(torch.nn.init, "__all__"), reason="the page is made from the names that a newer torch lists")
def test_page_is_up_to_date():
    page = runpy.run_path(str(ROOT / "tools" / "init_page.py"))["page"]()
    assert (ROOT / "docs" / "init.md").read_text(encoding="utf-8") == page, "run: python tools/init_page.py"


# In place


@pytest.mark.parametrize("name", ALL)
def test_returns_the_same_tensor_and_bumps_its_version(name):
    tensor = torch.full((6, 4), math.nan)
    version = tensor._version
    assert call(name, tensor) is tensor
    assert not tensor.isnan().any()
    assert tensor._version > version


@pytest.mark.parametrize("name", ALL)
def test_tensor_may_be_given_by_keyword(name):
    assert not getattr(init, name)(*(), **{**_named(name), "tensor": torch.full((3, 3), math.nan)}).isnan().any()


def _named(name: str) -> dict[str, object]:
    names = list(inspect.signature(getattr(init, name)).parameters)[1:]
    return dict(zip(names, ALL[name], strict=False))


# Generators


@pytest.mark.parametrize("name", RANDOM)
def test_generator_semantics(name):
    def draw(**kwargs):
        return call(name, torch.empty(6, 4), **kwargs)

    torch.manual_seed(7)
    first, second = draw(), draw()
    assert not first.equal(second)
    torch.manual_seed(7)
    assert first.equal(draw())
    state = torch.get_rng_state()
    third = draw()
    torch.set_rng_state(state)
    assert third.equal(draw())
    with torch.random.fork_rng():
        draw()
    after = draw()
    torch.set_rng_state(state)
    draw()
    assert after.equal(draw())
    generator = torch.Generator().manual_seed(7)
    before = torch.get_rng_state()
    assert first.equal(draw(generator=generator))
    assert torch.equal(before, torch.get_rng_state()), "a generator of one's own leaves the default one alone"


@pytest.mark.parametrize("name", RANDOM)
def test_one_draw_a_call_whatever_the_size(name):
    states = []
    for shape in ((2, 2), (40, 70)):
        torch.manual_seed(0)
        call(name, torch.empty(shape))
        states.append(torch.get_rng_state())
    assert torch.equal(*states)


@pytest.mark.parametrize("name", [*FIXED, "dirac_"])
def test_what_is_fixed_draws_nothing(name):
    before = torch.get_rng_state()
    call(name, torch.empty((4, 4, 3) if name == "dirac_" else (4, 4)))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("shape", [(3, 3), (0, 3), (0, 0)])
def test_meta_and_empty_tensors_draw_nothing_and_stay(name, shape):
    before = torch.get_rng_state()
    tensor = torch.empty(shape, device="meta" if 0 not in shape else "cpu")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # kaiming's, below
        assert call(name, tensor) is tensor
    assert torch.equal(before, torch.get_rng_state())


class _Elsewhere(torch.Generator):
    device = torch.device("cuda")


def test_generator_of_another_device_or_kind():
    with pytest.raises(RuntimeError, match=r"the generator is on cuda, the tensor on cpu") as caught:
        init.normal_(torch.empty(3), generator=_Elsewhere())
    assert isinstance(caught.value, InitiumError)
    with pytest.raises(
        TypeError, match=r"generator expects a torch.Generator, got int: write torch.Generator\(\).manual_seed\(0\)"
    ):
        init.normal_(torch.empty(3), generator=42)


# Errors: ours, and the built-in that torch raises


def _inference(*shape: int) -> torch.Tensor:
    with torch.inference_mode():
        return torch.empty(shape)


TORCH_ERRORS = {  # name: call on a module (torch's or ours), our sentence
    "xavier_1d": (
        lambda i: i.xavier_uniform_(torch.empty(3)),
        "Fan in and fan out can not be computed for tensor with fewer than 2",
    ),
    "xavier_normal_0d": (lambda i: i.xavier_normal_(torch.empty(())), "fewer than 2 dimensions: this one has shape ()"),
    "kaiming_1d": (
        lambda i: i.kaiming_normal_(torch.empty(3)),
        "Fan in and fan out can not be computed for tensor with fewer than 2",
    ),
    "kaiming_uniform_meta": (lambda i: i.kaiming_uniform_(torch.empty(3, device="meta")), "fewer than 2 dimensions"),
    "kaiming_mode": (lambda i: i.kaiming_normal_(torch.empty(3, 3), mode="fan_inn"), "Did you mean 'fan_in'?"),
    "kaiming_name": (
        lambda i: i.kaiming_normal_(torch.empty(3, 3), nonlinearity="rellu"),
        "Unsupported nonlinearity rellu. Did you mean",
    ),
    "kaiming_slope": (lambda i: i.kaiming_normal_(torch.empty(3, 3), a=True), "negative_slope True not a valid number"),
    "fans_1d": (lambda i: i._calculate_fan_in_and_fan_out(torch.empty(3)), "Fan in and fan out can not be computed"),
    "fan_mode": (lambda i: i._calculate_correct_fan(torch.empty(3, 3), "x"), "Mode x not supported, please use one of"),
    "orthogonal_1d": (lambda i: i.orthogonal_(torch.empty(3)), "Only tensors with 2 or more dimensions are supported"),
    "orthogonal_empty_1d": (lambda i: i.orthogonal_(torch.empty(0)), "Only tensors with 2 or more dimensions are supported"),
    "eye_3d": (lambda i: i.eye_(torch.empty(3, 3, 3)), "Only tensors with 2 dimensions are supported"),
    "eye_empty": (lambda i: i.eye_(torch.empty(0)), "Only tensors with 2 dimensions are supported"),
    "sparse_1d": (lambda i: i.sparse_(torch.empty(3), 0.1), "Only tensors with 2 dimensions are supported"),
    "dirac_2d": (lambda i: i.dirac_(torch.empty(3, 3)), "Only tensors with 3, 4, or 5 dimensions are supported"),
    "dirac_groups": (lambda i: i.dirac_(torch.empty(3, 3, 3), 2), "dim 0 must be divisible by groups"),
    "dirac_meta": (lambda i: i.dirac_(torch.empty(3, 3, 3, device="meta"), 2), "dim 0 must be divisible by groups"),
    "normal_std": (lambda i: i.normal_(torch.empty(3), std=-1.0), "normal expects std >= 0, got std=-1.0"),
    "normal_nan": (lambda i: i.normal_(torch.empty(3), std=math.nan), "normal expects std >= 0, got std=nan"),
    "uniform_order": (lambda i: i.uniform_(torch.empty(3), 1, 0), "uniform expects low <= high, got [1.0, 0.0): swap them"),
    "uniform_infinite": (lambda i: i.uniform_(torch.empty(3), 0, math.inf), "uniform bounds must be finite"),
    "trunc_order": (
        lambda i: i.trunc_normal_(torch.empty(3), a=1, b=0),
        "cut_normal expects a <= b, got [1.0, 0.0]: swap them",
    ),
    "xavier_gain": (lambda i: i.xavier_normal_(torch.empty(3, 3), gain=-1), "xavier_normal expects gain >= 0, got gain=-1.0"),
    "std_text": (lambda i: i.normal_(torch.empty(3), std="0.02"), "std must be a number, not str"),
    "std_tensor": (lambda i: i.normal_(torch.empty(3), std=torch.ones(3)), "std must be a number, not Tensor"),
    "val_text": (lambda i: i.constant_(torch.empty(3), "1"), "val must be a number, not str"),
    "no_tensor": (lambda i: i.zeros_(None), "init.zeros_ expects a tensor, got NoneType: the layer has none (bias=False?)"),
    "expanded": (lambda i: i.normal_(torch.zeros(1).expand(3)), "its elements share memory (an expanded view): call .clone()"),
    "inference": (
        lambda i: i.normal_(_inference(3)),
        "it is an inference tensor: build the model outside torch.inference_mode()",
    ),
    "inference_zeros": (lambda i: i.zeros_(_inference(3)), "it is an inference tensor"),
    "integer": (
        lambda i: i.normal_(torch.empty(3, dtype=torch.int64)),
        "random values need a floating or complex dtype, not int64",
    ),
    "fp8": (lambda i: i.uniform_(torch.empty(3, dtype=torch.float8_e4m3fn)), "float8_e4m3fn has no rounding rule here yet"),
    "lazy": (lambda i: i.normal_(nn.LazyLinear(3).weight), "it is lazy and has no shape yet: run one forward pass first"),
}


@pytest.mark.parametrize("case", TORCH_ERRORS)
def test_errors_are_torchs_and_ours(case):
    function, sentence = TORCH_ERRORS[case]
    with pytest.raises(Exception) as theirs:
        function(torch.nn.init)
    before = torch.get_rng_state()
    with pytest.raises(InitiumError) as ours:
        function(init)
    assert isinstance(ours.value, theirs.type)
    assert sentence in str(ours.value)
    assert torch.equal(before, torch.get_rng_state()), "an error draws nothing"


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (lambda: init.orthogonal_(torch.empty(3, 3), gain=math.nan), "orthogonal expects a finite gain, got gain=nan"),
        (lambda: init.sparse_(torch.empty(3, 3), 1.5), "sparsity"),
        (lambda: init.dirac_(torch.empty(3, 3, 3), 0), "dirac expects groups >= 1, got groups=0"),
        (lambda: init.trunc_normal_(torch.empty(3), std=-1), "expects std >= 0, got std=-1.0"),
        (lambda: init.trunc_normal_(torch.empty(3), mean=math.inf), "expects a finite mean, got mean=inf"),
        (lambda: init.trunc_normal_(torch.empty(3), a=math.nan), "cut_normal expects a <= b, got [nan, 2.0]"),
        (lambda: init.variance_scaling_(torch.empty(3, 3), 0.0), "variance_scaling expects scale > 0, got scale=0.0"),
        (lambda: init.variance_scaling_(torch.empty(3, 3), law="norml"), "law 'norml' not supported. Did you mean 'normal'?"),
        (lambda: init.lecun_normal_(torch.empty(3)), "Fan in and fan out can not be computed"),
        (lambda: init.xavier_normal_(torch.empty(3, 3), in_axes=2), "axis 2 is out of range for a tensor of 2 dimensions"),
        (lambda: init.constant_(torch.empty(3), torch.ones(2)), "val must be a number, not Tensor"),
        (lambda: init.uniform_([1.0]), "init.uniform_ expects a tensor, got list: write torch.empty(…) or a Parameter"),
    ],
)
def test_errors_where_torch_has_none_or_another(function, sentence):
    with pytest.raises(InitiumError) as caught:
        function()
    assert sentence in str(caught.value)


def test_nothing_is_written_where_an_argument_is_bad():
    tensor = torch.full((3,), 5.0)
    with pytest.raises(ValueError):
        init.normal_(tensor, std=-1)
    assert tensor.tolist() == [5.0] * 3


def test_a_missing_tensor_is_pythons_own_error():
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'tensor'"):
        init.normal_()


def test_kaiming_warns_of_empty_tensors_as_torch_does():
    for function in (init.kaiming_normal_, init.kaiming_uniform_):
        with pytest.warns(UserWarning, match="Initializing zero-element tensors is a no-op") as caught:
            function(torch.empty(0, 1), mode="nonsense")  # torch looks at the elements first, too
        assert caught[0].filename == __file__


def test_xavier_takes_what_has_no_elements_at_all():
    assert init.xavier_uniform_(torch.empty(0, 0)).shape == (0, 0)
    with pytest.raises(ZeroDivisionError):
        torch.nn.init.xavier_uniform_(torch.empty(0, 0))


def test_numbers_may_be_numpys_or_tensors_as_in_torch():
    numpy = pytest.importorskip("numpy")
    results = []
    for std in (0.5, numpy.float32(0.5), torch.tensor(0.5), torch.tensor([0.5])):
        torch.manual_seed(0)
        results.append(init.normal_(torch.empty(9), std=std))
    assert all(result.equal(results[0]) for result in results)
    assert init.constant_(torch.empty(2), numpy.float32(0.5)).tolist() == [0.5, 0.5]
    assert init.constant_(torch.empty(2), torch.tensor(3)).tolist() == [3.0, 3.0]


def test_constants_of_every_dtype_are_exact():
    assert init.constant_(torch.empty(1, dtype=torch.int64), 2**60 + 1).item() == 2**60 + 1
    assert init.constant_(torch.empty(1, dtype=torch.bool), True).item() is True
    assert init.constant_(torch.empty(1, dtype=torch.float64), 0.1).item() == 0.1
    assert init.constant_(torch.empty(1, dtype=torch.complex64), 1 + 2j).item() == 1 + 2j
    assert init.constant_(torch.empty(1), -math.inf).item() == -math.inf
    assert math.isnan(init.constant_(torch.empty(1), math.nan).item())
    assert init.constant_(torch.zeros(1).expand(3), 2.0).tolist() == [2.0] * 3, "as in torch"


def test_private_fans_are_torchs():
    for shape in ((3, 5), (4, 6, 3), (2, 3, 4, 5), (0, 2)):
        tensor = torch.empty(shape)
        assert init._calculate_fan_in_and_fan_out(tensor) == torch.nn.init._calculate_fan_in_and_fan_out(tensor)
        for mode in ("fan_in", "FAN_OUT"):
            assert init._calculate_correct_fan(tensor, mode) == torch.nn.init._calculate_correct_fan(tensor, mode)
