"""Train the demo's network: the same images in the same order for every start, so that only the initial weights differ."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from .._execute import one_thread
from .digits import Digits
from .network import PlainNet

EPOCHS, BATCH, RATE = 6, 50, 1e-3


@dataclass
class Run:
    """One training.

    Args:
        name: of the start.
        net: the network, trained.
        signal: how much the last convolution's output differs from image to image (std) before training, for images of std 1.
        losses: mean training loss of each epoch; the last one is not finite where the training broke off.
        accuracy: share of the test images that are right at the end.
        worst: the largest loss met.
    """

    name: str
    net: PlainNet
    signal: float
    losses: list[float] = field(default_factory=list)
    accuracy: float = 0.0
    worst: float = 0.0

    @property
    def finite(self) -> bool:
        return all(math.isfinite(loss) for loss in self.losses)


def train(name: str, net: PlainNet, data: Digits, epochs: int = EPOCHS) -> Run:
    """Adam, batches of 50, a rate that falls from 0.001 to 0 in a line; stops at the first loss that is not finite."""
    with one_thread():  # these layers are too small to share out, and one thread sums in one order
        run = Run(name, net, signal=_signal(net, data))
        steps = epochs * math.ceil(len(data.train_labels) / BATCH)
        optimizer = torch.optim.Adam(net.parameters(), RATE)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)
        order = torch.Generator().manual_seed(1)
        for _ in range(epochs):
            run.losses.append(_epoch(run, data, order, optimizer, schedule))
            if not run.finite:
                break
        run.accuracy = _accuracy(net, data)
    return run


def _epoch(run: Run, data: Digits, order: torch.Generator, optimizer: Optimizer, schedule: LRScheduler) -> float:
    """The mean loss of one pass over the training images, or the first loss that is not finite."""
    total, count = 0.0, len(data.train_labels)
    for chosen in torch.split(torch.randperm(count, generator=order), BATCH):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(run.net(data.train_images[chosen]), data.train_labels[chosen])
        value = loss.item()
        if not math.isfinite(value):
            return value
        run.worst = max(run.worst, value)
        loss.backward()
        optimizer.step()
        schedule.step()
        total += value * len(chosen)
    return total / count


@torch.no_grad()
def _signal(net: PlainNet, data: Digits) -> float:
    return float(net.features(data.test_images).double().var(dim=0).mean().sqrt())


@torch.no_grad()
def _accuracy(net: PlainNet, data: Digits) -> float:
    return float((net(data.test_images).argmax(1) == data.test_labels).float().mean())
