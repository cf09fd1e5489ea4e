"""The networks that bugs are planted in. None has normalisation or a shortcut unless the bug needs one: weights alone decide."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import torch
from torch import Tensor, nn


def mlp(*widths: int, bias: bool = True) -> nn.Sequential:
    """Images to scores over layers of these widths, ReLU between, drawn by He."""
    layers: list[nn.Module] = [nn.Flatten()]
    for n_in, n_out in pairwise((64, *widths, 10)):
        layers += [nn.Linear(n_in, n_out, bias=bias), nn.ReLU()]
    net = nn.Sequential(*layers[:-1])
    for layer in linears(net):
        he(layer.weight)
        if bias:
            nn.init.zeros_(layer.bias)
    return net


def deep(depth: int = 8, width: int = 64) -> nn.Sequential:
    return mlp(*[width] * depth)


def linears(net: nn.Module) -> list[nn.Linear]:
    return [layer for layer in net.modules() if isinstance(layer, nn.Linear)]


def he(weight: Tensor) -> Tensor:
    return nn.init.kaiming_normal_(weight, nonlinearity="relu")


def normed(kind: str = "batch", momentum: float = 0.1) -> nn.Sequential:
    """Four convolutions with normalisation."""
    layers: list[nn.Module] = []
    for n_in, n_out in ((1, 16), (16, 16), (16, 16), (16, 16)):
        norm = nn.BatchNorm2d(n_out, momentum=momentum) if kind == "batch" else nn.GroupNorm(1, n_out)
        layers += [nn.Conv2d(n_in, n_out, 3, padding=1, bias=False), norm, nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(16 * 64, 10))


class Rows(nn.Module):
    """A recurrent layer over the rows of an image, or its pixels one by one, and a head on its last state."""

    def __init__(self, rnn: nn.RNNBase, step: int = 8) -> None:
        super().__init__()
        self.rnn, self.step = rnn, step
        self.head = nn.Linear(rnn.hidden_size, 10)

    def forward(self, images: Tensor) -> Tensor:
        scores: Tensor = self.head(self.rnn(images.reshape(len(images), -1, self.step))[0][:, -1])
        return scores


class Branches(nn.Module):
    """Narrow networks side by side; their scores are added."""

    def __init__(self, branches: Iterable[nn.Module]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, images: Tensor) -> Tensor:
        return torch.stack([branch(images) for branch in self.branches]).sum(0)


class Attention(nn.Module):
    """Self-attention over the rows of an image, and a head on the mean."""

    def __init__(self, width: int = 32, heads: int = 4) -> None:
        super().__init__()
        self.stem = nn.Linear(8, width)
        self.places = nn.Parameter(torch.randn(8, width) * 0.02)
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.head = nn.Linear(width, 10)

    def forward(self, images: Tensor) -> Tensor:
        x = self.stem(images.flatten(0, 1)) + self.places
        scores: Tensor = self.head((x + self.attn(x, x, x, need_weights=False)[0]).mean(1))
        return scores


class Grey(nn.Module):
    """A small language model of grey values: the mean of what came before, and the last; the embedding is the head as well."""

    def __init__(self, width: int = 32, tied: bool = True) -> None:
        super().__init__()
        self.tokens = nn.Embedding(17, width)
        self.places = nn.Parameter(torch.randn(63, width) * 0.02)
        self.mix = nn.Sequential(nn.Linear(2 * width, 64), nn.ReLU(), nn.Linear(64, width))
        self.head = nn.Linear(width, 17, bias=False)
        if tied:
            self.head.weight = self.tokens.weight

    def forward(self, ids: Tensor) -> Tensor:
        x = self.tokens(ids) + self.places[: ids.shape[1]]
        before = x.cumsum(1) / torch.arange(1, ids.shape[1] + 1)[:, None]
        scores: Tensor = self.head(x + self.mix(torch.cat([x, before], -1)))
        return scores
