"""The layouts of timm's and torchvision's modules, by class name, where ``_layouts/telling.py`` would be silent or wrong.

An ``Attention`` of theirs with ``qkv`` in three equal parts needs nothing here.
"""

from __future__ import annotations

import functools
import math
from typing import Any

from torch import nn

from .._fans import ONE, TRANSPOSED, ZERO, Layout
from .packed import KV, QKV, packed
from .registry import Layouts, module

# The attribute names below are those of the classes named in the decorators; mypy cannot know them.


@module("timm.layers.mlp.GluMlp", "timm.models.layers.mlp.GluMlp")
def _glu(m: Any) -> Layouts:
    return packed(m, "fc1", ("up", "gate") if m.gate_last else ("gate", "up"))


@module("timm.models.mambaout.GatedConvBlock")
def _gated_conv(m: Any) -> Layouts:
    return packed(m, "fc1", ("gate", "identity", "conv"), tuple(m.split_indices))


@module("timm.models.vision_transformer.ParallelScalingBlock", "timm.models.vision_transformer.DiffParallelScalingBlock")
def _parallel(m: Any) -> Layouts:
    return packed(m, "in_proj", ("mlp", *QKV), tuple(m.in_split))


@module("timm.models.gcvit.WindowAttentionGlobal")
def _gcvit(m: Any) -> Layouts:
    return packed(m, "qkv", KV if m.use_global else QKV)  # a global query comes from outside


@module("timm.models.maxxvit.Attention2d", "timm.models.maxxvit.AttentionCl", "timm.layers.attention2d.Attention2d")
def _heads_first(m: Any) -> Layouts:
    return packed(m, "qkv", QKV, repeats=m.num_heads if m.head_first else 1)


@module("timm.models.levit.Attention", "timm.models.efficientformer.Attention", "timm.models.tiny_vit.Attention")
def _levit(m: Any) -> Layouts:
    child = "qkv" if "weight" in m.qkv._parameters else "qkv.linear"
    return packed(m, child, QKV, (m.num_heads * m.key_dim,) * 2 + (m.num_heads * m.val_dim,), m.num_heads)


@module("timm.models.levit.AttentionDownsample")
def _levit_down(m: Any) -> Layouts:
    return packed(m, "kv.linear", KV, (m.num_heads * m.key_dim, m.num_heads * m.val_dim), m.num_heads)


@module("timm.layers.bottleneck_attn.BottleneckAttn")
def _bottleneck(m: Any) -> Layouts:
    return packed(m, "qkv", QKV, (m.dim_out_qk, m.dim_out_qk, m.dim_out_v))


@module("timm.layers.halo_attn.HaloAttn")
def _halo(m: Any) -> Layouts:
    return packed(m, "kv", KV, (m.dim_out_qk, m.dim_out_v), m.num_heads)


@module("timm.layers.lambda_layer.LambdaLayer")
def _lambda(m: Any) -> Layouts:
    return packed(m, "qkv", QKV, (m.num_heads * m.dim_qk, m.dim_qk, m.dim_v))


@module("timm.models.mobilevit.LinearSelfAttention")
def _linear_attention(m: Any) -> Layouts:
    return packed(m, "qkv_proj", QKV, (1, m.embed_dim, m.embed_dim))


@module("timm.models.shvit.SHSA")
def _single_head(m: Any) -> Layouts:
    return packed(m, "qkv.c", QKV, (m.qk_dim, m.qk_dim, m.pdim))


@module("timm.models.efficientvit_msra.CascadedGroupAttention")
def _cascaded(m: Any) -> Layouts:
    found: dict[str, Layout] = {}
    for head in range(len(m.qkvs)):
        found.update(packed(m, f"qkvs.{head}.conv", QKV, (m.key_dim, m.key_dim, m.val_dim)))
    return found


@module("timm.models.efficientvit_mit.LiteMLA")
def _lite(m: Any) -> Layouts:
    return packed(m, "qkv.conv", QKV, repeats=m.qkv.conv.out_channels // (3 * m.dim))


@module("timm.layers.attention2d.MultiQueryAttentionV2")
def _multi_query(m: Any) -> Layouts:
    return _MULTI_QUERY


_MULTI_QUERY = {
    "query_proj": Layout("weight", out_axes=(0, 1), in_axes=(2,)),  # (heads, key, in)
    "key_proj": TRANSPOSED,
    "value_proj": TRANSPOSED,
    "out_proj": Layout("weight", out_axes=(0,), in_axes=(1, 2)),  # (out, heads, value)
}


@module("timm.layers.cond_conv2d.CondConv2d", "timm.models.layers.cond_conv2d.CondConv2d")
def _cond_conv(m: Any) -> Layouts:
    return _experts_of_conv(m.in_channels // m.groups, m.out_channels // m.groups, math.prod(m.kernel_size))


@functools.lru_cache(maxsize=1024)
def _experts_of_conv(inputs: int, outputs: int, field: int) -> Layouts:
    # (experts, out · in · field): each row is a whole convolution, flattened
    weight = Layout("weight", out_axes=(), in_axes=(1,), batch_axes=(0,), said=(inputs * field, outputs * field))
    return {"weight": weight, "bias": Layout("bias", out_axes=(1,), in_axes=(), batch_axes=(0,))}


@module("timm.layers.std_conv.ScaledStdConv2d", "timm.layers.std_conv.ScaledStdConv2dSame")
def _scaled_conv(m: nn.Module) -> Layouts:
    return _gain(float(getattr(m, "gain_init", 1.0)))


@functools.lru_cache(maxsize=64)
def _gain(start: float) -> Layouts:
    return {"gain": Layout("norm", reset=start)}


@module("EvoNorm*", "FilterResponseNorm*", "InplaceAbn")
def _norm_and_act(m: nn.Module) -> Layouts:
    return _NORM_AND_ACT


_NORM_AND_ACT = {"weight": ONE, "bias": ZERO, "v": ONE, "tau": ZERO, "running_mean": ZERO, "running_var": ONE}


@module("timm.models.mlp_mixer.Affine")
def _affine(m: nn.Module) -> Layouts:
    return _AFFINE


_AFFINE = {"alpha": ONE, "beta": ZERO}
