"""LSUV with and without the first layer: the std of what each layer puts out, before its activation.

``python benchmarks/lsuv_first_layer.py``. A public implementation passes over the layer that it sees first; the paper (Mishkin & Matas,
1511.06422, algorithm 1) scales every one.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def lsuv(layers: list[nn.Linear], x: Tensor, *, skips: int = 0) -> list[float]:
    """Orthonormal weights, then each scaled in forward order until what it puts out has variance 1; returns the stds of all."""
    stds = []
    with torch.no_grad():
        for place, layer in enumerate(layers):
            nn.init.orthogonal_(layer.weight)
            nn.init.zeros_(layer.bias)
            for _ in range(10 if place >= skips else 0):
                variance = float(layer(x).var())
                if abs(variance - 1) < 0.01:
                    break
                layer.weight /= variance**0.5
            stds.append(float(layer(x).std()))
            x = layer(x).relu()
    return stds


def main() -> None:
    torch.manual_seed(0)
    x = 3 * torch.randn(512, 64)
    layers = [nn.Linear(64, 128), nn.Linear(128, 128), nn.Linear(128, 10)]
    for words, skips in (("the first layer passed over", 1), ("every layer scaled", 0)):
        print(f"{words:29}" + "  ".join(f"{std:.3f}" for std in lsuv(layers, x, skips=skips)))


if __name__ == "__main__":
    main()
