"""Models that raise, exit, hide their attributes or hold sparse tensors: an audit goes on, and says what it could not do."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from planting import Net, batch, found, of
from torch import Tensor, nn
from torch.nn import functional as F

import initium
from initium._audit.registry import check_of
from initium._errors import ModelError


def test_a_check_that_raises_is_said_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(seen: Any) -> Any:
        raise StopIteration
        yield

    one = check_of("D001")
    monkeypatch.setattr(
        "initium._audit.run.selected", lambda *_: [one.__class__(**{**vars(one), "find": broken}), check_of("N001")]
    )
    report = initium.audit(Net, level="weights")
    assert ("N001", check_of("N001").name) in report.passed
    assert [(reason.what, "the check itself raises" in reason.reason) for reason in report.failed] == [("D001", True)]


class Quantised(nn.Module):
    """EnCodec's way: a codebook that is a buffer of zeros until k-means or a checkpoint fills it."""

    def __init__(self, filled: bool) -> None:
        super().__init__()
        self.encoder, self.decoder = nn.Linear(64, 8), nn.Linear(8, 64)
        self.register_buffer("codebook", torch.randn(32, 8) if filled else torch.zeros(32, 8))

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(F.embedding(torch.cdist(self.encoder(x), self.codebook).argmin(-1), self.codebook))


def test_a_codebook_of_zeros_is_named_as_the_reason_of_one_output_for_all() -> None:
    assert not found(lambda: Quantised(True), batch(8, 64), select="P005")
    finding = found(lambda: Quantised(False), batch(8, 64), select="P005")["P005"]
    assert (finding.name, finding.severity) == ("codebook", "info")
    assert "0 until it is fitted or loaded" in finding.message


class Quits(nn.Module):
    def __init__(self, early: bool) -> None:
        super().__init__()
        self.last = nn.Linear(8, 8)
        if early:
            raise SystemExit(5)

    def forward(self, x: Tensor) -> Tensor:
        raise SystemExit(9)


def test_a_model_that_exits_is_one_that_raises() -> None:
    with pytest.raises(ModelError, match="cannot be built: SystemExit: 5"):
        initium.audit(lambda: Quits(True))
    report = initium.audit(lambda: Quits(False), batch(4, 8))
    assert "its forward raises SystemExit: 9" in report.failed[0].reason
    assert report.passed


class Secretive(Net):
    @property
    def config(self) -> Any:
        raise RuntimeError("not for you")


def test_an_attribute_that_raises_stops_no_check() -> None:
    assert not found(Secretive, batch(4, 64), preview=True, ignore="R003")


def test_a_sparse_parameter_is_read_with_its_zeros() -> None:
    def start(self: Any) -> None:
        self.mask = nn.Parameter(torch.eye(8).to_sparse())

    assert not found(of(start), level="weights")


class SparseGradients(nn.Module):
    def __init__(self, std: float) -> None:
        super().__init__()
        self.tokens, self.last = nn.Embedding(50, 8, sparse=True), nn.Linear(8, 2)
        nn.init.normal_(self.tokens.weight, std=std)

    def forward(self, ids: Tensor) -> Tensor:
        return self.last(self.tokens(ids)).mean(1)


def test_gradients_may_be_sparse() -> None:
    report = initium.audit(lambda: SparseGradients(0.1), torch.arange(8).reshape(2, 4))
    assert report.ok, str(report)
    assert not report.failed
    assert "G003" in {code for code, _ in report.passed}
