"""What a planted bug is measured by: small trainings on the digits that ship with the package, the same for the bad and the good model.

A task takes a function that makes a model, and a seed; it answers with the loss and the accuracy on data that was not trained on.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from initium.demo.digits import digits, raw

Make = Callable[[], nn.Module]
EPOCHS, BATCH, RATE = 2, 50, 3e-3


class Outcome(NamedTuple):
    """Mean cross-entropy in nats and share of right answers; ``error`` is what stopped it, the loss is infinite then."""

    loss: float
    accuracy: float
    error: str = ""


Task = Callable[[Make, int], Outcome]


class Data(NamedTuple):
    inputs: Tensor
    labels: Tensor
    test_inputs: Tensor
    test_labels: Tensor


def images() -> Data:
    """1,497 images (n, 1, 8, 8) and their digit; 300 to test."""
    return Data(*digits())


def greys() -> Data:
    """The same images as sequences of 64 grey values in 17 steps: the next one is to be said from those before."""
    pixels = raw()[0].flatten(1).long()
    test = torch.arange(len(pixels)) % 6 == 0
    return Data(pixels[~test, :-1], pixels[~test, 1:], pixels[test, :-1], pixels[test, 1:])


def built(make: Make, seed: int) -> nn.Module:
    """A model from a seed; memory that nobody fills holds what torch's deterministic mode puts there, NaN."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.use_deterministic_algorithms(True, warn_only=True)
        try:
            return make()
        finally:
            torch.use_deterministic_algorithms(False)


def trained(net: nn.Module, data: Data, epochs: int = EPOCHS, rate: float = RATE, sgd: bool = False) -> str:
    """Adam, or SGD with momentum, over the data in an order of its own; "" or what stopped it."""
    weights = [p for p in net.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(weights, rate, momentum=0.9) if sgd else torch.optim.Adam(weights, rate)
    order = torch.Generator().manual_seed(1)
    net.train()
    for _ in range(epochs):
        for chosen in torch.split(torch.randperm(len(data.labels), generator=order), BATCH):
            optimizer.zero_grad()
            try:
                loss = _loss(net, data.inputs[chosen], data.labels[chosen])
                if not math.isfinite(loss.item()):
                    return "the loss is not finite"
                loss.backward()
                optimizer.step()
            except (RuntimeError, NotImplementedError) as error:  # what cannot run cannot learn
                return f"{type(error).__name__}: {str(error).splitlines()[0][:90]}"
    return ""


def _loss(net: nn.Module, inputs: Tensor, labels: Tensor) -> Tensor:
    return nn.functional.cross_entropy(net(inputs).flatten(0, -2), labels.flatten())


@torch.no_grad()
def tested(net: nn.Module, data: Data) -> Outcome:
    """Loss and accuracy on the test data, in evaluation mode."""
    net.eval()
    return judged(net(data.test_inputs), data)


def judged(scores: Tensor, data: Data) -> Outcome:
    """Loss and accuracy of scores for the test data."""
    scores, labels = scores.float().flatten(0, -2), data.test_labels.flatten()
    loss = float(nn.functional.cross_entropy(scores, labels))
    if not math.isfinite(loss):
        return failed("the loss is not finite")
    return Outcome(loss, float((scores.argmax(-1) == labels).float().mean()))


def failed(error: str) -> Outcome:
    return Outcome(math.inf, 0.0, error)


def learns(source: Callable[[], Data] = images, epochs: int = EPOCHS, rate: float = RATE, sgd: bool = False) -> Task:
    """Train it, test it."""

    def task(make: Make, seed: int) -> Outcome:
        data, net = source(), built(make, seed)
        error = trained(net, data, epochs, rate, sgd)
        return failed(error) if error else tested(net, data)

    return task


def reloads(source: Callable[[], Data] = images, epochs: int = EPOCHS) -> Task:
    """Train it, save it, build it again from another seed as a new process would, load, test."""

    def task(make: Make, seed: int) -> Outcome:
        data, net = source(), built(make, seed)
        error = trained(net, data, epochs)
        saved = copy.deepcopy(net.state_dict())
        for name in getattr(net, "_tied_weights_keys", ()):  # what is declared tied is not saved, as transformers does it
            saved.pop(name, None)
        fresh = built(make, seed + 1000)
        fresh.load_state_dict(saved, strict=False)
        return failed(error) if error else tested(fresh, data)

    return task


def as_built(make: Make, seed: int) -> Outcome:
    """Test it as its constructor leaves it: a constructor that loads trained weights."""
    return tested(built(make, seed), images())


def ensemble(make: Make, seed: int, members: int = 4) -> Outcome:
    """Train members from different seeds and test their mean."""
    data = images()
    nets = [built(make, seed * members + i) for i in range(members)]
    errors = [trained(net, data) for net in nets]
    if any(errors):
        return failed(max(errors))
    with torch.no_grad():
        return judged(torch.stack([net.eval()(data.test_inputs).softmax(-1) for net in nets]).mean(0).log(), data)


def replicas(make: Make, seed: int) -> Outcome:
    """Data parallel without a broadcast: two ranks build from one seed, share their gradients, and rank 0 is tested."""
    data = images()
    ranks = [built(make, seed) for _ in range(2)]
    optimizers = [torch.optim.Adam(net.parameters(), RATE) for net in ranks]
    order = torch.Generator().manual_seed(1)
    for _ in range(EPOCHS):
        for chosen in torch.split(torch.randperm(len(data.labels), generator=order), BATCH):
            grads = []
            for net, part in zip(ranks, chosen.chunk(2), strict=True):
                grads.append(torch.autograd.grad(_loss(net, data.inputs[part], data.labels[part]), list(net.parameters())))
            for net, optimizer in zip(ranks, optimizers, strict=True):
                for p, *shared in zip(net.parameters(), *grads, strict=True):
                    p.grad = torch.stack(shared).mean(0)
                optimizer.step()
    return tested(ranks[0], data)
