"""The networks of transformers that look at pictures, as transformers 5.23 starts them; and CLIP as OpenAI does."""

from __future__ import annotations

from .._recipe import Recipe, named
from .._rules import Rule
from ..initializers import Constant, Normal
from ._models import cut, everything, plain

_TOKENS = "**.{cls_token,mask_token,distillation_token,register_tokens,position_embeddings}"


@named("vit")
def vit(std: float = 0.02) -> Recipe:
    """Weights, patches included, N(0, 0.02²), biases 0, norms 1 and 0, class token and positions N(0, 0.02²), mask token 0.

    Use when: training ViT as transformers does.
    Not when: as the paper does: ``timm-vit-jax``.

    Args:
        std: the configuration's initializer_range.

    Example:
        >>> initium.plan(nn.Conv2d(3, 32, 8, 8), "vit", seed=0)["weight"].std
        0.02

    Source: transformers, modeling_vit.py, ``ViTPreTrainedModel._init_weights``: tokens and positions by trunc_normal_, cut at the absolute ±2.
    """
    return plain(
        std,
        Rule("**.{cls_token,position_embeddings}", cut(std), role="parameter", optional=True),
        Rule("**.mask_token", 0, role="parameter", optional=True),
    )


@named("deit", "beit")
def deit(std: float = 0.02, layer_scale: float = 0.1) -> Recipe:
    """Weights, patches included, N(0, 0.02²), biases 0, norms 1 and 0, every token and all positions 0.

    BEiT's layer scales are 0.1, its tables of relative positions 0.

    Use when: training DeiT or BEiT as transformers does.
    Not when: as their authors do, with tokens and positions N(0, 0.02²): ``timm-vit``, ``timm-beit``. From 0 all positions look alike at first.

    Args:
        std: the configuration's initializer_range.
        layer_scale: the configuration's layer_scale_init_value.

    Example:
        >>> initium.plan(nn.Conv2d(3, 32, 8, 8), "deit", seed=0)["weight"].std
        0.02

    Source: transformers, modeling_deit.py and modeling_beit.py, ``_init_weights``. In DeiT's, tokens and positions are drawn first and then
    set to 0, by two conditions that are the same.
    """
    return plain(
        std,
        Rule(_TOKENS, 0, role="parameter", optional=True),
        Rule("**.{lambda_1,lambda_2}", layer_scale, role="parameter", optional=True),
        Rule("**.relative_position_bias_table", 0, role="parameter", optional=True),
    )


@named("dinov2")
def dinov2(std: float = 0.02, layer_scale: float = 1.0) -> Recipe:
    """Weights, patches included, class token and positions N(0, 0.02²) by trunc_normal_, biases 0, norms 1 and 0, layer scales 1.

    Mask and register tokens are 0. The normal is cut at the absolute ±2.

    Use when: training DINOv2 as transformers does.
    Not when: the blocks have no layer scales: ``vit``.

    Args:
        std: the configuration's initializer_range.
        layer_scale: the configuration's layerscale_value.

    Example:
        >>> initium.plan(nn.Conv2d(3, 32, 14, 14), "dinov2", seed=0)["weight"].std
        0.02

    Source: transformers, modeling_dinov2.py, ``Dinov2PreTrainedModel._init_weights``.
    """
    return everything(
        cut(std),
        cut(std),
        Rule(_TOKENS, 0, role="parameter", optional=True),
        Rule("**.{cls_token,position_embeddings}", cut(std), role="parameter", optional=True),
        Rule("**.lambda1", layer_scale, role="parameter", optional=True),
    )


@named("clip")
def clip(std: float = 0.02, factor: float = 1.0) -> Recipe:
    """q, k, v N(0, 1 / (2 L d)), attention output N(0, 1 / d), fc1 N(0, 1 / (2 d)), fc2 N(0, 1 / (2 L d)), embeddings N(0, 0.02²).

    Each tower by its own width d and depth L; the class token N(0, 1 / d), projections N(0, 1 / fan_in), the logit scale log(1 / 0.07).

    Use when: training CLIP from scratch as transformers does.
    Not when: as OpenAI does (``clip-openai``): there q, k and v have d^−½ and the *output* has d^−½ (2 L)^−½. What is added to the stream
        is the same; the attention's logits are 2 L times as large.

    Args:
        std: initializer_range, of the vision tower's patches and positions.
        factor: initializer_factor, on every std.

    Example:
        >>> net = nn.TransformerEncoder(nn.TransformerEncoderLayer(64, 4, 256), 2, enable_nested_tensor=False)
        >>> plan = initium.plan(net, "clip", seed=0)
        >>> plan["layers.0.self_attn.in_proj_weight"].std, plan["layers.0.self_attn.out_proj.weight"].std
        (0.0625, 0.125)

    Source: transformers, modeling_clip.py, ``CLIPPreTrainedModel._init_weights``. It says 2.6592 for log(1 / 0.07) = 2.65926. OpenAI's
    clip/model.py has the two factors of the attention the other way round, and the paper does not say them: both are here.
    """
    f = f"{factor!r}"
    return _clip(std, factor, f"{f} / sqrt(2 * depth * fan_in)", f"{f} / sqrt(fan_in)", 2.6592)


@named("clip-openai")
def clip_openai() -> Recipe:
    """q, k, v N(0, 1 / d), attention output N(0, 1 / (2 L d)), fc1 N(0, 1 / (2 d)), fc2 N(0, 1 / (2 L d)), tokens N(0, 0.02²).

    Positions N(0, 0.01²), the class token N(0, 1 / d), projections N(0, 1 / fan_in), the logit scale log(1 / 0.07).

    Use when: training CLIP, or another pre-norm encoder, as OpenAI's code does.
    Not when: you compare with transformers' CLIP, which swaps the two factors of the attention: ``clip``.

    Example:
        >>> net = nn.TransformerEncoder(nn.TransformerEncoderLayer(64, 4, 256), 2, enable_nested_tensor=False)
        >>> plan = initium.plan(net, "clip-openai", seed=0)
        >>> plan["layers.0.self_attn.in_proj_weight"].std, plan["layers.0.self_attn.out_proj.weight"].std
        (0.125, 0.0625)

    Source: openai/CLIP, clip/model.py, ``initialize_parameters``; Radford et al. 2021 (2103.00020). There the vision tower's blocks stay as torch
    has them; here both towers follow the rule of the text tower.
    """
    return _clip(0.01, 1.0, "1 / sqrt(fan_in)", "1 / sqrt(2 * depth * fan_in)", 2.6592600369327783)


def _clip(positions: float, factor: float, into: str, out: str, scale: float) -> Recipe:
    f = f"{factor!r}"
    return everything(
        Normal(f"{f} / sqrt(fan_in)"),
        Normal(0.02 * factor),
        Rule(role=("query", "key", "value"), initializer=Normal(into)),
        Rule(role="output", initializer=Normal(out), optional=True),
        Rule(role="up", initializer=Normal(f"{f} / sqrt(2 * fan_in)"), optional=True),
        Rule(role="down", initializer=Normal(f"{f} / sqrt(2 * depth * fan_out)"), optional=True),
        Rule("**.{patch_embedding,conv1}.weight", Normal(positions * factor), optional=True),
        Rule("**.{position_embedding.weight,positional_embedding}", Normal(positions * factor), optional=True),
        Rule("**.class_embedding", Normal(f"{f} / sqrt(numel)"), optional=True),
        Rule("**.logit_scale", Constant(scale), optional=True),
    )
