"""torchvision's vision transformers, as torchvision 0.28 starts them."""

from __future__ import annotations

from torch import nn

from .._recipe import Recipe, named
from .._rules import Rule
from ..initializers import ClassDefault, Constant, Normal, XavierUniform
from ._models import CONV, cut, over_torch

_TOKENS = "**.{class_token,cls_token}"
_POSITIONS = "**.{pos_embedding,pos_embed,position_embedding,position_embeddings}"


@named("torchvision-vit")
def vit() -> Recipe:
    """MLPs Xavier uniform with biases N(0, 10⁻¹²), attention as torch has it, positions N(0, 0.02²), class token and head 0.

    The patch convolution is N(0, 1 / fan_in) with bias 0. ``nn.MultiheadAttention`` takes q, k and v as one matrix (Xavier uniform
    with bound √(6 / 4d) instead of √(6 / 2d)) and leaves its output projection U(±1 / √d) with bias 0.

    Use when: training ViT as torchvision does, or your own network of ``nn.MultiheadAttention`` and an MLP.
    Not when: you want timm's or JAX's ViT: ``timm-vit``, ``timm-vit-jax``.

    Example:
        >>> layer = nn.TransformerEncoderLayer(64, 4, 128)
        >>> round(initium.plan(nn.ModuleList([layer]), "torchvision-vit", seed=0)["0.linear1.weight"].std, 6)
        0.102062

    Source: torchvision/models/vision_transformer.py, ``MLPBlock`` and ``VisionTransformer.__init__``; a convolutional stem keeps torch's
    default but for its last convolution, N(0, 2 / out).
    """
    narrow = Normal(1e-6)
    return over_torch(
        Rule(role=("up", "down"), initializer=XavierUniform(), optional=True),
        Rule(role=("up_bias", "down_bias"), initializer=narrow, optional=True),
        Rule(CONV, weight=cut("sqrt(1 / fan_in)"), bias=0, optional=True),
        Rule("**conv_proj.conv_bn_relu_*.0.weight", ClassDefault(), optional=True),
        Rule("**conv_proj.conv_last", weight=Normal("sqrt(2 / fan_out)"), bias=0, optional=True),
        Rule("**heads.pre_logits", weight=cut("sqrt(1 / fan_in)"), bias=0, optional=True),
        Rule(_POSITIONS, Normal(0.02), optional=True),
        Rule(_TOKENS, 0, role="parameter", optional=True),
        Rule(role=("head", "head_bias"), initializer=0, optional=True),
    )


@named("torchvision-swin")
def swin() -> Recipe:
    """Linear layers and tables of relative positions N(0, 0.02²), biases 0, norms 1 and 0, the patch convolution as torch has it.

    The normal is torch's trunc_normal_, cut at the absolute ±2. In v2 the logit scales are log 10.

    Use when: training Swin v1 or v2 as torchvision does.
    Not when: you start from Microsoft's weights of relative positions: transformers' Swin has them 0, which is another start.

    Example:
        >>> initium.plan(nn.Linear(96, 288), "torchvision-swin", seed=0)["weight"].std
        0.02

    Source: torchvision/models/swin_transformer.py: the blocks' own Xavier and 10⁻⁶ are written over by ``SwinTransformer.__init__``.
    """
    log_ten = 2.302585092994046
    return over_torch(
        Rule(nn.Linear, weight=cut(0.02), bias=0, optional=True),
        Rule("**.relative_position_bias_table", cut(0.02), optional=True),
        Rule("**.logit_scale", Constant(log_ten), optional=True),
    )
