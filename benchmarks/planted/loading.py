"""Bugs that show when a model is saved, loaded, or built on several ranks (B, K, R)."""

from __future__ import annotations

import functools

import numpy
import torch
from torch import Tensor, nn

from .case import planted
from .nets import linears, mlp, normed
from .tasks import as_built, images, learns, reloads, replicas, trained

IMAGES = images().inputs[:64]


@planted("B001", "a rule over state_dict() draws running statistics too", learns(epochs=1))
def statistics(bad: bool) -> nn.Module:
    net = normed(momentum=0.01)
    for value in net.buffers() if bad else ():
        if value.is_floating_point():
            nn.init.normal_(value, std=0.02)
    return net


class Features(nn.Module):
    """Random features: a fixed product that everything behind it is trained for."""

    def __init__(self, how: str) -> None:
        super().__init__()
        table = torch.randn(64, 64) / 8
        if how == "attribute":
            self.table = table
        else:
            self.register_buffer("table", table, persistent=how == "saved")
        self.head = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.head(torch.relu(x.flatten(1) @ self.table))
        return scores


@planted("B003", "a random table as a plain attribute, loaded in a new process", reloads(), inputs=IMAGES)
def attribute(bad: bool) -> nn.Module:
    return Features("attribute" if bad else "saved")


@planted("B004", "random features in a buffer that is not saved, loaded in a new process", reloads(), inputs=IMAGES)
def unsaved(bad: bool) -> nn.Module:
    return Features("unsaved" if bad else "saved")


@functools.cache
def _trained() -> dict[str, Tensor]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        net = mlp(64)
        trained(net, images())
    return net.state_dict()


@planted("K001", "an init_weights() that runs after the load", as_built)
def overwritten(bad: bool) -> nn.Module:
    net = mlp(64)
    net.load_state_dict(_trained())
    if bad:
        nn.init.xavier_uniform_(linears(net)[-1].weight)
    return net


@planted("K002", "a checkpoint whose last layer is spelt otherwise, loaded with strict=False", as_built)
def missing(bad: bool) -> nn.Module:
    net = mlp(64)
    saved = {name.replace("3.", "head.") if bad else name: value for name, value in _trained().items()}
    net.load_state_dict(saved, strict=False)
    return net


@planted("K003", 'a checkpoint of DataParallel, "module." before every name, loaded with strict=False', as_built)
def prefixed(bad: bool) -> nn.Module:
    net = mlp(64)
    net.load_state_dict({("module." if bad else "") + name: value for name, value in _trained().items()}, strict=False)
    return net


@planted("R001", "weights by numpy's generator, on two ranks that count on torch's seed", replicas, seed=1)
def by_numpy(bad: bool) -> nn.Module:
    net = mlp(64)
    for layer in linears(net) if bad else ():
        drawn = numpy.random.standard_normal(tuple(layer.weight.shape)) * (2 / layer.in_features) ** 0.5
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(drawn).float())
    return net
