"""Which tensors ``initium.init`` writes: parameters, views, modes, subclasses, vmap, inference, computed weights."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.utils import parametrizations
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from initium import init
from initium._errors import WriteError
from initium._stream import normal_table


def expected(shape=(4, 4)):
    torch.manual_seed(1)
    return init.normal_(torch.empty(shape))


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Parameter(torch.zeros(4, 4)),
        lambda: torch.zeros(4, 4, requires_grad=True),
        lambda: torch.autograd.Variable(torch.zeros(4, 4)),
        lambda: nn.Linear(4, 4).weight.data,
        lambda: nn.Parameter(torch.zeros(4, 4)).detach(),
        lambda: nn.Parameter(torch.zeros(8, 4))[::2],
        lambda: nn.Parameter(torch.zeros(8, 4)).chunk(2)[1],
        lambda: nn.Parameter(torch.zeros(4, 4)).t(),
        lambda: nn.Buffer(torch.zeros(4, 4)),
    ],
    ids=["Parameter", "leaf", "Variable", "data", "detached", "slice", "chunk", "transposed", "buffer"],
)
def test_parameters_and_views_are_written_outside_autograd(make):
    tensor = make()
    torch.manual_seed(1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert init.normal_(tensor) is tensor
    assert tensor.detach().equal(expected())


def test_gates_of_an_lstm_by_chunk():
    lstm = nn.LSTM(5, 6)
    for gate in lstm.weight_hh_l0.chunk(4):
        init.orthogonal_(gate)
    for gate in lstm.weight_hh_l0.detach().chunk(4):
        assert torch.allclose(gate @ gate.T, torch.eye(6), atol=1e-6)


def test_backward_after_a_write_notices_it():
    weight = torch.ones(3, requires_grad=True)
    loss = (weight * weight).sum()
    init.normal_(weight)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


# What is not written, or written in vain


@pytest.mark.parametrize(
    "layer",
    [
        lambda: parametrizations.weight_norm(nn.Linear(4, 4)),
        lambda: parametrizations.spectral_norm(nn.Linear(4, 4)),
        lambda: parametrizations.orthogonal(nn.Linear(4, 4)),
    ],
)
def test_computed_weights_warn(layer):
    weight = layer().weight
    with pytest.warns(UserWarning, match=r"init.normal_ writes to a tensor that was computed from others \(grad_fn=") as caught:
        init.normal_(weight)
    assert "initium.initialize" in str(caught[0].message)
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match="does not change"):
        init.zeros_(layer().weight[:2])


def test_as_an_error_the_warning_prevents_the_write():
    layer = parametrizations.weight_norm(nn.Linear(4, 4))
    weight = layer.weight
    before = weight.clone()
    with warnings.catch_warnings(), pytest.raises(UserWarning):  # noqa: PT012
        warnings.simplefilter("error")
        init.normal_(weight)
    assert weight.equal(before)


def test_inference_mode():
    with torch.inference_mode():
        torch.manual_seed(1)
        assert init.normal_(torch.empty(4, 4)).equal(expected())
        weight = nn.Parameter(torch.zeros(4, 4))
        torch.manual_seed(1)
        init.normal_(weight)
        assert weight.equal(expected())
    outside = nn.Parameter(torch.zeros(4, 4))
    with torch.inference_mode():
        torch.manual_seed(1)
        init.normal_(outside)
    assert outside.equal(expected())
    with pytest.raises(WriteError, match="inference tensor"):
        init.normal_(weight)


def test_quantised_is_refused():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantised = torch.quantize_per_tensor(torch.zeros(3), 0.1, 0, torch.qint8)
    with pytest.raises(WriteError, match="it is quantised: initialise the floating model, then quantise"):
        init.normal_(quantised)


def test_fake_tensors_are_left_alone():
    before = torch.get_rng_state()
    with FakeTensorMode():
        tensor = torch.empty(4, 4)
        assert init.xavier_uniform_(tensor) is tensor
        assert init.orthogonal_(tensor) is tensor
        with pytest.raises(ValueError, match="Fan in and fan out"):
            init.xavier_uniform_(torch.empty(4))
    assert torch.equal(before, torch.get_rng_state())


# Modes and subclasses


class _Recorder(TorchFunctionMode):
    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.seen.append((func, args, kwargs))
        return func(*args, **(kwargs or {}))


CALLS = {
    "normal_": ((0.0, 2.0), {"tensor", "mean", "std", "generator"}),
    "trunc_normal_": ((), {"tensor", "mean", "std", "a", "b", "generator"}),
    "constant_": ((0.5,), {"tensor", "val"}),
    "zeros_": ((), {"tensor"}),
    "xavier_uniform_": ((), {"tensor", "gain", "generator", "in_axes", "out_axes", "batch_axes"}),
    "orthogonal_": ((), {"tensor", "gain", "generator"}),
    "eye_": ((), {"tensor"}),
}


@pytest.mark.parametrize("name", CALLS)
def test_modes_receive_the_function_whole_and_once(name):
    arguments, keywords = CALLS[name]
    function = getattr(init, name)
    tensor = torch.empty(4, 4)
    with _Recorder() as mode:
        torch.manual_seed(1)
        mode.seen.clear()
        assert function(tensor, *arguments) is tensor
    assert [(func, args, set(kwargs)) for func, args, kwargs in mode.seen] == [(function, (), keywords)]
    torch.manual_seed(1)
    assert tensor.equal(function(torch.empty(4, 4), *arguments))


def test_a_mode_can_answer_instead():
    class Skip(TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            if getattr(func, "__module__", "") == "initium.init":
                return kwargs["tensor"].fill_(7.0)
            return func(*args, **(kwargs or {}))

    with Skip():
        assert init.xavier_normal_(torch.empty(2, 2)).tolist() == [[7.0, 7.0], [7.0, 7.0]]


def test_legacy_names_reach_modes_as_the_new_ones():
    with _Recorder() as mode, pytest.warns(FutureWarning):
        init.normal(torch.empty(3))
    assert init.normal_ in [func for func, _, _ in mode.seen]


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_device_modes(device):
    with torch.device(device):
        weight = torch.empty(4, 4)
        torch.manual_seed(1)
        init.normal_(weight)
        outside = torch.zeros(4, 4, device="cpu")
        for function in (init.normal_, init.orthogonal_, init.eye_, init.kaiming_normal_):
            torch.manual_seed(1)
            function(outside)
        assert weight.device.type == device
    if device == "cpu":
        assert weight.equal(expected())
    torch.manual_seed(1)
    assert outside.equal(init.kaiming_normal_(torch.empty(4, 4)))


@pytest.mark.parametrize("function", [init.normal_, init.orthogonal_, init.eye_, init.sparse_, init.trunc_normal_])
def test_default_device_and_dtype_do_not_leak_in(function):
    arguments = (0.5,) if function is init.sparse_ else ()
    torch.manual_seed(1)
    plain = function(torch.empty(4, 4), *arguments)
    torch.set_default_dtype(torch.float64)
    try:
        with torch.device("meta"):
            tensor = torch.empty(4, 4, device="cpu", dtype=torch.float32)
            torch.manual_seed(1)
            function(tensor, *arguments)
    finally:
        torch.set_default_dtype(torch.float32)
    assert tensor.equal(plain)


class _Named(torch.Tensor):
    seen: list = []  # noqa: RUF012

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        cls.seen.append(func)
        return super().__torch_function__(func, types, args, kwargs or {})


def test_subclasses_receive_the_function_and_keep_their_class():
    tensor = torch.zeros(4, 4).as_subclass(_Named)
    _Named.seen.clear()
    torch.manual_seed(1)
    assert init.normal_(tensor) is tensor
    assert _Named.seen == [init.normal_]
    assert tensor.as_subclass(torch.Tensor).equal(expected())


class _Wrapper(torch.Tensor):
    """A tensor without memory of its own, around another, that sees every operator."""

    @staticmethod
    def __new__(cls, inner):
        return torch.Tensor._make_wrapper_subclass(cls, inner.shape, dtype=inner.dtype)

    def __init__(self, inner):
        self.inner = inner

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        inner = [arg.inner if isinstance(arg, cls) else arg for arg in args]
        result = func(*inner, **(kwargs or {}))
        return args[0] if args and result is inner[0] else result


def test_wrapper_subclasses_get_their_values_through_dispatch():
    tensor = _Wrapper(torch.zeros(4, 4))
    torch.manual_seed(1)
    init.normal_(tensor)
    assert tensor.inner.equal(expected())
    init.ones_(tensor)
    assert tensor.inner.equal(torch.ones(4, 4))


def test_dispatch_modes_see_that_the_tensor_is_written():
    class Writes(TorchDispatchMode):
        def __init__(self):
            super().__init__()
            self.mutated = set()

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            if func._schema.is_mutable and args:
                self.mutated.add(args[0].untyped_storage()._cdata)
            return func(*args, **(kwargs or {}))

    tensor = torch.empty(4, 4)
    with Writes() as mode:
        init.normal_(tensor)
    assert tensor.untyped_storage()._cdata in mode.mutated


# torch.func


def test_vmap_same_and_different():
    def draw(tensor):
        return init.normal_(tensor.clone())

    with pytest.raises(RuntimeError, match="inside vmap random values need"):
        torch.vmap(draw)(torch.zeros(3, 4, 4))
    torch.manual_seed(1)
    same = torch.vmap(draw, randomness="same")(torch.zeros(3, 4, 4))
    assert all(example.equal(expected()) for example in same)
    torch.manual_seed(1)
    different = torch.vmap(draw, in_dims=1, randomness="different")(torch.zeros(4, 3, 4))
    torch.manual_seed(1)
    assert different.equal(torch.stack([init.normal_(torch.empty(4, 4)) for _ in range(3)]))


def test_vmap_of_what_all_examples_share():
    def draw(_, shared):
        return init.normal_(shared.clone())

    with pytest.raises(RuntimeError):
        torch.vmap(draw, in_dims=(0, None), randomness="different")(torch.zeros(3), torch.zeros(4, 4))
    torch.manual_seed(1)
    drawn = torch.vmap(draw, in_dims=(0, None), randomness="same")(torch.zeros(3), torch.zeros(4, 4))
    assert all(example.equal(expected()) for example in drawn)


def test_nested_vmap_and_constants():
    def inner(tensor):
        return init.normal_(tensor.clone())

    outer = torch.vmap(torch.vmap(inner, randomness="different"), randomness="different")
    drawn = outer(torch.zeros(2, 3, 5))
    assert drawn.flatten(0, 1).unique(dim=0).shape == (6, 5)
    same = torch.vmap(torch.vmap(inner, randomness="different"), randomness="same")(torch.zeros(2, 3, 5))
    assert same[0].equal(same[1])
    assert same[0].unique(dim=0).shape == (3, 5)
    assert torch.vmap(lambda t: init.eye_(t.clone()))(torch.zeros(2, 3, 3)).equal(torch.eye(3).expand(2, 3, 3))
    orthogonal = torch.vmap(lambda t: init.orthogonal_(t.clone()), randomness="different")(torch.zeros(2, 3, 3))
    assert torch.allclose(orthogonal @ orthogonal.mT, torch.eye(3), atol=1e-6)


def test_grad_transform():
    def loss(x):
        noise = init.normal_(torch.zeros_like(x))
        return (x * noise).sum()

    torch.manual_seed(1)
    assert torch.func.grad(loss)(torch.ones(4, 4)).equal(expected())


@pytest.mark.parametrize("inside", ["grad", "functionalize", "inference"])
def test_what_is_remembered_is_of_no_mode(inside: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first draw of a process may be made within a transform: later ones read the same table."""
    monkeypatch.setenv("INITIUM_BACKEND", "reference")
    normal_table.cache_clear()
    if inside == "grad":
        torch.func.grad(lambda w: init.normal_(torch.empty(3)).sum() * w.sum())(torch.ones(3))
    elif inside == "functionalize":
        torch.func.functionalize(lambda w: init.normal_(w.clone()))(torch.empty(4))
    else:
        with torch.inference_mode():
            init.normal_(torch.empty(3))
    table = normal_table(torch.device("cpu"))
    assert table.data_ptr()
    assert not table.is_inference()
    assert not torch._C._functorch.is_functorch_wrapped_tensor(table)
