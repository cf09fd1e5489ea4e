"""Which layouts are found for whom: handlers, the users' own, and what a class tells that nobody has described."""

from __future__ import annotations

import timeit

import pytest
import torch
from torch import nn

import initium
from initium._errors import ArgumentError, ArgumentTypeError
from initium._fans import ONE, Layout
from initium._layouts.registry import _BY_CLASS, _BY_NAME, _FOUND, _GLOBS, layouts_of


@pytest.fixture(autouse=True)
def registry() -> object:
    """Each test's handlers go when it ends."""
    before = dict(_BY_CLASS), dict(_BY_NAME), list(_GLOBS)
    yield
    for table, old in zip((_BY_CLASS, _BY_NAME), before[:2], strict=True):
        table.clear()
        table.update(old)
    _GLOBS[:] = before[2]
    _FOUND.clear()


class Attention(nn.Module):
    def __init__(self, name: str, size: int = 8, times: int = 3) -> None:
        super().__init__()
        self.add_module(name, nn.Linear(size, times * size))
        self.proj = nn.Linear(size, size)


@pytest.mark.parametrize("name", ["qkv", "Wqkv", "to_qkv", "in_proj_qkv", "qkv_proj", "query_key_value", "c_attn"])
def test_a_packed_child_is_three_weights(name: str) -> None:
    entry = initium.plan(Attention(name), "xavier", seed=0)[f"{name}.weight"]
    separate = initium.plan(nn.Linear(8, 8), "xavier", seed=0)["weight"]
    assert (entry.fan_in, entry.fan_out) == (8, 8)
    assert entry.std == separate.std  # and not that of one (24, 8) matrix
    assert entry.note == "q, k, v"  # visible in the plan


@pytest.mark.parametrize("m", [Attention("qkv", times=2), Attention("mixer"), Attention("proj2")])
def test_another_size_or_name_is_one_weight(m: nn.Module) -> None:
    assert layouts_of(m) == {}


def test_gate_and_up_are_two_weights() -> None:
    layout = layouts_of(Attention("gate_up_proj", times=4))["gate_up_proj.weight"]
    assert (layout.blocks, layout.block_names) == ((16, 16), ("gate", "up"))


def test_an_explicit_handler_wins_over_the_guess() -> None:
    class Fused(Attention):
        pass

    @initium.module(Fused)
    def one_matrix(m: nn.Module) -> dict[str, Layout]:
        return {"qkv.weight": Layout("weight")}

    layouts = layouts_of(Fused("qkv"))
    assert layouts["qkv.weight"].blocks == ()
    assert layouts["qkv.bias"].blocks == (8, 8, 8)  # what it left unsaid is still told by the child
    assert initium.plan(Fused("qkv"), "xavier", seed=0)["qkv.weight"].fan_out == 24


def test_an_ancestor_speaks_of_a_descendant() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Linear(4, 6))

    @initium.module(Net)
    def net(m: nn.Module) -> dict[str, Layout]:
        return {"body.0.weight": Layout("weight", blocks=(3, 3), block_names=("a", "b"))}

    assert initium.plan(Net(), "xavier", seed=0)["body.0.weight"].fan_out == 3


def test_the_most_derived_class_and_the_user_win() -> None:
    class Derived(nn.Linear):
        pass

    @initium.module("Deriv*")
    def by_name(m: nn.Module) -> dict[str, Layout]:
        return {"weight": ONE}

    layouts = layouts_of(Derived(2, 2))
    assert layouts["weight"] is ONE
    assert layouts["bias"].role == "bias"  # what the derived class leaves unsaid is still torch's


def test_a_handler_of_ours_gives_way_and_a_users_does_not() -> None:
    @initium.module(nn.PReLU)
    def slope(m: nn.Module) -> dict[str, Layout]:
        return {"weight": Layout(reset=0.1)}

    assert layouts_of(nn.PReLU())["weight"].reset == 0.1
    with pytest.raises(ArgumentError, match=r"PReLU has a layout handler already: .*slope"):
        initium.module(nn.PReLU)(lambda m: {})


def test_a_class_of_a_known_name_may_be_something_else() -> None:
    class MambaMixer(nn.Module):
        pass

    assert layouts_of(MambaMixer()) == {}


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ((), "write @initium.module"),
        ((3,), "got 3"),
        ((dict,), "got <class 'dict'>"),
        ((lambda m: {},), "expects nn.Module classes"),
    ],
)
def test_what_module_takes(target: tuple[object, ...], message: str) -> None:
    with pytest.raises(ArgumentTypeError, match=message):
        initium.module(*target)(lambda m: {})  # type: ignore[arg-type]


@pytest.mark.parametrize(("said", "message"), [([], "returned list"), ({"weight": "dense"}, "said 'dense' of 'weight'")])
def test_what_a_handler_returns(said: object, message: str) -> None:
    class Odd(nn.Module):
        pass

    @initium.module(Odd)
    def odd(m: nn.Module) -> object:
        return said

    with pytest.raises(ArgumentTypeError, match=f"odd for Odd {message}"):
        layouts_of(Odd())


def test_a_norm_is_known_by_its_name_and_by_its_constructor() -> None:
    class PlainRMSNorm(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(4))

    class OffsetRMSNorm(nn.Module):  # x · (1 + weight)
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(4))

    class Inherits(OffsetRMSNorm):
        pass

    class FilledRMSNorm(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.empty(4))
            self.reset_parameters()

        def reset_parameters(self) -> None:
            nn.init.ones_(self.weight)

    resets = [layouts_of(cls())["weight"].reset for cls in (PlainRMSNorm, OffsetRMSNorm, FilledRMSNorm)]
    assert resets == [1.0, 0.0, 1.0]
    Inherits.__name__ = "InheritsRMSNorm"
    assert layouts_of(Inherits())["weight"].reset == 0.0


class SomeExperts(nn.Module):
    def __init__(self, up: tuple[int, ...], down: tuple[int, ...]) -> None:
        super().__init__()
        self.gate_up_proj = nn.Parameter(torch.empty(up))
        self.down_proj = nn.Parameter(torch.empty(down))


@pytest.mark.parametrize(
    ("up", "down"), [((4, 10, 3), (4, 3, 5)), ((4, 3, 10), (4, 5, 3))], ids=["(E, out, in)", "(E, in, out)"]
)
def test_experts_are_read_from_the_shapes_that_fit(up: tuple[int, ...], down: tuple[int, ...]) -> None:
    plan = initium.plan(SomeExperts(up, down), "he", seed=0)
    assert (plan["gate_up_proj"].fan_in, plan["gate_up_proj"].fan_out) == (3, 5)
    assert (plan["down_proj"].fan_in, plan["down_proj"].fan_out) == (5, 3)
    assert plan["gate_up_proj"].std == pytest.approx((2 / 3) ** 0.5)


def test_experts_that_do_not_fit_stay_bare() -> None:
    assert layouts_of(SomeExperts((4, 9, 3), (4, 3, 5))) == {}


def test_finding_layouts_is_cheap() -> None:
    """A few µs at most, in the best of several runs: a model has thousands of modules."""
    for m, limit in ((nn.Linear(2, 2), 2e-6), (nn.Conv2d(2, 2, 1), 4e-6), (nn.ReLU(), 2e-6), (Attention("qkv"), 4e-5)):
        layouts_of(m)
        assert min(timeit.repeat(lambda m=m: layouts_of(m), number=1000, repeat=5)) / 1000 < limit
        assert all(layouts_of(m)[name] is layout for name, layout in layouts_of(m).items())  # shared, not made anew
