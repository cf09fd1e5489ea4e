"""build: the plan's values, once, where and as they are to be."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

import initium
from initium import InitiumError, KaimingNormal, Normal, Recipe, Rule
from initium._capture import pages


class Net(nn.Module):
    """Some of everything, with an initialisation of its own."""

    def __init__(self, width: int = 16, *, depth: int = 2) -> None:
        super().__init__()
        self.embed = nn.Embedding(40, width, padding_idx=0)
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(width, width), nn.BatchNorm1d(width)) for _ in range(depth))
        self.normed = nn.utils.parametrizations.weight_norm(nn.Linear(width, width))
        self.head = nn.Linear(width, 40, bias=False)
        self.head.weight = self.embed.weight
        self.gamma = nn.Parameter(1e-4 * torch.ones(width))
        self.register_buffer("position", torch.arange(width).float().sin(), persistent=False)
        for m in self.modules():
            if isinstance(m, nn.Linear) and m is not self.head:
                nn.init.trunc_normal_(m.weight, std=0.02) if "weight" in m._parameters else None


def tensors(model: nn.Module) -> dict[str, Tensor]:
    return {**dict(model.named_parameters(remove_duplicate=False)), **dict(model.named_buffers(remove_duplicate=False))}


def assert_same(a: nn.Module, b: nn.Module) -> None:
    assert list(tensors(a)) == list(tensors(b))
    for name, tensor in tensors(a).items():
        assert torch.equal(tensor, tensors(b)[name]), name


@pytest.mark.parametrize("make", [Net, lambda: Net(width=8, depth=3), lambda: nn.Sequential(Net(), nn.GRU(16, 8))])
def test_build_is_the_plan_applied_to_the_skeleton_bit_for_bit(make: Callable[[], nn.Module]) -> None:
    built = initium.build(make, seed=3)
    skeleton, plan = initium.capture(make, seed=3)
    assert all(tensor.is_meta for tensor in tensors(skeleton).values())
    filled = skeleton.to_empty(device="cpu")
    plan.apply(filled)
    assert_same(built, filled)
    ordinary = make()
    initium.capture(make, seed=3)[1].apply(ordinary)
    assert_same(built, ordinary)


def test_the_seed_decides_and_nothing_else() -> None:
    torch.manual_seed(0)
    a = initium.build(Net, seed=0)
    torch.rand(100)
    assert_same(a, initium.build(Net, seed=0))
    assert not torch.equal(a.embed.weight, initium.build(Net, seed=1).embed.weight)
    torch.manual_seed(5)
    b = initium.build(Net)
    torch.manual_seed(5)
    assert_same(b, initium.build(Net))


def test_arguments_reach_the_constructor() -> None:
    assert initium.build(Net, 8, seed=0, depth=4).blocks[3][0].weight.shape == (8, 8)


class Keyed(nn.Module):
    def __init__(self, seed: int = 0, recipe: str = "") -> None:
        super().__init__()
        self.l, self.said = nn.Linear(4, 4), (seed, recipe)


def test_a_lambda_reaches_keywords_of_the_same_name() -> None:
    assert initium.build(Keyed, seed=9).said == (0, "")
    assert initium.build(lambda: Keyed(seed=9, recipe="x"), seed=0).said == (9, "x")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_in_another_dtype_it_is_the_same_model_rounded_once(dtype: torch.dtype) -> None:
    plain, other = initium.build(Net, seed=0), initium.build(Net, seed=0, dtype=dtype)
    for name, tensor in tensors(plain).items():
        found = tensors(other)[name]
        if not tensor.is_floating_point():
            assert found.dtype == tensor.dtype, name
        elif "original" in name or ".weight" not in name or "normed" not in name:
            assert found.dtype is dtype
            limit = max(torch.finfo(dtype).eps, 1e-6) if "original0" in name else 0.0  # computed in fp64
            assert torch.allclose(found, tensor.to(dtype), rtol=limit, atol=0), name
    assert other.head.weight is other.embed.weight


def test_on_meta_a_built_model_has_no_values_and_says_so() -> None:
    with pytest.raises(InitiumError, match="device='meta' has no values: initium.capture makes a skeleton"):
        initium.build(Net, seed=0, device="meta")


def test_a_recipe_goes_over_the_authors_own() -> None:
    rules = [Rule("head.weight", Normal(std=0.5), optional=True), Rule(nn.Linear, weight=Normal(std=0.1)), Rule("gamma", 1)]
    base = initium.build(Net, seed=0)
    ruled = initium.build(Net, seed=0, recipe=rules)
    assert bool((ruled.gamma == 1).all())
    assert torch.equal(base.embed.weight, ruled.embed.weight), "head is tied to it, and its first name holds"
    assert torch.equal(base.blocks[0][0].bias, ruled.blocks[0][0].bias)
    expected = initium.plan(nn.Linear(16, 16), Normal(std=0.1) and [Rule("**", Normal(std=0.1))], seed=0, prefix="blocks.0.0.")
    assert torch.equal(ruled.blocks[0][0].weight.flatten(), expected.values("blocks.0.0.weight"))


def test_a_rule_that_matches_nothing_is_an_error_here_too() -> None:
    with pytest.raises(InitiumError, match="nosuch"):
        initium.build(Net, seed=0, recipe=[Rule("nosuch.*", 0)])


def test_declaring_without_a_recipe_is_build_as_a_context() -> None:
    with initium.declaring(seed=0) as block:
        model = Net()
    assert_same(model, initium.build(Net, seed=0))
    assert block.plans[0] == initium.capture(Net, seed=0)[1]


@pytest.mark.parametrize("name", ["he", "xavier", "orthogonal", "torch"])
def test_a_model_on_meta_with_a_recipe(name: str) -> None:
    with torch.device("meta"):
        model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(32, 4))
    plan = initium.plan(model, name, seed=0)
    built = initium.build(
        lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(32, 4)), seed=0, recipe=name
    )
    model.to_empty(device="cpu")
    plan.apply(model)
    assert_same(model, built)


def test_a_constructor_under_the_meta_device_is_built_where_it_is_asked_for() -> None:
    def make() -> nn.Module:
        with torch.device("meta"):
            return nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8))

    built = initium.build(make, seed=0, device="cpu")
    assert_same(built, initium.build(lambda: nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8)), seed=0))


def test_a_built_model_trains_and_its_flags_are_the_constructors() -> None:
    model = initium.build(Net, seed=0)
    assert all(p.is_leaf and p.requires_grad for p in model.parameters())
    before = model.embed.weight.detach().clone()
    torch.optim.SGD(model.parameters(), 0.1).zero_grad()
    loss = model.head(torch.relu(model.blocks[0](model.embed(torch.arange(16))))).square().mean()
    loss.backward()
    torch.optim.SGD(model.parameters(), 0.1).step()
    assert not torch.equal(before, model.embed.weight)


def test_tensors_in_plain_attributes_are_filled_too() -> None:
    class Plain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.l = nn.Linear(4, 4)
            self.noise = torch.randn(1000)
            self.kept = [torch.ones(3), torch.randn(1000)]

    built = initium.build(Plain, seed=0)
    assert 0.85 < float(built.noise.std()) < 1.15
    assert 0.85 < float(built.kept[1].std()) < 1.15
    assert built.kept[0].tolist() == [1, 1, 1]


class Tutorial(nn.Module):
    """The classic tutorial's network: a loop over the modules, weights by their own fan_out."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
            nn.Conv2d(32, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        )  # fmt: skip
        self.head = nn.Linear(64, 10)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                n = m.kernel_size[0] * m.kernel_size[1] * m.out_channels
                m.weight.data.normal_(0, math.sqrt(2.0 / n))
            elif isinstance(m, nn.BatchNorm2d):
                m.weight.data.fill_(1)
                m.bias.data.zero_()


