"""torchvision's convolutional networks, as torchvision 0.28 starts them.

Its kaiming_normal_(mode="fan_out") reads the fan from the shape, so the groups of a convolution do not count: a depthwise one gets a std
smaller by √groups than its real fan asks for (0.0833 against timm's 0.4714 in the first of EfficientNet-B0).
"""

from __future__ import annotations

from torch import nn

from .._recipe import Recipe, named
from .._rules import Rule
from ..initializers import KaimingNormal, Normal, Uniform
from ._models import CONV, FAN_OUT, cut, over_torch


@named("torchvision-resnet")
def resnet(zero_init_residual: bool = False) -> Recipe:
    """Convolutions N(0, 2 / fan_out), batch and group norms 1 and 0, the classifier as torch has it: U(±1 / √fan_in).

    Use when: training ResNet, ResNeXt or Wide ResNet as torchvision does, or as a start for your own network of convolutions and batch norm.
    Not when: there are no norms (``fixup``, ``skipinit``); for large batches say zero_init_residual=True.

    Args:
        zero_init_residual: γ = 0 in the last norm of each residual branch, found by a trace of the block.

    Example:
        >>> initium.plan(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)), "torchvision-resnet", seed=0)["0.weight"].std
        0.16666666666666666

    Source: torchvision/models/resnet.py, ``ResNet.__init__``; He et al. 2015 (1502.01852), fan_out; Goyal et al. 2017 (1706.02677) for γ = 0.
    """
    zero = [Rule(role="residual_norm", initializer=0)] if zero_init_residual else []
    return over_torch(Rule(CONV, weight=FAN_OUT, optional=True), *zero)


@named("torchvision-vgg")
def vgg() -> Recipe:
    """Convolutions N(0, 2 / fan_out), linear layers N(0, 0.01²), all biases 0, norms 1 and 0.

    Use when: training VGG, with or without batch norm, as torchvision does.
    Not when: the dense layers are many: a std of 0.01 whatever the width lets the signal fade.

    Example:
        >>> initium.plan(nn.Linear(25088, 4096), "torchvision-vgg", seed=0)["weight"].std
        0.01

    Source: torchvision/models/vgg.py, ``VGG.__init__``.
    """
    return over_torch(
        Rule(CONV, weight=FAN_OUT, bias=0, optional=True), Rule(nn.Linear, weight=Normal(0.01), bias=0, optional=True)
    )


@named("torchvision-densenet")
def densenet() -> Recipe:
    """Convolutions N(0, 2 / fan_in), norms 1 and 0, the classifier's weight as torch has it and its bias 0.

    Use when: training DenseNet as torchvision does.
    Not when: another family: fan_in and fan_out differ by much where a layer widens.

    Example:
        >>> initium.plan(nn.Conv2d(8, 32, 1, bias=False), "torchvision-densenet", seed=0)["weight"].std
        0.5

    Source: torchvision/models/densenet.py, ``DenseNet.__init__``.
    """
    return over_torch(Rule(CONV, weight=KaimingNormal(), optional=True), Rule(nn.Linear, bias=0, optional=True))


@named("torchvision-efficientnet")
def efficientnet() -> Recipe:
    """Convolutions N(0, 2 / fan_out) without regard to groups, biases 0, norms 1 and 0, linear layers U(±1 / √out).

    Use when: training EfficientNet v1 or v2 as torchvision does.
    Not when: you want TensorFlow's start, in which a depthwise convolution has its own fan: ``timm-efficientnet``.

    Example:
        >>> depthwise = nn.Conv2d(32, 32, 3, groups=32, bias=False)
        >>> [round(initium.plan(depthwise, name, seed=0)["weight"].std, 4) for name in ("torchvision-efficientnet", "timm-efficientnet")]
        [0.0833, 0.4714]

    Source: torchvision/models/efficientnet.py, ``EfficientNet.__init__``.
    """
    bound = "1 / sqrt(numel / fan_in)"
    return over_torch(
        Rule(CONV, weight=FAN_OUT, bias=0, optional=True),
        Rule(nn.Linear, weight=Uniform(f"-{bound}", bound), bias=0, optional=True),
    )


@named("torchvision-mobilenet")
def mobilenet() -> Recipe:
    """Convolutions N(0, 2 / fan_out) without regard to groups, linear layers N(0, 0.01²), biases 0, norms 1 and 0.

    Use when: training MobileNet v2 or v3 as torchvision does.
    Not when: you want the depthwise convolutions to keep their signal without a norm behind them: ``timm-efficientnet``.

    Example:
        >>> initium.plan(nn.Linear(576, 1000), "torchvision-mobilenet", seed=0)["weight"].std
        0.01

    Source: torchvision/models/mobilenetv2.py and mobilenetv3.py.
    """
    return over_torch(
        Rule(CONV, weight=FAN_OUT, bias=0, optional=True), Rule(nn.Linear, weight=Normal(0.01), bias=0, optional=True)
    )


@named("torchvision-regnet")
def regnet() -> Recipe:
    """Convolutions N(0, 2 / (k² · out)) without regard to groups, linear layers N(0, 0.01²) with bias 0, norms 1 and 0.

    Use when: training RegNet as torchvision does.
    Not when: the convolutions have biases that should be 0: here they are torch's U(±1 / √fan_in), as in the squeeze-excitation of RegNetY.

    Example:
        >>> initium.plan(nn.Conv2d(32, 32, 3, groups=4), "torchvision-regnet", seed=0)["weight"].std
        0.08333333333333333

    Source: torchvision/models/regnet.py, ``RegNet.__init__``.
    """
    return over_torch(Rule(CONV, weight=FAN_OUT, optional=True), Rule(nn.Linear, weight=Normal(0.01), bias=0, optional=True))


@named("torchvision-convnext")
def convnext(layer_scale: float = 1e-6) -> Recipe:
    """Convolutions and linear layers N(0, 0.02²), biases 0, norms 1 and 0, the layer scales 10⁻⁶.

    The normal is torch's trunc_normal_, cut at the absolute ±2, which is 100 σ.

    Use when: training ConvNeXt as torchvision does.
    Not when: the network has neither layer scales nor norms: 0.02 whatever the width does not keep a signal.

    Args:
        layer_scale: what ``layer_scale`` parameters start with.

    Example:
        >>> initium.plan(nn.Conv2d(96, 96, 7, groups=96), "torchvision-convnext", seed=0)["weight"].std
        0.02

    Source: torchvision/models/convnext.py; Liu et al. 2022 (2201.03545).
    """
    return over_torch(
        Rule(CONV, weight=cut(0.02), bias=0, optional=True),
        Rule(nn.Linear, weight=cut(0.02), bias=0, optional=True),
        Rule("**.{layer_scale,gamma}", layer_scale, role="parameter", optional=True),
    )
