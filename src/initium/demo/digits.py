"""The digits that ship with the package: 1,797 handwritten digits of 8×8 grey values from 0 to 16.

``digits.md`` says where they come from, ``tools/digits.py`` made the file.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

FILE = Path(__file__).with_name("digits.bin")
COUNT, SIDE, MOST = 1797, 8, 16


class Digits(NamedTuple):
    """Images (n, 1, 8, 8) in fp32, standardised, and labels (n) in int64; every sixth image is a test image."""

    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor


def raw() -> tuple[Tensor, Tensor]:
    """Images (1797, 8, 8) from 0 to 16 and labels (1797), both uint8, as in the file: all pixels, then all labels."""
    values = torch.frombuffer(bytearray(zlib.decompress(FILE.read_bytes())), dtype=torch.uint8)
    pixels = COUNT * SIDE * SIDE
    return values[:pixels].view(COUNT, SIDE, SIDE), values[pixels:]


def digits() -> Digits:
    """The data as the demo trains on it: 1,497 training images and 300 test images."""
    images, labels = raw()
    scaled = images.float().unsqueeze(1) / MOST
    test = torch.arange(COUNT) % 6 == 0
    mean, std = scaled[~test].mean(), scaled[~test].std()
    scaled, labels = (scaled - mean) / std, labels.long()
    return Digits(scaled[~test], labels[~test], scaled[test], labels[test])
