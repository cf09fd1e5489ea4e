"""Bugs of attention, routing, gates and temperatures, and of the signal on its way (D, P, C, S, N)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .case import planted
from .nets import Rows, deep, linears, mlp
from .tasks import images, learns

IMAGES = images().inputs[:64]


class Attends(nn.Module):
    """Rows of an image as tokens, three attentions, with skips or without."""

    def __init__(self, skip: bool = True, std: float | None = None) -> None:
        super().__init__()
        self.stem, self.places = nn.Linear(8, 32), nn.Parameter(torch.randn(8, 32) * 0.6)
        self.layers = nn.ModuleList(nn.MultiheadAttention(32, 4, batch_first=True) for _ in range(3 if skip else 8))
        self.norms = nn.ModuleList(nn.LayerNorm(32) for _ in self.layers)
        self.head, self.skip = nn.Linear(256, 10), skip
        for layer in self.layers if std is not None else ():
            nn.init.normal_(layer.in_proj_weight[:64], std=std)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x.flatten(0, 1)) + self.places
        for layer, norm in zip(self.layers, self.norms, strict=True):
            y = norm(x)
            y = layer(y, y, y, need_weights=False)[0]
            x = x + y if self.skip else y
        scores: Tensor = self.head(x.flatten(1))
        return scores


@planted("D012", "projections to queries and keys drawn N(0, 1)", inputs=IMAGES)
def one_hot(bad: bool) -> nn.Module:
    return Attends(std=1.0 if bad else 32**-0.5)


@planted("P007", "projections to queries and keys drawn N(0, 0.001)", inputs=IMAGES)
def alike(bad: bool) -> nn.Module:
    return Attends(std=1e-3 if bad else 32**-0.5)


@planted("P006", "eight attentions without a skip", inputs=IMAGES)
def collapse(bad: bool) -> nn.Module:
    return Attends(skip=not bad)


class MoE(nn.Module):
    """Sixteen experts of four units; the best two are asked."""

    def __init__(self, std: float) -> None:
        super().__init__()
        self.router = nn.Linear(64, 16)
        self.up, self.down = nn.Parameter(torch.randn(16, 4, 64) / 8), nn.Parameter(torch.randn(16, 10, 4) / 2)
        nn.init.normal_(self.router.bias, std=std)

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1)
        weights, chosen = self.router(x).softmax(-1).topk(2, -1)
        hidden = torch.relu(torch.einsum("ni,neoi->neo", x, self.up[chosen]))
        return (torch.einsum("nei,neoi->neo", hidden, self.down[chosen]) * weights[..., None]).sum(1)


@planted("D013", "a router whose biases are drawn N(0, 100)", inputs=IMAGES)
def router(bad: bool) -> nn.Module:
    return MoE(100.0 if bad else 0.0)


@planted("P003", "sixteen layers as torch draws them, without biases")
def drift(bad: bool) -> nn.Module:
    net = mlp(*[64] * 16, bias=False)
    for layer in linears(net) if bad else ():
        nn.init.kaiming_uniform_(layer.weight, a=5**0.5)
    return net


@planted("G004", "twenty tanh layers drawn with a gain of 4")
def backwards(bad: bool) -> nn.Module:
    return nn.Sequential(nn.Flatten(), *(_tanh(4.0 if bad else 1.0) for _ in range(20)), nn.Linear(64, 10))


def _tanh(gain: float) -> nn.Module:
    layer = nn.Linear(64, 64)
    nn.init.normal_(layer.weight, std=gain / 8)
    return nn.Sequential(layer, nn.Tanh())


@planted("C007", "torch's LSTM as it is, over 32 steps of two pixels", learns(epochs=3))
def forgets(bad: bool) -> nn.Module:
    net = Rows(nn.LSTM(2, 32, batch_first=True), step=2)
    with torch.no_grad():
        for name, bias in net.rnn.named_parameters():
            if name.startswith("bias") and not bad:
                bias[32:64] = 1.0 if name.startswith("bias_ih") else 0.0
    return net


class Contrast(nn.Module):
    """Cosines to ten directions, by a learnt temperature."""

    def __init__(self, start: float) -> None:
        super().__init__()
        self.body, self.directions = mlp(64), nn.Parameter(torch.randn(10, 10))
        self.logit_scale = nn.Parameter(torch.tensor(start))

    def forward(self, x: Tensor) -> Tensor:
        a, b = nn.functional.normalize(self.body(x), dim=-1), nn.functional.normalize(self.directions, dim=-1)
        return self.logit_scale.exp() * a @ b.T


@planted("C009", "1/0.07 where its logarithm is meant", inputs=IMAGES)
def temperature(bad: bool) -> nn.Module:
    return Contrast(1 / 0.07 if bad else 2.6593)


@planted("S023", "a random row added to all rows of each layer", learns(epochs=1))
def spike(bad: bool) -> nn.Module:
    net = deep(6)
    with torch.no_grad():
        for layer in linears(net) if bad else ():
            layer.weight.add_(torch.randn(layer.in_features) / 4)
    return net


@planted("S025", "products of factors of rank 2")
def rank(bad: bool) -> nn.Module:
    net = mlp(64, 64)
    with torch.no_grad():
        for layer in linears(net)[:-1] if bad else ():
            layer.weight.copy_(torch.randn(64, 2) @ torch.randn(2, 64) / 8)
    return net
