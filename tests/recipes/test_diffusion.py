"""U-nets that diffuse: what is 0 is 0, and what is drawn has the numbers of the source, on blocks that have its names."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

import initium

C = 16


class ResBlock(nn.Module):
    """guided_diffusion/unet.py and ldm's openaimodel.py."""

    def __init__(self) -> None:
        super().__init__()
        self.in_layers = nn.Sequential(nn.GroupNorm(4, C), nn.SiLU(), nn.Conv2d(C, C, 3, padding=1))
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(8, C))
        self.out_layers = nn.Sequential(nn.GroupNorm(4, C), nn.SiLU(), nn.Dropout(0.0), nn.Conv2d(C, C, 3, padding=1))

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        return x + self.out_layers(self.in_layers(x) + self.emb_layers(emb)[:, :, None, None])  # type: ignore[no-any-return]


class Transformer(nn.Module):
    """ldm's SpatialTransformer, or guided diffusion's AttentionBlock."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.proj_in, self.proj_out = nn.GroupNorm(4, C), nn.Conv2d(C, C, 1), nn.Conv2d(C, C, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.proj_out(self.proj_in(self.norm(x)))  # type: ignore[no-any-return]


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.input_blocks = nn.ModuleList(
            [nn.ModuleList([nn.Conv2d(3, C, 3, padding=1)]), nn.ModuleList([ResBlock(), Transformer()])]
        )
        self.out = nn.Sequential(nn.GroupNorm(4, C), nn.SiLU(), nn.Conv2d(C, 3, 3, padding=1))


@pytest.mark.parametrize("name", ["adm", "stable-diffusion"])
def test_blocks_are_the_identity_and_the_output_is_zero(name: str) -> None:
    net = UNet()
    plan = initium.initialize(net, name, seed=0)
    block, attention = net.input_blocks[1]
    x, emb = torch.randn(2, C, 8, 8), torch.randn(2, 8)
    assert torch.equal(block(x, emb), x)
    assert torch.equal(attention(x), x)
    assert not net.out(x).any()
    assert plan["input_blocks.1.0.in_layers.2.weight"].initializer.b == pytest.approx(1 / math.sqrt(9 * C)), (
        "the rest is torch's"
    )
    assert plan["input_blocks.1.1.proj_in.weight"].initializer.b == pytest.approx(1 / math.sqrt(C))
    zeros = [entry for entry in plan if plan[entry].std == 0 and "norm" not in entry and plan[entry].role == "weight"]
    assert set(zeros) == {"input_blocks.1.0.out_layers.3.weight", "input_blocks.1.1.proj_out.weight", "out.2.weight"}
    with pytest.raises(initium.InitiumError, match="match nothing"):
        initium.plan(nn.Linear(4, 4), name, seed=0)


def test_controlnet_touches_its_zero_convolutions_alone() -> None:
    net = nn.ModuleDict(
        {
            "unet": UNet(),
            "zero_convs": nn.ModuleList([nn.Sequential(nn.Conv2d(C, C, 1))]),
            "middle_block_out": nn.Sequential(nn.Conv2d(C, C, 1)),
            "controlnet_mid_block": nn.Conv2d(C, C, 1),
        }
    )
    before = {name: p.clone() for name, p in net.named_parameters()}
    initium.initialize(net, "controlnet", seed=0)
    for name, p in net.named_parameters():
        assert (not p.any()) if not name.startswith("unet") else torch.equal(p, before[name]), name


class OwnConv(nn.Module):
    """EDM's Conv2d: a class of its own, with a weight and a bias."""

    def __init__(self, inputs: int, outputs: int, k: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(outputs, inputs, k, k)), nn.Parameter(torch.ones(outputs))


class OwnLinear(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(outputs, inputs)), nn.Parameter(torch.ones(outputs))


class UNetBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv0, self.conv1, self.affine = OwnConv(C, 2 * C, 3), OwnConv(2 * C, 2 * C, 3), OwnLinear(8, 2 * C)
        self.qkv, self.proj = OwnConv(2 * C, 6 * C, 1), OwnConv(2 * C, 2 * C, 1)


class SongUNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.map_layer0, self.map_label = OwnLinear(C, 4 * C), OwnLinear(10, 4 * C)
        self.enc = nn.ModuleDict({"8x8_conv": OwnConv(3, C, 3), "8x8_block0": UNetBlock()})
        self.dec = nn.ModuleDict({"8x8_aux_conv": OwnConv(C, 3, 3)})
        self.out_conv = OwnConv(C, 3, 3)


def xavier(fan_in: int, fan_out: int) -> float:
    return math.sqrt(2 / (fan_in + fan_out))


def test_ddpmpp() -> None:
    plan = initium.plan(SongUNet(), "ddpmpp", seed=0)
    block = "enc.8x8_block0"
    assert plan[f"{block}.conv0.weight"].std == pytest.approx(xavier(9 * C, 9 * 2 * C))
    assert plan[f"{block}.affine.weight"].std == pytest.approx(xavier(8, 2 * C))
    assert plan[f"{block}.conv1.weight"].std == pytest.approx(1e-5 * xavier(18 * C, 18 * C))
    assert plan[f"{block}.proj.weight"].std == pytest.approx(1e-5 * xavier(2 * C, 2 * C))
    assert plan["dec.8x8_aux_conv.weight"].std == pytest.approx(1e-5 * xavier(9 * C, 27))
    assert plan[f"{block}.qkv.weight"].std == pytest.approx(math.sqrt(0.2) * xavier(2 * C, 6 * C)), "q, k and v as one"
    assert all(entry.mean == entry.std == 0 for name, entry in plan.items() if name.endswith("bias"))


def test_edm_adm() -> None:
    plan = initium.plan(SongUNet(), "edm-adm", seed=0)
    block = "enc.8x8_block0"
    assert plan[f"{block}.conv0.weight"].program.high == pytest.approx(1 / math.sqrt(9 * C))
    assert plan["map_label.weight"].std == pytest.approx(1.0), "√K · √(1 / K)"
    for name in (f"{block}.conv1", f"{block}.proj", "out_conv"):
        assert plan[f"{name}.weight"].std == plan[f"{name}.bias"].std == 0
    assert plan[f"{block}.conv0.bias"].kind == "kept"
    own = initium.plan(nn.ModuleDict({"conv0": nn.Conv2d(C, C, 3), "conv1": nn.Conv2d(C, C, 3)}), "edm-adm", seed=0)
    assert own["conv0.bias"].program.high == pytest.approx(1 / math.sqrt(9 * C)), "biases of torch's own layers are drawn"
