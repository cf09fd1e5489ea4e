"""timm's networks, as timm 1.0.31 starts them."""

from __future__ import annotations

from torch import nn

from .._recipe import Recipe, named
from .._rules import Rule
from ..initializers import ClassDefault, CutNormal, Normal, PriorBias, Uniform, VarianceScaling, XavierUniform
from ._models import CONV, FAN_OUT, WHOLE_XAVIER, cut, over_torch

_TOKENS = "**.{cls_token,reg_token,class_token}"
_POSITIONS = "**.{pos_embed,pos_embedding}"
_SCALES = "**.{ls,ls[0-9]}.gamma"
_BIASES = "**.{q_bias,k_bias,v_bias}"  # in BEiT's attention, beside a qkv that has none of its own


def _vit(init_values: float, *rules: Rule) -> Recipe:
    return over_torch(
        *rules,
        Rule(_SCALES, init_values, role="parameter", optional=True),
        Rule(_POSITIONS, cut(0.02), optional=True),
        Rule(_TOKENS, Normal(1e-6), role="parameter", optional=True),
        Rule("**.dist_token", cut(0.02), role="parameter", optional=True),
        Rule("**.attn_pool.latent", CutNormal("1 / sqrt(numel)", 0.0, "-2 / sqrt(numel)", "2 / sqrt(numel)"), optional=True),
    )


@named("timm-vit")
def vit(fix_init: bool = False, init_values: float = 1e-5) -> Recipe:
    """Linear layers and positions N(0, 0.02²), biases 0, tokens N(0, 10⁻¹²), the patch convolution as torch has it.

    The normal is trunc_normal_, cut at the absolute ±2.

    Use when: training ViT or DeiT as timm does by default.
    Not when: following the papers of ViT (``timm-vit-jax``) or MoCo v3 (``timm-vit-moco``).

    Args:
        fix_init: divide what ends a residual branch by √(2 (l + 1)), l the layer's index from 0, as BEiT does always.
        init_values: of the layer scales, where the blocks have any.

    Example:
        >>> net = nn.TransformerEncoder(nn.TransformerEncoderLayer(64, 4, 128), 2, enable_nested_tensor=False)
        >>> plan = initium.plan(net, initium.recipe("timm-vit", fix_init=True), seed=0)
        >>> plan["layers.0.linear1.weight"].std, round(plan["layers.1.linear2.weight"].std, 9)
        (0.02, 0.01)

    Source: timm/models/vision_transformer.py, ``init_weights_vit_timm`` and ``fix_init_weight``. timm's own trunc_normal_ is not exact in
    bfloat16: of 10⁶ numbers 1965 come out at −2.
    """
    return _vit(init_values, *_narrow(fix_init))


def _narrow(fix_init: bool) -> tuple[Rule, ...]:
    """Every linear map N(0, 0.02²) with bias 0."""
    by = "sqrt(2 * (layer + 1))"  # the numbers are divided after they were cut
    ends = Rule(role="residual_out", initializer=CutNormal(f"0.02 / {by}", 0.0, f"-2 / {by}", f"2 / {by}"))
    attention = Rule(role=("query", "key", "value", "output"), initializer=cut(0.02), optional=True)
    zero = Rule(role=("query_bias", "key_bias", "value_bias", "output_bias"), initializer=0, optional=True)
    return (Rule(nn.Linear, weight=cut(0.02), bias=0, optional=True), attention, zero, *([ends] if fix_init else []))


def _scaled(std: float, factor: float) -> CutNormal:
    """``trunc_normal_``, and then the factor."""
    return CutNormal(std * factor, 0.0, -2.0 * factor, 2.0 * factor)


@named("timm-vit-jax")
def vit_jax(head_bias: float = 0.0, init_values: float = 1e-5) -> Recipe:
    """Linear layers Xavier uniform, MLP biases N(0, 10⁻¹²) and others 0, the patch convolution LeCun's normal cut at ±2 σ, head 0.

    q, k and v are one matrix to Xavier, as in timm (std 0.0510 for 192 channels; each for itself it would be 0.0722).

    Use when: training ViT as the paper's JAX code does.
    Not when: q, k and v are to have their own fans: ``timm-vit-moco``.

    Args:
        head_bias: what the head's biases start with.
        init_values: of the layer scales, where the blocks have any.

    Example:
        >>> round(initium.plan(nn.Linear(192, 576), "timm-vit-jax", seed=0)["weight"].std, 6)
        0.051031

    Source: timm/models/vision_transformer.py, ``init_weights_vit_jax``; Dosovitskiy et al. 2020 (2010.11929).
    """
    return _vit(init_values, *_jax(), Rule(role="head_bias", initializer=head_bias, optional=True))


