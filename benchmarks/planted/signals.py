"""Bugs that a forward and a backward pass show (P, N01, G)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .case import planted
from .nets import deep, linears, mlp
from .tasks import images, learns

IMAGES = images().inputs[:64]


@planted("P001", "twenty layers drawn N(0, 1)", learns(epochs=1))
def explodes(bad: bool) -> nn.Module:
    net = deep(20)
    for layer in linears(net) if bad else ():
        nn.init.normal_(layer.weight)
    return net


@planted("P002", "twelve layers drawn N(0, 0.02)")
def dies(bad: bool) -> nn.Module:
    net = deep(12)
    for layer in linears(net) if bad else ():
        nn.init.normal_(layer.weight, std=0.02)
    return net


class Classifier(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(64, 512), nn.Linear(512, 10)
        nn.init.kaiming_normal_(self.first.weight)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.head(torch.relu(self.first(x.flatten(1))))
        return scores


@planted("P004", "an output layer drawn N(0, 1)", learns(epochs=1))
def loud(bad: bool) -> nn.Module:
    net = Classifier()
    if bad:
        nn.init.normal_(net.head.weight)
    return net


@planted("P005", "twelve layers drawn N(0, 0.02) with biases N(0, 1)")
def deaf(bad: bool) -> nn.Module:
    net = deep(12)
    for layer in linears(net) if bad else ():
        nn.init.normal_(layer.weight, std=0.02)
        nn.init.normal_(layer.bias)
    return net


class Divided(nn.Module):
    """A learnt temperature that divides."""

    def __init__(self, start: float) -> None:
        super().__init__()
        self.body, self.temperature = mlp(64), nn.Parameter(torch.full((), start))

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.body(x) / self.temperature
        return scores


@planted("N010", "a temperature that starts at 0 and divides", inputs=IMAGES)
def divided(bad: bool) -> nn.Module:
    return Divided(0.0 if bad else 1.0)


class Rooted(nn.Module):
    """A scale kept as a square."""

    def __init__(self, start: float) -> None:
        super().__init__()
        self.body, self.square = mlp(64), nn.Parameter(torch.full((10,), start))

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.body(x) * (1 + self.square.sqrt())
        return scores


@planted("N011", "a square root of a parameter that starts at 0", inputs=IMAGES)
def rooted(bad: bool) -> nn.Module:
    return Rooted(0.0 if bad else 1.0)


class Mixing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mix, self.head = nn.Parameter(torch.randn(32, 64) / 8), nn.Parameter(torch.randn(10, 32) / 6)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x.flatten(1) @ self.mix.T) @ self.head.T


@planted("G005", "two matrices of ones, scaled", inputs=IMAGES)
def ones(bad: bool) -> nn.Module:
    net = Mixing()
    if bad:
        with torch.no_grad():
            net.mix.fill_(1 / 64)
            net.head.fill_(1 / 32)
    return net


class Detached(nn.Module):
    """A layer whose output is detached: no gradient reaches it."""

    def __init__(self, detach: bool) -> None:
        super().__init__()
        self.first, self.head, self.detach = nn.Linear(64, 4), nn.Linear(4, 10), detach

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.first(x.flatten(1)))
        scores: Tensor = self.head(x.detach() if self.detach else x)
        return scores


@planted("G001", "a layer behind .detach()")
def detached(bad: bool) -> nn.Module:
    return Detached(bad)
