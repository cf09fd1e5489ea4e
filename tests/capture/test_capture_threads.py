"""Capture and threads: a constructor that is recorded in one changes nothing about what the others do."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import nn

import initium
from initium import _apply, init
from initium._init import dropin


class Drawn(nn.Module):
    """Every way of writing that capture has a hook for."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(16, 16)
        nn.init.trunc_normal_(self.layer.bias)
        init.xavier_normal_(self.layer.weight)
        self.other = nn.Linear(16, 16)
        initium.initialize(self.other, "he", seed=4)


@pytest.fixture(autouse=True)
def many_switches() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def at_once(*works: Callable[[], None]) -> list[BaseException]:
    """Each in a thread of its own; what they raised."""
    raised: list[BaseException] = []

    def run(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def test_who_builds_and_who_initialises_do_not_meet() -> None:
    """They once did: what others initialised meanwhile was recorded and not written, and what was built had other values."""
    built = initium.build(Drawn, seed=0)
    plain = nn.Linear(16, 4)
    initium.initialize(plain, "he", seed=0)
    seams = _apply.Batch, nn.init._no_grad_trunc_normal_, dropin._run  # type: ignore[attr-defined]

    def builds() -> None:
        for _ in range(8):
            for mine, other in zip(initium.build(Drawn, seed=0).parameters(), built.parameters(), strict=True):
                assert torch.equal(mine, other)

    def initialises() -> None:
        for _ in range(40):
            model, loose = nn.Linear(16, 4), torch.full((3, 3), 9.0)
            with torch.no_grad():
                model.weight.fill_(9.0)
            initium.initialize(model, "he", seed=0)
            assert torch.equal(model.weight, plain.weight)
            assert not (init.orthogonal_(loose) == 9.0).any()

    assert at_once(builds, builds, initialises, initialises) == []
    assert seams == (_apply.Batch, nn.init._no_grad_trunc_normal_, dropin._run)  # type: ignore[attr-defined]


def test_the_generator_of_the_program_goes_on_where_it_was() -> None:
    torch.manual_seed(3)
    state = torch.get_rng_state()
    assert at_once(*[lambda: [initium.capture(Drawn, seed=0) for _ in range(4)] and None] * 3) == []
    assert torch.equal(torch.get_rng_state(), state)