def _jax() -> tuple[Rule, ...]:
    packed = Rule(role=("query", "key", "value", "output"), initializer=WHOLE_XAVIER, optional=True)
    return (
        Rule(nn.Linear, weight=WHOLE_XAVIER, bias=0, optional=True),
        packed,
        Rule("**mlp**.bias", Normal(1e-6), type=nn.Linear, optional=True),
        Rule(role=("up_bias", "down_bias"), initializer=Normal(1e-6), optional=True),
        Rule(CONV, weight=VarianceScaling(1.0, "fan_in", "truncated_normal"), bias=0, optional=True),
        Rule(role="head", initializer=0, optional=True),
    )


@named("timm-vit-jax-nlhb", "timm-vit-jax_nlhb")
def vit_jax_nlhb(init_values: float = 1e-5) -> Recipe:
    """``timm-vit-jax`` with head biases −log K for K classes (−6.907755 for 1000): sigmoid losses start at each class being rare.

    Use when: training ViT with a sigmoid for each class.
    Not when: the loss is a softmax: a bias that is the same for all classes changes nothing.

    Args:
        init_values: of the layer scales, where the blocks have any.

    Example:
        >>> net = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 1000))
        >>> round(initium.plan(net, "timm-vit-jax-nlhb", seed=0)["1.bias"].mean, 6)
        -6.907755

    Source: timm/models/vision_transformer.py, ``weight_init="jax_nlhb"``.
    """
    return _vit(init_values, *_jax(), Rule(role="head_bias", initializer=PriorBias("1 / (numel + 1)"), optional=True))


@named("timm-vit-moco")
def vit_moco(init_values: float = 1e-5) -> Recipe:
    """Linear layers Xavier uniform with q, k and v each for itself, biases 0, head included; the patch convolution as torch has it.

    Use when: training ViT as MoCo v3 does, or wherever q, k and v are packed and should start as three matrices.
    Not when: its fixed patch projection is wanted too: timm leaves that out, and so does this.

    Args:
        init_values: of the layer scales, where the blocks have any.

    Example:
        >>> net = nn.ModuleDict({"attn": nn.MultiheadAttention(192, 3)})
        >>> round(initium.plan(net, "timm-vit-moco", seed=0)["attn.in_proj_weight"].std, 6)
        0.072169

    Source: timm/models/vision_transformer.py, ``init_weights_vit_moco``; Chen et al. 2021 (2104.02057).
    """
    return _vit(
        init_values,
        Rule(nn.Linear, weight=XavierUniform(), bias=0, optional=True),
        Rule(role=("query", "key", "value", "output"), initializer=XavierUniform(), optional=True),
    )


@named("timm-beit")
def beit(init_values: float = 0.1, head_init_scale: float = 0.001) -> Recipe:
    """Linear layers, tokens and positions N(0, 0.02²), what ends a residual branch over √(2 (l + 1)), biases and relative positions 0.

    l is the layer's index from 0; the normal is cut at the absolute ±2 before it is divided. The patch convolution is as torch has it.

    Use when: training BEiT or EVA as timm does.
    Not when: the blocks are ViT's: ``timm-vit``, with fix_init=True for the same division.

    Args:
        init_values: of the layer scales gamma_1 and gamma_2, where the blocks have any.
        head_init_scale: factor on the head.

    Example:
        >>> net = nn.TransformerEncoder(nn.TransformerEncoderLayer(64, 4, 128), 2, enable_nested_tensor=False)
        >>> round(initium.plan(net, "timm-beit", seed=0)["layers.1.linear2.weight"].std, 9)
        0.01

    Source: timm/models/beit.py and eva.py, ``init_weights`` and ``fix_init_weight``; Bao et al. 2021 (2106.08254).
    """
    return over_torch(
        *_narrow(fix_init=True),
        Rule(role="head", initializer=_scaled(0.02, head_init_scale), optional=True),
        Rule("**.{gamma_1,gamma_2}", init_values, role="parameter", optional=True),
        Rule("**.{cls_token,reg_token,pos_embed}", cut(0.02), role="parameter", optional=True),
        Rule(_BIASES, 0, role="parameter", optional=True),
        Rule("**.relative_position_bias_table", 0, role="parameter", optional=True),
    )


