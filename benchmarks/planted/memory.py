"""Bugs of memory: what nobody filled, what went into a copy, what is shared, what a number format loses (U, L, T, N)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .case import planted
from .nets import Grey, deep, he, linears, mlp
from .tasks import greys, images, learns, reloads

IMAGES = images().inputs[:64]


class Mixed(nn.Module):
    """Two matrices of the model's own, filled by whoever makes it."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.first, self.second = nn.Parameter(torch.empty(64, width)), nn.Parameter(torch.empty(width, 10))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x.flatten(1) @ self.first) @ self.second


@planted("U001", "a parameter that the loop misses", inputs=IMAGES)
def unfilled(bad: bool) -> nn.Module:
    net = Mixed()
    nn.init.normal_(net.first, std=0.1)
    if not bad:
        nn.init.normal_(net.second, std=0.1)
    return net


class Waves(nn.Module):
    def __init__(self, fill: bool) -> None:
        super().__init__()
        self.register_buffer("frequencies", torch.empty(8), persistent=False)
        if fill:
            self.frequencies.copy_(1e4 ** -(torch.arange(8) / 8))
        self.stem, self.head = nn.Linear(24, 64), nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        angles = torch.arange(8)[:, None] * self.frequencies
        places = torch.cat([angles.sin(), angles.cos()], -1).expand(len(x), -1, -1)
        rows = torch.cat([x.flatten(0, 1).flatten(0, 0), places], -1)
        scores: Tensor = self.head(torch.relu(self.stem(rows)).mean(1))
        return scores


@planted("U002", "inv_freq of a rotary embedding, never computed", inputs=IMAGES)
def frequencies(bad: bool) -> nn.Module:
    return Waves(not bad)


@planted("U003", "torch.empty(64, 64)[:, :48].normal_()", inputs=IMAGES)
def partly(bad: bool) -> nn.Module:
    net = Mixed()
    nn.init.normal_(net.second, std=0.1)
    nn.init.normal_(net.first[:, :48] if bad else net.first, std=0.1)
    return net


class Normed(nn.Module):
    """A weight norm by hand: the scale is taken from the direction."""

    def __init__(self, late: bool) -> None:
        super().__init__()
        v = torch.empty(64, 64)
        if not late:
            nn.init.normal_(v, std=0.1)
        self.g = nn.Parameter(v.norm(dim=1))
        self.v = nn.Parameter(v)
        if late:
            nn.init.normal_(self.v, std=0.1)
        self.head = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        weight = self.v * (self.g / self.v.norm(dim=1))[:, None]
        scores: Tensor = self.head(torch.relu(x.flatten(1) @ weight.T))
        return scores


@planted("U004", "a weight norm's scale, computed before its direction was drawn", inputs=IMAGES)
def late(bad: bool) -> nn.Module:
    return Normed(bad)


@planted("U005", "one layer built on meta, and left there")
def meta(bad: bool) -> nn.Module:
    net = mlp(64)
    if bad:
        net[-1] = nn.Linear(64, 10, device="meta")
    return net


@planted("U012", "a deep network under weight_norm, drawn by its weight attribute", learns(epochs=1))
def swallowed(bad: bool) -> nn.Module:
    net = deep(12)
    for layer in linears(net):
        nn.init.normal_(layer.weight, std=0.01)
    for layer in linears(net):
        nn.utils.parametrizations.weight_norm(layer)
        if bad:
            he(layer.weight)
        else:
            layer.weight = he(torch.empty(layer.weight.shape))
    return net


@planted("U013", "random bits in a weight, as memory that was used before", given=True)
def bits(bad: bool) -> nn.Module:
    net = mlp(64)
    if bad:
        weight = linears(net)[0].weight
        weight.data = torch.randint(-(2**31), 2**31 - 1, weight.shape, dtype=torch.int32).view(torch.float32)
        weight.data.nan_to_num_(1.0)
    return net


@planted("L003", "He drawn into layer.weight.clone()", learns(epochs=1))
def copied(bad: bool) -> nn.Module:
    net = deep(12)
    for layer in linears(net):
        nn.init.normal_(layer.weight, std=0.01)
    for layer in linears(net):
        he(layer.weight.clone() if bad else layer.weight)
    return net


@planted("T001", "a head that is declared tied and is not: it is left out when the model is saved", reloads(greys, epochs=1))
def untied(bad: bool) -> nn.Module:
    net = Grey(tied=not bad)
    nn.init.normal_(net.tokens.weight, std=0.1)
    net._tied_weights_keys = ["head.weight"]  # type: ignore[assignment]
    return net


class Chain(nn.Module):
    def __init__(self, once: bool) -> None:
        super().__init__()
        block = nn.Linear(16, 16)
        self.stem, self.head = nn.Linear(64, 16), nn.Linear(16, 10)
        self.blocks = nn.ModuleList([block] * 6 if once else [nn.Linear(16, 16) for _ in range(6)])
        for layer in linears(self):
            he(layer.weight)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem(x.flatten(1)))
        for block in self.blocks:
            x = torch.relu(block(x))
        scores: Tensor = self.head(x)
        return scores


@planted("T002", "[layer] * 6", inputs=IMAGES)
def shared(bad: bool) -> nn.Module:
    return Chain(bad)


@planted("T003", "a tied weight drawn as a head, N(0, 0.02), and then as an embedding, N(0, 1)", learns(greys, epochs=1))
def twice(bad: bool) -> nn.Module:
    net = Grey(64)
    nn.init.normal_(net.head.weight, std=0.02)
    if bad:
        nn.init.normal_(net.tokens.weight)
    return net


@planted("T004", "a row that was expanded to 64", inputs=IMAGES)
def expanded(bad: bool) -> nn.Module:
    net = Mixed()
    nn.init.normal_(net.first, std=0.1)
    nn.init.normal_(net.second, std=0.1)
    if bad:
        net.first = nn.Parameter(torch.randn(64, 1).mul(0.1).expand(64, 64))
    return net


@planted("N001", "0 / 0 in a weight")
def nan(bad: bool) -> nn.Module:
    net = mlp(64)
    if bad:
        with torch.no_grad():
            linears(net)[0].weight[3, 5] = float("nan")
    return net


@planted("N002", "1e6 in a weight")
def huge(bad: bool) -> nn.Module:
    net = mlp(64)
    if bad:
        with torch.no_grad():
            linears(net)[0].weight[3, 5] = 1e6
    return net


class Doubled(nn.Module):
    def __init__(self, double: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(64, 64) / 8)
        self.bias = nn.Parameter(torch.zeros(64, dtype=torch.float64 if double else torch.float32))
        self.head = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.head(torch.relu(x.flatten(1) @ self.weight + self.bias))
        return scores


@planted("N005", "a bias in float64", inputs=IMAGES)
def double(bad: bool) -> nn.Module:
    return Doubled(bad)
