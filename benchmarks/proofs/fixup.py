"""Fixup at 1,000 blocks without norms: the loss begins at ln 10 to the last digit, and one step lowers it. He's start overflows.

Run: ``python benchmarks/proofs/fixup.py`` (some seconds).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

import initium
from initium.demo.digits import digits


class Block(nn.Module):
    """x + scale · (b · relu(a · (x + bias1) + bias2) + bias3): Fixup's block, with its scalars."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(width, width, bias=False), nn.Linear(width, width, bias=False)
        self.bias1, self.bias2, self.bias3 = (nn.Parameter(torch.zeros(1)) for _ in range(3))
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        y = self.b((self.a(x + self.bias1) + self.bias2).relu())
        return x + self.scale * y + self.bias3


def network(blocks: int, width: int = 32) -> nn.Sequential:
    """Digits → width → blocks → 10 classes."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, width), *(Block(width) for _ in range(blocks)), nn.Linear(width, 10))


def losses(recipe: str, blocks: int = 1000, steps: int = 5, seed: int = 0) -> list[float]:
    """The training loss before each step and after the last one; scalars learn at a tenth of the rate."""
    net = network(blocks)
    initium.initialize(net, recipe, seed=seed)
    data = digits()
    x, y = data.train_images[:128], data.train_labels[:128]
    scalars = [p for p in net.parameters() if p.numel() == 1]
    others = [p for p in net.parameters() if p.numel() > 1]
    optimiser = torch.optim.SGD([{"params": others}, {"params": scalars, "lr": 0.01}], lr=0.1)
    found = []
    for step in range(steps + 1):
        loss = nn.functional.cross_entropy(net(x), y)
        found.append(loss.item())
        if step < steps:
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return found


def main() -> None:
    torch.set_num_threads(1)  # small tensors: two threads would wait for each other
    print(f"ln 10 = {math.log(10):.6f}")
    print("start   blocks  loss at step 0  after 1 step  after 5 steps ")
    for recipe in ("fixup", "he", "xavier"):
        found = losses(recipe)
        print(f"{recipe:<6}  {1000:>6}  {found[0]:>14.6f}  {found[1]:>12.6f}  {found[-1]:>14.6f}")


if __name__ == "__main__":
    main()
