"""A plain convolutional network of tanh, 1,000 layers deep, without norms or shortcuts, learns the digits from delta-orthogonal weights.

Xiao et al. 2018 (1806.05393). From normal weights of the same variance no gradient arrives at the first layer.
Run: ``python benchmarks/proofs/delta_orthogonal.py`` (half a minute on a quiet core).
"""

from __future__ import annotations

import time

import torch
from torch import Tensor, nn

import initium
from initium.demo.digits import digits


class Deep(nn.Module):
    """tanh after each of ``depth`` convolutions of equal width; a mean over the image, then a linear map."""

    def __init__(self, depth: int, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, width, 3, padding=1, stride=2)
        self.layers = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(depth))
        self.head = nn.Linear(width * 16, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x).tanh()
        for layer in self.layers:
            x = layer(x).tanh()
        return self.head(x.flatten(1))  # type: ignore[no-any-return]


def train(
    orthogonal: bool, depth: int = 1000, width: int = 8, steps: int = 60, seed: int = 0
) -> tuple[float, list[float], float]:
    """(gradient of the first layer over that of the last, losses, accuracy on the test images)."""
    net = Deep(depth, width)
    initium.initialize(net, initium.recipe("edge-of-chaos", orthogonal=orthogonal), seed=seed)
    data = digits()
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-4)
    order = torch.Generator().manual_seed(seed)
    losses, ratio = [], float("nan")
    for step in range(steps):
        batch = torch.randint(len(data.train_labels), (16,), generator=order)
        loss = nn.functional.cross_entropy(net(data.train_images[batch]), data.train_labels[batch])
        optimiser.zero_grad()
        loss.backward()
        if step == 0:
            first, last = net.layers[0].weight.grad, net.layers[-1].weight.grad
            ratio = float(first.norm() / last.norm())  # type: ignore[union-attr]
        optimiser.step()
        losses.append(loss.item())
    with torch.no_grad():
        right = net(data.test_images).argmax(1) == data.test_labels
    return ratio, losses, float(right.float().mean())


def main() -> None:
    torch.set_num_threads(1)  # small tensors: two threads would wait for each other
    print("weights, 1,000 layers   ‖∇first‖ / ‖∇last‖  loss: first, last  accuracy    CPU s")
    for title, orthogonal, steps in (("delta-orthogonal", True, 60), ("normal", False, 5)):
        start = time.process_time()
        ratio, losses, accuracy = train(orthogonal, steps=steps)
        seconds = time.process_time() - start
        print(f"{title:<22}  {ratio:>18.2g}  {losses[0]:>11.2f}, {sum(losses[-4:]) / 4:.2f}  {accuracy:>8.1%}  {seconds:>7.0f}")


if __name__ == "__main__":
    main()
