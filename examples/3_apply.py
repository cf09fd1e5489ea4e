"""Way 3, a network that exists: Module.apply calls the recipe with each module. Run it: python examples/3_apply.py"""

import torch
from torch import nn

from initium import Recipe, Rule, XavierNormal, recipe

model = nn.Sequential(nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.Flatten(), nn.Linear(64, 10, bias=False))

torch.manual_seed(0)
model.apply(recipe("he"))
print(f"he:   conv std {model[0].weight.std():.4f}, bias {model[0].bias.abs().max():.0f}")

# A recipe of your own. A tensor that a layer lacks (bias=False) is no error; a module that no rule matches is left alone.
mine = Recipe([Rule(nn.Conv2d, weight=XavierNormal(), bias=0), Rule(nn.Linear, weight=0, bias=0)])
model.apply(mine)
print(f"mine: conv std {model[0].weight.std():.4f}, linear {model[4].weight.abs().max():.0f}")
