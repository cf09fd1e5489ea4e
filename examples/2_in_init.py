"""Way 2, a network in its own __init__: a recipe is called with each module. Run it: python examples/2_in_init.py"""

import torch
from torch import nn

import initium

he = initium.recipe("he")


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3)
        self.norm = nn.BatchNorm2d(16)
        self.head = nn.Linear(16, 10)
        for m in self.modules():
            he(m)


torch.manual_seed(0)  # a lone module has no full name, so the numbers come from torch's generator
for name, p in Net().named_parameters():
    print(f"{name:12} {tuple(p.shape)!s:15} mean {p.mean().item():+.4f}  std {p.std().item():.4f}")
