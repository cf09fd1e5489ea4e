"""Fingerprints: the definition in plain Python, and its laws: order-free, parts add up, ties once, any changed bit shows."""

from __future__ import annotations

import struct

import pytest
import torch
from torch import Tensor, nn

import initium
from initium import Normal, Rule, Uniform
from initium._errors import ArgumentError, PlanError, WriteError
from initium._measure.fingerprint import Fingerprint
from initium._stream import derive_key

M = 2**64


def by_hand(name: str, dtype: str, bits: list[int], start: int = 0) -> int:
    """The definition at the head of the module, element by element."""
    k0, k1, c2, c3 = derive_key(0, name, f"fingerprint/{dtype}")
    total = 0
    for i, b in enumerate(bits, start):
        t = (0x9E3779B97F4A7C15 * i + 0xD6E8FEB86659FD93 * b + (k0 + (k1 << 32))) % M
        x = (0xBF58476D1CE4E5B9 * (t ^ (t >> 32))) % M
        h1 = x ^ (x >> 29)
        y = (0x94D049BB133111EB * (h1 ^ (c2 + (c3 << 32)))) % M
        h2 = y ^ (y >> 32)
        total += (h1 << 64) + (h2 - M if h2 >= M // 2 else h2)
    return total % 2**128


class One(nn.Module):
    def __init__(self, values: Tensor) -> None:
        super().__init__()
        self.w = nn.Parameter(values, requires_grad=values.is_floating_point() or values.is_complex())


@pytest.mark.parametrize(
    ("values", "code"),
    [
        (torch.tensor([1.0, -2.5, 0.0, 1e-40, float("inf")]), "i"),
        (torch.tensor([1.0, -2.5, 3.0], dtype=torch.float64), "q"),
        (torch.tensor([1.0, -2.5, 3.0], dtype=torch.bfloat16), "h"),
        (torch.tensor([1.0, -2.5, 3.0], dtype=torch.float16), "h"),
        (torch.tensor([1, -2, 3], dtype=torch.int8), "b"),
        (torch.tensor([1 + 2j, -3j]), "i"),
        (torch.arange(600.0).view(20, 30).t(), "i"),
    ],
)
def test_the_definition(values: Tensor, code: str) -> None:
    raw = values.detach().contiguous().view(-1).view(torch.uint8).numpy().tobytes()
    bits = [b for (b,) in struct.iter_unpack(f"<{code}", raw)]
    dtype = str(values.dtype).removeprefix("torch.")
    assert initium.fingerprint(One(values)) == by_hand("w", dtype, bits)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.emb = nn.Embedding(50, 16)
        self.norm = nn.BatchNorm1d(16)
        self.a, self.b = nn.Linear(16, 300), nn.Linear(300, 16)
        self.head = nn.Linear(16, 50, bias=False)


class Tied(Net):
    def __init__(self) -> None:
        super().__init__()
        self.head.weight = self.emb.weight


RULES = [Rule("**", Uniform(-1, 1)), Rule("**", Normal(), ndim=2)]


def test_a_model_has_the_fingerprint_of_its_plan_and_of_the_dtype_it_is_stored_in() -> None:
    model = Net()
    plan = initium.initialize(model, RULES, seed=4)
    before = initium.fingerprint(model)
    assert before == plan.fingerprint() == plan.apply(Net()).fingerprint()
    low = model.to(torch.bfloat16)
    plan.apply(low)
    assert initium.fingerprint(low) == plan.fingerprint(torch.bfloat16) != before
    assert plan.reseed(5).fingerprint() != before


def test_parts_add_up_in_any_order() -> None:
    model = Net()
    plan = initium.initialize(model, RULES, seed=4)
    parts = [initium.fingerprint(model, only=glob) for glob in ("head.*", "norm.*", "b.*", "a.*", "emb.*")]
    assert sum(parts) % 2**128 == sum(reversed(parts)) % 2**128 == initium.fingerprint(model)
    assert sum(parts, Fingerprint()) == plan.fingerprint()
    assert plan.fingerprint(only="a.*") == parts[3]
    assert initium.fingerprint(model.a, prefix="a.") == parts[3] != initium.fingerprint(model.a)
    assert initium.fingerprint(model.a, rename=lambda name: f"a.{name}") == parts[3]


def test_ties_count_once_and_a_broken_tie_only_by_the_plan() -> None:
    model = Tied()
    plan = initium.initialize(model, RULES, seed=4)
    once = initium.fingerprint(model)
    assert once == plan.fingerprint() == initium.fingerprint(model, only=["emb.*", "norm.*", "a.*", "b.*"])
    model.head.weight = nn.Parameter(model.emb.weight.detach().clone())
    assert initium.fingerprint(model) != once
    assert initium.fingerprint(model, plan=plan) == once


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_any_changed_bit_shows_and_so_do_two_elements_that_change_places(dtype: torch.dtype) -> None:
    model = One(torch.randn(70_000, generator=torch.Generator().manual_seed(0)).to(dtype))
    before = initium.fingerprint(model)
    kind = {2: torch.int16, 4: torch.int32, 8: torch.int64}[dtype.itemsize]
    bits = model.w.detach().view(kind)
    seen = {before}
    for place in (0, 1, 33_333, 69_999):
        for bit in (0, 1, 8 * dtype.itemsize - 2):
            bits[place] ^= 1 << bit
            seen.add(initium.fingerprint(model))
            bits[place] ^= 1 << bit
    assert len(seen) == 13
    with torch.no_grad():
        a, b = model.w[3].clone(), model.w[4].clone()
        model.w[3], model.w[4] = b, a
    assert initium.fingerprint(model) not in seen


def test_the_name_counts_wrappers_and_memory_layout_do_not() -> None:
    model = Net()
    before = initium.fingerprint(model)
    assert initium.fingerprint(nn.Sequential(model)) != before
    assert initium.fingerprint(torch.compile(model, backend="eager")) == before  # type: ignore[arg-type]
    conv = nn.Conv2d(3, 8, 3)
    assert initium.fingerprint(conv) == initium.fingerprint(conv.to(memory_format=torch.channels_last))  # type: ignore[call-overload]


def test_threads_and_pieces_do_not_change_it() -> None:
    model = One(torch.randn(3_000_000, generator=torch.Generator().manual_seed(0)))
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = initium.fingerprint(model)
        torch.set_num_threads(2)
        assert initium.fingerprint(model) == one
    finally:
        torch.set_num_threads(threads)


def test_it_prints_as_32_digits_and_adds_modulo() -> None:
    assert str(Fingerprint(2**128 - 1) + 3) == "0" * 31 + "2"
    assert repr(Fingerprint(5)) == "Fingerprint('00000000000000000000000000000005')"


def test_what_has_no_values_is_refused() -> None:
    with pytest.raises(WriteError, match=r"weight has no plain values to count \(device meta"):
        initium.fingerprint(nn.Linear(3, 2, device="meta"))
    with pytest.raises(ArgumentError, match="only='wieght' matches no tensor. Did you mean 'weight'"):
        initium.fingerprint(nn.Linear(3, 2), only="wieght")
    with pytest.raises(PlanError, match=r"the plan does not hold the values of 1 tensor(.|\n)*weight \(kept\)(.|\n)*say only="):
        initium.plan(nn.Embedding(3, 2), "he", seed=0).fingerprint()