def test_the_tutorials_network_captured_equals_the_recipe_resnet_2015() -> None:
    _, plan = initium.capture(Tutorial, seed=0)
    recipe, classes = (initium.plan(Tutorial(), name, seed=0) for name in ("resnet-2015", "torch"))
    assert list(plan) == list(recipe)
    for name, entry in plan.items():
        other = recipe[name] if recipe[name].kind != "kept" else classes[name]  # the linear layer: its class's own
        assert (entry.kind, type(entry.program)) == (other.kind, type(other.program)), name
        assert recipe[name].kind == "kept" or entry.program == other.program, name
        assert entry.std == pytest.approx(other.std or 0.0, abs=1e-12), name
    assert_same(initium.build(Tutorial, seed=0), initium.build(Tutorial, seed=0, recipe="resnet-2015"))


def test_another_recipe_on_the_tutorials_network_is_another_plan() -> None:
    """The comparison above can fail."""
    _, plan = initium.capture(Tutorial, seed=0)
    other = initium.plan(Tutorial(), Recipe([Rule(nn.Conv2d, weight=KaimingNormal()), *initium.recipe("he").rules]), seed=0)
    assert plan["body.0.weight"].program != other["body.0.weight"].program


_THP = Path("/sys/kernel/mm/transparent_hugepage/enabled")


