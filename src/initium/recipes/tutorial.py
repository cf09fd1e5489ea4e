"""The two recipes of the classic PyTorch tutorials."""

from __future__ import annotations

from torch import nn

from .._recipe import Recipe, named
from .._rules import Rule
from ..initializers import Keep, Normal


@named("resnet-2015")
def resnet_2015() -> Recipe:
    """Convolutions N(0, 2 / (k² · out)), batch norms 1 and 0, everything else kept.

    The loop over modules of the first ResNet in PyTorch.

    Use when: repeating work of that time.
    Not when: starting anew: ``torchvision-resnet``, which claims every tensor.

    Example:
        >>> initium.plan(nn.Conv2d(3, 8, 3), "resnet-2015", seed=0)["weight"].std
        0.16666666666666666

    Source: pytorch/vision, resnet.py of 2016; He et al. 2015 (1512.03385).
    """
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
    """Conv2d and Linear weights Xavier normal, biases 0, found by class name; everything else kept.

    Use when: repeating work that began with this snippet.
    Not when: starting anew: ``xavier`` also reaches attention and recurrent layers, and resets norms.

    Example:
        >>> initium.plan(nn.Linear(40, 10), "xavier-all", seed=0)["weight"].std
        0.2

    Source: the ``weights_init`` function of many tutorials; Glorot & Bengio 2010.
    """
    return Recipe(
        [
            Rule("**", Keep(), optional=True),
            Rule(type="*Conv2d*", weight="xavier_normal", bias=0, optional=True),
            Rule(type="*Linear*", weight="xavier_normal", bias=0, optional=True),
        ]
    )
