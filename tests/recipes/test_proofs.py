"""The programs behind docs/proofs.md, at the size that a test may take."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from initium._execute import one_thread

PROOFS = Path(__file__).parent.parent.parent / "benchmarks" / "proofs"


@pytest.fixture(autouse=True)
def alone() -> Iterator[None]:
    """Small tensors: several threads would only wait for each other."""
    with one_thread():
        yield


def load(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(f"proof_{name}", PROOFS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_sines_of_a_siren_see_the_fixed_point() -> None:
    stds = load("siren").stds(width=512, layers=7, points=1024)
    assert stds[1] == pytest.approx(1.0, abs=0.03), "inputs of the first hidden layer are arcsine-distributed"
    assert stds[-1] == pytest.approx(0.892643, rel=0.025)


@pytest.mark.parametrize("blocks", [40])
def test_fixup_starts_at_log_k_and_falls(blocks: int) -> None:
    losses = load("fixup").losses("fixup", blocks=blocks, steps=1)
    assert losses[0] == pytest.approx(math.log(10), rel=1e-6)
    assert losses[1] < losses[0] - 0.05


def test_gradients_reach_the_first_of_many_tanh_convolutions() -> None:
    train = load("delta_orthogonal").train
    ratio, losses, _ = train(True, depth=60, width=8, steps=1)
    assert 0.3 < ratio < 3
    assert losses[0] == pytest.approx(math.log(10), rel=0.1)


def test_a_transformer_without_norms_starts_where_xavier_explodes() -> None:
    torch.manual_seed(0)
    train = load("without_warmup").train
    assert train("t-fixup", 12, False, steps=1)[0] < 10
    assert train("xavier", 32, False, steps=1)[0] > 1e3
