"""Way 5, when it is declared: declare for one layer, declaring for a block of code. Run it: python examples/5_declared.py"""

import torch
from torch import nn

import initium
from initium import Normal, declare


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(64, 64)
        self.head = declare(nn.Linear(64, 10), weight=Normal(std=0.01), bias=0)  # drawn now, remembered by later plans


torch.manual_seed(0)
print(f"as declared:    head std {Net().head.weight.std():.4f}")

# Every model that is made in the block is filled when the block closes.
with initium.declaring("he", seed=0) as block:
    model = Net()
print(f"after the block: body std {model.body.weight.std():.4f}, head std {model.head.weight.std():.4f}")
print(block.plans[0])
