"""The sizes of the small language models here, and the feed-forward layer that several code bases write alike."""

from __future__ import annotations

from torch import nn

D, FF, L, VOCAB = 64, 96, 4, 50
THREE = 0.9865783925581086  # the std of a standard normal cut at ±3


class FeedForward(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w1, self.w2, self.w3 = nn.Linear(D, FF, bias=False), nn.Linear(FF, D, bias=False), nn.Linear(D, FF, bias=False)
