"""The same network twice: told what its weights are when it is declared, and declared first, then modified.

Run it: python examples/6_declared_or_modified.py
"""

import torch
from torch import nn

import initium
from initium import Normal, Orthogonal, Rule, declare


class Declared(nn.Module):
    """What a layer gets stands where the layer stands."""

    def __init__(self) -> None:
        super().__init__()
        self.body = declare(nn.Linear(32, 32), weight=Orthogonal(), bias=0)
        self.head = declare(nn.Linear(32, 10), weight=Normal(std=0.01), bias=0)


class Plain(nn.Module):
    """The architecture says nothing of its weights."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(32, 32)
        self.head = nn.Linear(32, 10)


class Loop(Plain):
    """The old habit: draw again in the constructor."""

    def __init__(self) -> None:
        super().__init__()
        for p in self.parameters():
            p.data.normal_(0, 7)


rules = [Rule("body", weight=Orthogonal(), bias=0), Rule("head", weight=Normal(std=0.01), bias=0)]


def same(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))


# Declared. A plan remembers what the layers said, so any recipe fills only what is left to say.
declared = Declared()
plan = initium.initialize(declared, "he", seed=0)
print("declared:", plan["head.weight"].initializer, "–", plan["head.weight"].rule)

# Declared, then modified. The rules stand apart from the model: one model, many recipes.
modified = Plain()
plan = initium.initialize(modified, rules, seed=0)
print("modified:", plan["head.weight"].initializer, "–", plan["head.weight"].rule)

print("the same numbers:", same(declared, modified))

# A block of declarations wins over a loop in the constructor.
with initium.declaring(rules, seed=0):
    looped = Loop()
print("the block wins over the loop:", same(looped, modified))
