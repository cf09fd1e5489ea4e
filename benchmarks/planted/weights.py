"""Bugs in the values: variances, copies, zeros, norms (S, Y, D, C)."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

import initium

from .case import planted
from .nets import Branches, Grey, deep, he, linears, mlp, normed
from .tasks import ensemble, greys, images, learns


@planted(
    "S001", "a truncated normal by erfinv, drawn in bfloat16: its ends are infinite and cut to ±2", learns(rate=0.02, sgd=True)
)
def low(bad: bool) -> nn.Module:
    net = mlp(*[512] * 6)
    for layer in linears(net):
        drawn = torch.empty(layer.weight.shape, dtype=torch.bfloat16 if bad else torch.float32)
        drawn.uniform_(-1, 1).erfinv_().mul_(2 / layer.in_features**0.5).clamp_(-2, 2)
        layer.weight = nn.Parameter(drawn.float())
    return net


@planted("S002", "torch.rand, meant as noise: the mean is half the range")
def rand(bad: bool) -> nn.Module:
    net = deep()
    for layer in linears(net):
        bound = (6 / layer.in_features) ** 0.5
        nn.init.uniform_(layer.weight, 0 if bad else -bound, bound)
    return net


@planted("S010", "initializer_range = 1e-10, as transformers' vision towers have it")
def tiny(bad: bool) -> nn.Module:
    net = deep(3)
    for layer in linears(net):
        nn.init.normal_(layer.weight, std=1e-10 if bad else 0.1)
    return net


@planted("S011", "a loop over seven blocks that stops one short: N(0, 1) stays in the last", learns(rate=0.05, sgd=True))
def forgotten(bad: bool) -> nn.Module:
    net = deep(8)
    layers = linears(net)[1:-1]
    for layer in layers:
        nn.init.normal_(layer.weight, std=1.0)
    for layer in layers[: -1 if bad else None]:
        he(layer.weight)
    return net


@planted("S020", "nn.Embedding's N(0, 1), tied to the output layer", learns(greys, epochs=1))
def loud(bad: bool) -> nn.Module:
    net = Grey(64)
    if not bad:
        nn.init.normal_(net.tokens.weight, std=0.02)
    return net


class RawProduct(nn.Module):
    def __init__(self, scale: float) -> None:
        super().__init__()
        self.mixes = nn.ParameterList(nn.Parameter(torch.randn(64, 64) * scale) for _ in range(4))
        self.head = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1)
        for mix in self.mixes:
            x = torch.relu(x @ mix)
        scores: Tensor = self.head(x)
        return scores


@planted("S021", "nn.Parameter(torch.randn(64, 64)), used as a matrix")
def raw(bad: bool) -> nn.Module:
    return RawProduct(1.0 if bad else (2 / 64) ** 0.5)


@planted("Y001", "eight branches that are copies of one")
def copies(bad: bool) -> nn.Module:
    branches = [mlp(2) for _ in range(8)]
    return Branches([copy.deepcopy(branches[0]) for _ in branches] if bad else branches)


@planted("Y008", "eight branches that are one, times ½ to 1⅜")
def factors(bad: bool) -> nn.Module:
    branches = [mlp(2) for _ in range(8)]
    with torch.no_grad():
        for i, branch in enumerate(branches if bad else ()):
            first, last = linears(branch)
            first.weight.copy_(linears(branches[0])[0].weight * (0.5 + i / 8))
            last.weight.copy_(linears(branches[0])[1].weight * (0.5 + i / 8))
    return Branches(branches)


@planted("Y002", "64 hidden units, tiled from 2")
def tiled(bad: bool) -> nn.Module:
    net = mlp(64)
    with torch.no_grad():
        if bad:
            first, last = linears(net)
            first.weight.copy_(first.weight[:2].repeat(32, 1))
            last.weight.copy_(last.weight[:, :1].expand(-1, 64))
    return net


class Experts(nn.Module):
    """Sixteen experts of two units, all of them asked."""

    def __init__(self, same: bool) -> None:
        super().__init__()
        self.up = nn.Parameter(torch.stack([torch.randn(2, 64) / 8 for _ in range(16)]))
        self.down = nn.Parameter(torch.stack([torch.randn(10, 2) / 6 for _ in range(16)]))
        if same:
            with torch.no_grad():
                self.up.copy_(self.up[:1].clone().expand_as(self.up))
                self.down.copy_(self.down[:1].clone().expand_as(self.down))

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.relu(torch.einsum("ni,eoi->neo", x.flatten(1), self.up))
        return torch.einsum("nei,eoi->no", hidden, self.down)


@initium.module(Experts)
def _stacked(module: nn.Module) -> dict[str, initium.Layout]:
    stack = initium.Layout("weight", batch_axes=(0,), out_axes=(1,), in_axes=(2,))
    return {"up": stack, "down": stack}


@planted("Y003", "sixteen experts stacked in one tensor, drawn once")
def experts(bad: bool) -> nn.Module:
    return Experts(bad)


@planted("Y004", "every weight 0.01")
def constant(bad: bool) -> nn.Module:
    net = mlp(64, 64)
    for layer in linears(net) if bad else ():
        nn.init.constant_(layer.weight, 0.01)
    return net


class Adapted(nn.Module):
    """A frozen layer with an adapter of rank 16, which alone is trained."""

    def __init__(self, both: bool) -> None:
        super().__init__()
        self.base = nn.Linear(64, 10).requires_grad_(False)
        self.lora = nn.Sequential(nn.Linear(64, 16, bias=False), nn.Linear(16, 10, bias=False))
        nn.init.zeros_(self.lora[1].weight)
        if both:
            nn.init.zeros_(self.lora[0].weight)

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1)
        return self.base(x) + self.lora(x)


@planted("Y005", "both factors of an adapter 0", level="weights")
def adapter(bad: bool) -> nn.Module:
    return Adapted(bad)


@planted("G003", "both factors of an adapter 0")
def deadlock(bad: bool) -> nn.Module:
    return Adapted(bad)


class Reseeded(nn.Module):
    """A product of two random maps whose second one begins with the numbers of the first."""

    def __init__(self, bad: bool) -> None:
        super().__init__()
        state = torch.get_rng_state()
        self.up = nn.Linear(64, 48, bias=False)
        if bad:
            torch.set_rng_state(state)
        self.gate = nn.Linear(64, 64, bias=False)
        self.head = nn.Linear(48, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1)
        scores: Tensor = self.head(self.up(x) * self.gate(x)[:, :48])
        return scores


@planted("Y006", "a seed set before each layer")
def reseeded(bad: bool) -> nn.Module:
    return Reseeded(bad)


@planted("Y007", "torch.manual_seed(42) in the constructor: four members of an ensemble are one", ensemble)
def seeded(bad: bool) -> nn.Module:
    if bad:
        torch.manual_seed(42)
    return mlp(16)


@planted("D001", "the first 2 of 64 rows are drawn, the rest stays 0")
def rows(bad: bool) -> nn.Module:
    net = mlp(64, 64)
    for layer in linears(net)[:2]:
        if bad:
            with torch.no_grad():
                layer.weight[2:] = 0
    return net


@planted("D010", "biases at −4", inputs=images().inputs[:256])
def dead(bad: bool) -> nn.Module:
    net = mlp(64, 64)
    for layer in linears(net)[:2]:
        nn.init.constant_(layer.bias, -4.0 if bad else 0.0)
    return net


class Tanh(nn.Module):
    def __init__(self, std: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(64, 64) for _ in range(4))
        self.acts = nn.ModuleList(nn.Tanh() for _ in range(4))
        self.head = nn.Linear(64, 10)
        for layer in self.layers:
            nn.init.normal_(layer.weight, std=std)

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1)
        for layer, act in zip(self.layers, self.acts, strict=True):
            x = act(layer(x))
        scores: Tensor = self.head(x)
        return scores


@planted("D011", "tanh layers drawn N(0, 1)")
def saturated(bad: bool) -> nn.Module:
    return Tanh(1.0 if bad else 64**-0.5)


@planted("C001", "norm scales drawn N(0, 0.02), as RT-DETR and MobileViT do", learns(epochs=1))
def scales(bad: bool) -> nn.Module:
    net = normed()
    for norm in net if bad else ():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.normal_(norm.weight, std=0.02)
    return net


@planted("C002", "every vector drawn N(0, 1), norm shifts as well", learns(epochs=1))
def shifts(bad: bool) -> nn.Module:
    net = normed("group")
    for norm in net if bad else ():
        if isinstance(norm, nn.GroupNorm):
            nn.init.normal_(norm.bias)
    return net


class Padded(nn.Module):
    """The sum over the tokens of an image's bright pixels, padded to 64 in training and to 256 afterwards."""

    def __init__(self, draw: bool) -> None:
        super().__init__()
        self.tokens = nn.Embedding(65, 64, padding_idx=0)
        nn.init.normal_(self.tokens.weight)
        if not draw:
            with torch.no_grad():
                self.tokens.weight[0] = 0
        self.head = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        ids = torch.arange(1, 65) * (x.flatten(1) > 0.3)
        if not self.training:  # a longer batch
            ids = nn.functional.pad(ids, (0, 192))
        scores: Tensor = self.head(self.tokens(ids).sum(1) / 8)
        return scores


@planted("C003", "the padding row is drawn over")
def padding(bad: bool) -> nn.Module:
    return Padded(bad)
