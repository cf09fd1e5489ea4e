"""The two recipes of the classic PyTorch tutorials."""

from __future__ import annotations

from torch import nn

from .._recipe import Recipe, named
from .._rules import Rule
from ..initializers import Keep, Normal


@named("resnet-2015")
def resnet_2015() -> Recipe:
    """Convolutions N(0, 2 / (k² · out)), batch norms 1 and 0, everything else kept: the first PyTorch ResNet's loop over modules."""
    return Recipe(
        [
            Rule("**", Keep(), optional=True),
            # the loop computes k² · out from the module's attributes, so its groups do not count
            Rule(nn.Conv2d, weight=Normal(std="sqrt(2 / (fan_out * groups))"), optional=True),
            Rule(nn.BatchNorm2d, weight=1, bias=0, optional=True),
        ]
    )


@named("xavier-all")
def xavier_all() -> Recipe:
    """Conv2d and Linear weights Xavier normal, biases 0, found by class name; everything else kept."""
    return Recipe(
        [
            Rule("**", Keep(), optional=True),
            Rule(type="*Conv2d*", weight="xavier_normal", bias=0, optional=True),
            Rule(type="*Linear*", weight="xavier_normal", bias=0, optional=True),
        ]
    )
