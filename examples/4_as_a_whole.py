"""Way 4, the model as a whole: look at the plan, then write it. Run it: python examples/4_as_a_whole.py"""

import torch
from torch import nn

import initium
from initium import Normal, Recipe, Rule


def net() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.Flatten(), nn.Linear(64, 10))


# Look first: nothing is written.
print(initium.plan(net(), "he", seed=0))
print()

# Then write. The same seed and the same name give the same numbers, whatever else the model holds.
a, b = net(), nn.Sequential(*net(), nn.ReLU(), nn.Linear(10, 10))
initium.initialize(a, "he", seed=0)
initium.initialize(b, "he", seed=0)
print("the same numbers in both models:", torch.equal(a[4].weight, b[4].weight))

# Rules over a named recipe; the last rule that matches wins.
plan = initium.initialize(a, initium.recipe("he") + Recipe([Rule("4.weight", Normal(std=0.01))]), seed=0)
print("4.weight:", plan["4.weight"].initializer, "by", plan["4.weight"].rule)

# What nobody claims is an error, not a guess.
try:
    initium.plan(a, [Rule(nn.Conv2d, weight="xavier_normal", bias=0)], seed=0)
except initium.InitiumError as error:
    print(error)
