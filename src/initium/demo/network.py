"""The demo's network: plain on purpose.

Without normalisation and shortcuts the initial weights alone decide whether a signal gets through.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

DEPTH, CHANNELS = 20, 16


class PlainNet(nn.Module):
    """20 convolutions (3×3, 16 channels, ReLU) and a linear layer: images (n, 1, 8, 8) to the scores of ten classes (n, 10)."""

    def __init__(self) -> None:
        super().__init__()
        widths = [1] + [CHANNELS] * DEPTH
        self.convs = nn.ModuleList(nn.Conv2d(n_in, n_out, 3, padding=1) for n_in, n_out in pairwise(widths))
        self.head = nn.Linear(CHANNELS * 64, 10)

    def features(self, images: Tensor) -> Tensor:
        """What comes out of the last convolution, (n, 16, 8, 8)."""
        for conv in self.convs:
            images = torch.relu(conv(images))
        return images

    def forward(self, images: Tensor) -> Tensor:
        scores: Tensor = self.head(self.features(images).flatten(1))
        return scores
