"""What a forward pass does within: attention by any of torch's ways is measured alike, routing is counted, spectra have their edge."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from initium._audit.measure.collect import Wanted, collect
from initium._audit.measure.seen import Seen

EVERYTHING = Wanted(True, True, False, False, False, frozenset({"within", "spectra"}))


def seen_of(model: nn.Module, inputs: Any) -> Seen:
    return collect(model, None, inputs, 0, "model", EVERYTHING)[0]


class Attends(nn.Module):
    """Eight heads of 16 over 24 keys, causal or not, by hand or fused."""

    def __init__(self, how: str, causal: bool) -> None:
        super().__init__()
        self.q, self.k = nn.Linear(128, 128), nn.Linear(128, 128)
        self.how, self.causal = how, causal

    def forward(self, x: Tensor) -> Tensor:
        q, k = (layer(x).view(2, 24, 8, 16).transpose(1, 2) for layer in (self.q, self.k))
        if self.how == "fused":
            return F.scaled_dot_product_attention(q, k, k, is_causal=self.causal)
        mask = torch.ones(24, 24, dtype=torch.bool).tril() if self.causal else torch.ones(24, 24, dtype=torch.bool)
        if self.how == "masked":
            return F.scaled_dot_product_attention(q, k, k, attn_mask=mask)
        scores = (q @ k.transpose(-1, -2) / 4).masked_fill(~mask, torch.finfo(q.dtype).min)
        return scores.softmax(-1) @ k


@pytest.mark.parametrize("causal", [False, True])
def test_attention_is_the_same_by_hand_and_fused(causal: bool) -> None:
    torch.manual_seed(0)
    x, found = torch.randn(2, 24, 128), []
    state = Attends("hand", causal).state_dict()
    for how in ("hand", "fused", "masked"):
        model = Attends(how, causal)
        model.load_state_dict(state)
        (one,) = seen_of(model, x).within.attentions
        assert one.keys == 24
        found.append((one.spread, one.entropy))
    assert found[1] == pytest.approx(found[0], rel=1e-4)
    assert found[2] == pytest.approx(found[0], rel=1e-4)
    assert 0.9 < found[0][1] < 1.0


def test_an_attention_to_one_key_has_no_entropy() -> None:
    model = Attends("fused", False)
    nn.init.normal_(model.q.weight)
    nn.init.normal_(model.k.weight)
    torch.manual_seed(1)
    (one,) = seen_of(model, torch.randn(2, 24, 128)).within.attentions
    assert one.entropy < 0.1
    assert one.spread > 10


def test_nothing_is_left_behind() -> None:
    from torch.nn.modules import module as nn_module

    before = len(nn_module._global_forward_hooks), len(nn_module._global_forward_pre_hooks)
    seen_of(Attends("hand", False), torch.randn(2, 24, 128))
    assert (len(nn_module._global_forward_hooks), len(nn_module._global_forward_pre_hooks)) == before


def test_what_costs_more_is_measured_only_where_asked_for() -> None:
    model, x = Attends("hand", False), torch.randn(2, 24, 128)
    seen = collect(model, None, x, 0, "model", EVERYTHING._replace(extras=frozenset()))[0]
    assert not seen.spectra
    assert not seen.within.attentions
    assert seen.signals


def test_an_attention_of_odd_shapes_does_not_stop_the_audit() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(16, 16)

        def forward(self, x: Tensor) -> Tensor:
            x = self.first(x)
            one = F.scaled_dot_product_attention(x, x, x)  # three axes
            two = F.scaled_dot_product_attention(x[None, :, None], x[None, :, None], x[None, :, None])
            wide = F.scaled_dot_product_attention(x[:, None], x[:, None], x[:, None], attn_mask=torch.zeros(1, 1, 1, 8))
            return one + two[0, :, 0] + wide[:, 0] + x.softmax(1)

    seen = seen_of(Odd(), torch.randn(2, 8, 16))
    assert seen.probe is not None
    assert {one.keys for one in seen.within.attentions} == {8}


def test_random_matrices_stay_within_the_edge() -> None:
    """The edge exceeds 8 with probability 3e-7 for each of these; this is one seed."""
    torch.manual_seed(0)
    model = nn.ModuleList()
    for rows, columns in ((64, 64), (32, 512), (300, 100), (700, 900)):
        for draw in (nn.init.normal_, nn.init.uniform_):
            layer = nn.Linear(columns, rows, bias=False)
            draw(layer.weight)
            if draw is nn.init.uniform_:
                with torch.no_grad():
                    layer.weight.sub_(0.5)
            model.append(layer)
    spectra = seen_of(model, None).spectra
    assert len(spectra) == 8
    for (one,) in spectra.values():
        assert one.edge < 8
        assert one.beyond < 1.1
        assert not one.gone


def test_a_spike_and_a_lost_rank_are_seen_also_in_a_large_matrix() -> None:
    torch.manual_seed(0)
    spiked, low = nn.Linear(1000, 2000, bias=False), nn.Linear(1000, 2000, bias=False)
    with torch.no_grad():
        spiked.weight.normal_(0, 0.02).add_(torch.randn(2000, 1) @ torch.randn(1, 1000), alpha=0.002)
        low.weight.copy_(torch.randn(2000, 40) @ torch.randn(40, 1000))
    spectra = seen_of(nn.ModuleList([spiked, low]), None).spectra
    assert spectra["0.weight"][0].edge > 8
    assert not spectra["0.weight"][0].gone
    assert spectra["1.weight"][0].short == 250  # every fourth row of the shorter side
    assert spectra["1.weight"][0].gone == 250 - 40
