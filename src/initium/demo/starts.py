"""The five ways in which the demo's network begins."""

from __future__ import annotations

from collections.abc import Callable

import torch

from .._apply import initialize
from .._recipe import recipe
from .network import PlainNet

SEED = 0


def uninitialised() -> PlainNet:
    """Memory as found: built on meta, then given memory that nobody fills."""
    with torch.device("meta"):
        net = PlainNet()
    return net.to_empty(device="cpu")


def zeros() -> PlainNet:
    net = PlainNet()
    initialize(net, recipe("normal", std=0.0), seed=SEED)
    return net


def standard_normal() -> PlainNet:
    net = PlainNet()
    initialize(net, recipe("normal", std=1.0), seed=SEED)
    return net


def torch_default() -> PlainNet:
    """What the constructors of torch.nn do."""
    torch.manual_seed(SEED)
    return PlainNet()


def he() -> PlainNet:
    net = PlainNet()
    initialize(net, "he", seed=SEED)
    return net


STARTS: dict[str, Callable[[], PlainNet]] = {
    "uninitialised memory": uninitialised,
    "zeros": zeros,
    "N(0, 1)": standard_normal,
    "torch's default": torch_default,
    "he": he,
}