@named("timm-convnext")
def convnext(layer_scale: float = 1e-6, head_init_scale: float = 1.0) -> Recipe:
    """Convolutions and linear layers N(0, 0.02²), biases 0, norms as their classes have them, layer scales 10⁻⁶.

    Use when: training ConvNeXt v1 or v2 as timm does.
    Not when: the network has neither layer scales nor norms.

    Args:
        layer_scale: what the ``gamma`` of each block starts with; v2 has none, its GRN starts at 0.
        head_init_scale: factor on the head.

    Example:
        >>> initium.plan(nn.Conv2d(40, 40, 7, groups=40), "timm-convnext", seed=0)["weight"].std
        0.02

    Source: timm/models/convnext.py, ``_init_weights``; Liu et al. 2022 (2201.03545).
    """
    head = _scaled(0.02, head_init_scale)
    return over_torch(
        Rule(CONV, weight=cut(0.02), bias=0, optional=True),
        Rule(nn.Linear, weight=cut(0.02), bias=0, optional=True),
        Rule("**.{gamma,layer_scale}", layer_scale, role="parameter", optional=True),
        Rule("**.head.**", weight=head, type=nn.Linear, optional=True),
        Rule(role="head", initializer=head, optional=True),
    )


@named("timm-resnet")
def resnet(zero_init_last: bool = True) -> Recipe:
    """Convolutions N(0, 2 / fan_out), norms 1 and 0 with γ = 0 in the last of each residual branch, the classifier as torch has it.

    Use when: training ResNet as timm does; the zero γ is its default, and not torchvision's.
    Not when: the blocks cannot be traced and the norms have no names that tell: say roles=, or zero_init_last=False.

    Args:
        zero_init_last: γ = 0 there.

    Example:
        >>> class Block(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.conv, self.bn = nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8)
        ...     def forward(self, x):
        ...         return x + self.bn(self.conv(x))
        >>> initium.plan(nn.Sequential(Block(), Block()), "timm-resnet", seed=0)["0.bn.weight"].mean
        0

    Source: timm/models/resnet.py, ``ResNet.init_weights``; Goyal et al. 2017 (1706.02677).
    """
    zero = [Rule(role="residual_norm", initializer=0)] if zero_init_last else []
    channels = Rule(
        "**.se.conv", weight=ClassDefault(), type=nn.Conv1d, optional=True
    )  # ECA's: timm's rule is for two dimensions
    return over_torch(Rule(CONV, weight=FAN_OUT, optional=True), channels, *zero)


@named("timm-efficientnet")
def efficientnet() -> Recipe:
    """Convolutions N(0, 2 / (k² · out / groups)), biases 0, norms 1 and 0, linear layers U(±1 / √out).

    Attention of MobileNet v4 has Xavier uniform convolutions, its layer scales are 10⁻⁵.

    Use when: training EfficientNet or MobileNet v2 to v4 as timm and TensorFlow do: the groups count.
    Not when: you compare with torchvision's EfficientNet, whose depthwise convolutions start smaller by √groups.

    Example:
        >>> round(initium.plan(nn.Conv2d(32, 32, 3, groups=32), "timm-efficientnet", seed=0)["weight"].std, 6)
        0.471405

    Source: timm/models/_efficientnet_builder.py, ``_init_weight_goog``; Tan & Le 2019 (1905.11946).
    """
    bound, xavier = "1 / sqrt(numel / fan_in)", "sqrt(6 / (fan_in + fan_out * groups))"
    return over_torch(
        Rule(CONV, weight=Normal("sqrt(2 / fan_out)"), bias=0, optional=True),
        Rule(nn.Linear, weight=Uniform(f"-{bound}", bound), bias=0, optional=True),
        Rule("**.attn.{query,key,value,output}.{proj,down_conv}.weight", Uniform(f"-{xavier}", xavier), optional=True),
        Rule("**.layer_scale.gamma", 1e-5, role="parameter", optional=True),
    )