@pytest.mark.skipif(not _THP.exists() or "[never]" in _THP.read_text(), reason="the system has no large pages to give")
def test_memory_that_is_to_be_filled_is_asked_for_in_large_pages() -> None:
    """Also what the constructor's own ``torch.empty`` took; the flag is the kernel's word for it."""
    built = initium.build(nn.Linear, 2048, 2048, seed=0)
    inside = built.weight.data_ptr() + built.weight.nbytes // 2
    for mapping in re.split(r"\n(?=[0-9a-f]+-[0-9a-f]+ )", Path("/proc/self/smaps").read_text()):
        low, high = (int(bound, 16) for bound in mapping.split(" ", 1)[0].split("-"))
        if low <= inside < high:
            assert " hg" in mapping.rpartition("VmFlags:")[2]
            return
    raise AssertionError("the tensor lies in no mapping")


def test_where_no_large_pages_are_to_be_had_the_values_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = initium.build(nn.Linear, 2048, 2048, seed=0)
    for refusing in (None, lambda begin, length, advice: -1):
        monkeypatch.setattr(pages, "_madvise", lambda refusing=refusing: refusing)
        assert torch.equal(initium.build(nn.Linear, 2048, 2048, seed=0).weight, expected.weight)


@pytest.mark.parametrize(("wait", "asked"), [(0.0, 5), (0.002, 3)])
def test_large_pages_are_not_asked_for_any_more_where_they_are_slow_to_come(
    monkeypatch: pytest.MonkeyPatch, wait: float, asked: int
) -> None:
    calls: list[int] = []

    def advise(begin: int, length: int, advice: int) -> int:
        calls.append(advice)
        if advice == pages._POPULATE:
            time.sleep(wait)
        return 0

    monkeypatch.setattr(pages, "_madvise", lambda: advise)
    monkeypatch.setattr(pages, "_ADVICE", 14)
    monkeypatch.setattr(pages, "_SLOW", 0.001 if wait else 1.0)  # a fast one may be held up by others
    initium.build(lambda: nn.Sequential(*(nn.Linear(1024, 1024, bias=False) for _ in range(5))), seed=0)
    assert calls.count(14) == asked
    assert calls.count(pages._POPULATE) == 3


class Wrapped(Tensor):
    """A tensor whose values another one holds, as quantised ones are: it has no memory of its own to ask for."""

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> Wrapped:  # torch's way
        made: Wrapped = Tensor._make_wrapper_subclass(cls, inner.shape, dtype=inner.dtype, device=inner.device)  # type: ignore[attr-defined]
        made.inner = inner
        return made

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        def inner(value: object) -> object:
            return value.inner if isinstance(value, Wrapped) else value

        found = func(*tree_map(inner, args), **tree_map(inner, kwargs or {}))
        return tree_map(lambda one: Wrapped(one) if isinstance(one, Tensor) else one, found)


def test_a_large_tensor_without_memory_of_its_own_stays_as_it_is() -> None:
    table = Wrapped(torch.arange(2.0**21).view(1024, 2048))

    class Quantised(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(8, 8)
            self.register_buffer("table", table)

    built = initium.build(Quantised, seed=0)
    assert built.table is table
    assert torch.equal(table.inner, torch.arange(2.0**21).view(1024, 2048))
    assert_same(built.linear, initium.build(Quantised, seed=0).linear)
