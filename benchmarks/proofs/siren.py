"""What the sines of a SIREN see: layer by layer the std goes to .892643, the root of v = 1 − e^(−2v), not to the paper's 1.

Run: ``python benchmarks/proofs/siren.py`` (some seconds).
"""

from __future__ import annotations

import math

import torch
from torch import nn

import initium

FIXED_POINT = 0.892643


def stds(width: int = 1024, layers: int = 8, points: int = 2048, seed: int = 0) -> list[float]:
    """The std before each sine, by the weights alone (their biases, × 30 as well, would add their own variance)."""
    net = nn.ModuleList(nn.Linear(2 if layer == 0 else width, width) for layer in range(layers))
    initium.initialize(net, "siren", seed=seed)
    x = torch.rand(points, 2, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    found = []
    with torch.no_grad():
        for layer in net:
            seen = 30 * nn.functional.linear(x, layer.weight)
            found.append(float(seen.std()))
            x = seen.sin()
    return found


def main() -> None:
    v = 0.5
    for _ in range(100):
        v = 1 - math.exp(-2 * v)
    print(f"√v with v = 1 − e^(−2v): {math.sqrt(v):.6f}")
    print("layer  std before the sine")
    for layer, std in enumerate(stds()[1:], 1):
        print(f"{layer:>5}  {std:.3f}  {'█' * round(40 * std)}")


if __name__ == "__main__":
    main()
