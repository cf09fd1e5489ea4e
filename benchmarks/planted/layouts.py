"""Bugs of fans: the shape says one thing and the layer does another (F)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import initium

from .case import planted
from .nets import Attention, Rows
from .tasks import learns


class Depthwise(nn.Module):
    def __init__(self, fan_out: bool) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 32, 1)
        self.depthwise = nn.ModuleList(nn.Conv2d(32, 32, 3, padding=1, groups=32) for _ in range(4))
        self.pointwise = nn.ModuleList(nn.Conv2d(32, 32, 1) for _ in range(4))
        self.head = nn.Linear(32 * 16, 10)
        for conv in self.depthwise:
            if fan_out:
                nn.init.kaiming_normal_(conv.weight, mode="fan_out")
            else:
                nn.init.normal_(conv.weight, std=(2 / 9) ** 0.5)
        for conv in self.pointwise:
            nn.init.kaiming_normal_(conv.weight)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for depthwise, pointwise in zip(self.depthwise, self.pointwise, strict=True):
            x = torch.relu(pointwise(depthwise(x)))
        scores: Tensor = self.head(nn.functional.avg_pool2d(x, 2).flatten(1))
        return scores


@planted("F001", "depthwise convolutions by fan_out, no normalisation", learns(epochs=1))
def depthwise(bad: bool) -> nn.Module:
    return Depthwise(bad)


class Upsampling(nn.Module):
    """Wide to narrow by transposed convolutions, and back."""

    def __init__(self, swapped: bool) -> None:
        super().__init__()
        self.down = nn.ModuleList(nn.Conv2d(n, 64, 2, stride=2) for n in (1, 4, 4, 4))
        self.up = nn.ModuleList(nn.ConvTranspose2d(64, 4, 2, stride=2) for _ in range(4))
        self.head = nn.Linear(4 * 64, 10)
        for conv in self.down:
            nn.init.kaiming_normal_(conv.weight)
        for conv in self.up:  # a stride of the kernel's size: each output sums the 64 channels of one place
            if swapped:
                nn.init.kaiming_normal_(conv.weight, mode="fan_in")
            else:
                nn.init.normal_(conv.weight, std=(2 / 64) ** 0.5)

    def forward(self, x: Tensor) -> Tensor:
        for down, up in zip(self.down, self.up, strict=True):
            x = torch.relu(up(torch.relu(down(x))))
        scores: Tensor = self.head(x.flatten(1))
        return scores


@planted("F002", "transposed convolutions of 64 channels to 4, read as (out, in)", learns(epochs=1))
def transposed(bad: bool) -> nn.Module:
    return Upsampling(bad)


@planted("F003", "xavier over packed q, k, v", learns(epochs=1))
def packed(bad: bool) -> nn.Module:
    net = Attention()
    if bad:
        nn.init.xavier_uniform_(net.attn.in_proj_weight)
    else:
        for part in net.attn.in_proj_weight.chunk(3):
            nn.init.xavier_uniform_(part)
    return net


@planted("F004", "orthogonal over the three packed gates, two pixels at a time", learns())
def gates(bad: bool) -> nn.Module:
    net = Rows(nn.GRU(2, 32, batch_first=True), step=2)
    for weight in (net.rnn.weight_hh_l0, net.rnn.weight_ih_l0):
        for gate in (weight,) if bad else weight.chunk(3):
            nn.init.orthogonal_(gate)
    return net


class Stack(nn.Module):
    """Four layers of four experts each, every token asks all of them."""

    def __init__(self, whole: bool) -> None:
        super().__init__()
        self.experts = nn.ParameterList(nn.Parameter(torch.empty(4, 64, 64)) for _ in range(4))
        self.head = nn.Linear(64, 10)
        for weight in self.experts:
            if whole:
                nn.init.kaiming_normal_(weight)
            else:
                for expert in weight:
                    nn.init.kaiming_normal_(expert)

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1)
        for weight in self.experts:
            x = torch.relu(torch.einsum("ni,eoi->neo", x, weight)).mean(1) * 2
        scores: Tensor = self.head(x)
        return scores


@planted("F006", "kaiming over stacks of experts, read as convolutions", learns(epochs=1))
def stack(bad: bool) -> nn.Module:
    return Stack(bad)


class Right(nn.Module):
    """``x @ weight``."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_in, n_out))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight


@initium.module(Right)
def _right(module: nn.Module) -> dict[str, initium.Layout]:
    return {"weight": initium.Layout("weight", in_axes=(0,), out_axes=(1,))}


class Bottlenecks(nn.Module):
    def __init__(self, by_shape: bool) -> None:
        super().__init__()
        self.down = nn.ModuleList(nn.Linear(64, 16) for _ in range(8))
        self.up = nn.ModuleList(Right(16, 64) for _ in range(8))
        self.head = nn.Linear(64, 10)
        for down, up in zip(self.down, self.up, strict=True):
            nn.init.kaiming_normal_(down.weight)
            nn.init.kaiming_normal_(up.weight if by_shape else up.weight.T)

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1)
        for down, up in zip(self.down, self.up, strict=True):
            x = torch.relu(up(torch.relu(down(x))))
        scores: Tensor = self.head(x)
        return scores


@planted("F007", "x @ weight of 16×64, drawn as if it were 64×16", learns(), inputs=torch.randn(4, 64))
def right(bad: bool) -> nn.Module:
    return Bottlenecks(bad)


class Pixels(nn.Module):
    """Each of the 64·17 (place, grey value) has its vector; an image is the mean of its 64."""

    def __init__(self, by_vocabulary: bool) -> None:
        super().__init__()
        self.tokens = nn.Embedding(20_000, 64)
        if by_vocabulary:
            nn.init.xavier_normal_(self.tokens.weight)
        self.head = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))

    def forward(self, x: Tensor) -> Tensor:
        ids = torch.arange(64) * 64 + ((x.flatten(1) + 1) * 5).long()
        scores: Tensor = self.head(self.tokens(ids).sum(1) / 8)
        return scores


@planted("F010", "xavier over a vocabulary of 20,000", learns(epochs=1))
def vocabulary(bad: bool) -> nn.Module:
    return Pixels(bad)
