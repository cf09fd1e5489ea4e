"""The layouts of transformers' modules, by class name (models that carry their own code use the same names).

What is not here is found by ``_layouts/telling.py``: norms, stacked experts, routers, and packed children in equal parts.
"""

from __future__ import annotations

import functools
from typing import Any

from .._fans import BIAS, DENSE, TRANSPOSED, Layout
from .packed import GATE_UP, KV, QKV, is_conv1d, packed
from .registry import NOTHING, Layouts, module

# The attribute names below are those of the classes named in the decorators; mypy cannot know them.
_CONV1D = {"weight": TRANSPOSED, "bias": BIAS}


@module("Conv1D")
def _conv1d(m: Any) -> Layouts:
    return _CONV1D if is_conv1d(m) else NOTHING


# Parameters that are linear maps by themselves, x @ w (in, out) or F.linear(x, w) (out, in), in the classes of these names
_STACK = Layout("weight", out_axes=(2,), in_axes=(1,), batch_axes=(0,))
_BARE_MAPS: dict[str, Layouts] = {
    "OmDetTurboLanguageBackbone": {"text_projection": TRANSPOSED},
    "XCLIPModel": {"prompts_visual_projection": TRANSPOSED},
    "Gemma3MultiModalProjector": {"mm_input_projection_weight": TRANSPOSED},
    "T5Gemma2MultiModalProjector": {"mm_input_projection_weight": TRANSPOSED},
    "SwiftFormerEfficientAdditiveAttention": {"w_g": TRANSPOSED},
    "DeepseekV4HyperConnection": {"fn": DENSE},
    "DeepseekV4HyperHead": {"hc_fn": DENSE},
    "CsmCodebooksHead": {"weight": _STACK},
    "RecurrentGemmaRglru": {"input_gate_weight": _STACK, "recurrent_gate_weight": _STACK},
}


@module(*_BARE_MAPS)
def _bare_map(m: Any) -> Layouts:
    return next(_BARE_MAPS[base.__name__] for base in type(m).__mro__ if base.__name__ in _BARE_MAPS)


# ---- attention: heads that each bring their own q, k and v


@module("GPTNeoXAttention", "GPTNeoXJapaneseAttention")
def _neox(m: Any) -> Layouts:
    return packed(m, "query_key_value", QKV, repeats=_rows(m, "query_key_value") // (3 * m.head_size))


@module("BloomAttention", "PersimmonAttention")
def _bloom(m: Any) -> Layouts:
    return packed(m, "query_key_value", QKV, repeats=m.num_heads)


@module("MiniMaxLightningAttention")
def _lightning(m: Any) -> Layouts:
    return packed(m, "qkv_proj", QKV, repeats=m.num_attention_heads)


@module("DisentangledSelfAttention")
def _deberta(m: Any) -> Layouts:
    return packed(m, "in_proj", QKV, repeats=m.num_attention_heads)


@module("EsmFoldSelfAttention")
def _esmfold(m: Any) -> Layouts:
    return packed(m, "proj", QKV, repeats=m.num_heads)


@module("FalconAttention")
def _falcon(m: Any) -> Layouts:
    if m.new_decoder_architecture:  # each key-value head after the queries that share it
        q, kv = m.num_heads * m.head_dim, m.num_kv_heads * m.head_dim
        return packed(m, "query_key_value", QKV, (q, kv, kv), m.num_kv_heads)
    if m.multi_query:
        return packed(m, "query_key_value", QKV, (m.hidden_size, m.head_dim, m.head_dim))
    return packed(m, "query_key_value", QKV, repeats=m.num_heads)


@module("GPTBigCodeAttention")
def _bigcode(m: Any) -> Layouts:
    if "q_attn" in m._modules:
        return packed(m, "c_attn", KV)
    if m.multi_query:
        return packed(m, "c_attn", QKV, (m.embed_dim, m.kv_dim, m.kv_dim))
    return packed(m, "c_attn", QKV, repeats=m.num_heads)


@module("CodeGenAttention")
def _codegen(m: Any) -> Layouts:
    return packed(m, "qkv_proj", ("q", "v", "k"), repeats=4)  # in the order and the four parts of the TPUs it was trained on


@module("Qwen3NextAttention", "Qwen3_5Attention", "Qwen3_5MoeAttention", "Qwen4ExpTextAttention")
def _gated_query(m: Any) -> Layouts:
    return packed(m, "q_proj", ("q", "gate"), repeats=_rows(m, "q_proj") // (2 * m.head_dim))


# ---- attention: q, k and v one after the other, of different sizes


@module("Phi3Attention", "Phi4MultimodalAttention")
def _phi3(m: Any) -> Layouts:
    kv = m.num_key_value_heads * m.head_dim
    return packed(m, "qkv_proj", QKV, (_rows(m, "qkv_proj") - 2 * kv, kv, kv))


@module("DbrxAttention")
def _dbrx(m: Any) -> Layouts:
    kv = m.num_key_value_heads * m.head_dim
    return packed(m, "Wqkv", QKV, (m.hidden_size, kv, kv))


@module("Exaone4_5_VisionAttention")
def _exaone(m: Any) -> Layouts:
    return packed(m, "qkv", QKV, (m.q_dim, m.kv_dim, m.kv_dim))


@module("BarkSelfAttention")
def _bark(m: Any) -> Layouts:
    return packed(m, "att_proj", QKV)


@module("JetMoeAttention")
def _jetmoe(m: Any) -> Layouts:
    return packed(m, "kv_proj", KV)


@module("GraniteSpeech*ConformerAttention", "EvollaSequenceCompressorAttention")
def _to_kv(m: Any) -> Layouts:
    return packed(m, "to_kv", KV)


@module("HieraMaskUnitAttention", "Sam2MultiScaleAttention")
def _hiera(m: Any) -> Layouts:
    return packed(m, "qkv", QKV)


@module("XLNetRelativeAttention")
def _xlnet(m: Any) -> Layouts:
    return _XLNET


_TO_HEADS = Layout("weight", out_axes=(1, 2), in_axes=(0,))  # (in, heads, head)
_FROM_HEADS = Layout("weight", out_axes=(0,), in_axes=(1, 2))
_XLNET = {**dict.fromkeys("qkvr", _TO_HEADS), "o": _FROM_HEADS, "r_r_bias": BIAS, "r_s_bias": BIAS, "r_w_bias": BIAS}


@module("FunnelRelMultiheadAttention")
def _funnel(m: Any) -> Layouts:
    return _FUNNEL


_FUNNEL = {"r_kernel": _TO_HEADS, "r_r_bias": BIAS, "r_s_bias": BIAS, "r_w_bias": BIAS}


# ---- linear attention and state spaces: A_log, D and dt_bias are not maps, so they stay bare


@module("Qwen3NextGatedDeltaNet", "Qwen3_5GatedDeltaNet", "Qwen3_5MoeGatedDeltaNet", "Qwen4ExpTextGatedDeltaNet")
def _delta_net(m: Any) -> Layouts:
    if "in_proj_qkv" in m._modules:
        return packed(m, "in_proj_qkv", QKV, (m.key_dim, m.key_dim, m.value_dim))
    sizes = (m.key_dim, m.key_dim, m.value_dim, m.value_dim)  # each key head with its q, its k and its values' v and z
    ba = packed(m, "in_proj_ba", ("b", "a"), repeats=m.num_k_heads)
    return {**packed(m, "in_proj_qkvz", (*QKV, "z"), sizes, m.num_k_heads), **ba}


@module("MambaMixer", "FalconMambaMixer", "JambaMambaMixer")
def _mamba(m: Any) -> Layouts:
    n = m.ssm_state_size
    return {**packed(m, "in_proj", ("x", "gate")), **packed(m, "x_proj", ("dt", "B", "C"), (m.time_step_rank, n, n))}


@module("ZambaMambaMixer")
def _zamba(m: Any) -> Layouts:
    # x and gate take turns row by row; every head has its own x_proj (out, in) and dt_proj (out, in)
    heads = Layout("weight", out_axes=(1,), in_axes=(2,), batch_axes=(0,))
    return {**packed(m, "in_proj", ("x", "gate"), repeats=m.intermediate_size), "x_proj_weight": heads, "dt_proj_weight": heads}


@module("Mamba2Mixer", "BambaMixer", "FalconH1Mixer", "GraniteMoeHybridMambaLayer", "NemotronHMamba2Mixer", "Zamba2MambaMixer")
def _mamba2(m: Any) -> Layouts:
    inner, state = m.intermediate_size, m.n_groups * m.ssm_state_size
    return packed(m, "in_proj", ("gate", "x", "B", "C", "dt"), (inner, inner, state, state, m.num_heads))


@module("Lfm2ShortConv", "Lfm2MoeShortConv", "Lfm3ShortConv", "Lfm3VlVisionShortConv")
def _short_conv(m: Any) -> Layouts:
    return packed(m, "in_proj", ("B", "C", "x"))


@module("xLSTMLayer")
def _xlstm(m: Any) -> Layouts:
    qkvo = packed(m, "qkv_opreact", (*QKV, "o"), (m.qk_dim, m.qk_dim, m.v_dim, m.v_dim))
    return {**qkvo, **packed(m, "ifgate_preact", ("i", "f"))}


@module("xLSTMFeedForward")
def _xlstm_feed_forward(m: Any) -> Layouts:
    return packed(m, "proj_up_gate_z", GATE_UP)


# ---- gated linear units and experts


@module("GraniteMoeHybridMLP", "GraniteMoeSharedMLP", "GraniteMoeSWAMLP")
def _granite(m: Any) -> Layouts:
    return packed(m, "input_linear", GATE_UP)


@module("*ConformerConvolutionModule", "*EncoderConvolutionModule", "Wav2Vec2BertConvolutionModule")
def _conformer(m: Any) -> Layouts:
    return packed(m, "pointwise_conv1", ("up", "gate"))  # nn.functional.glu: the second half is the gate


@module("FocalNetModulation")
def _focal(m: Any) -> Layouts:
    size = (_rows(m, "projection_in") - m.focal_level - 1) // 2
    return packed(m, "projection_in", ("q", "context", "gates"), (size, size, m.focal_level + 1))


@module("DbrxExpertGLU")
def _dbrx_experts(m: Any) -> Layouts:
    return _dbrx_stack(m.moe_num_experts, m.ffn_hidden_size)


@functools.lru_cache(maxsize=64)
def _dbrx_stack(experts: int, size: int) -> Layouts:
    # All three are (experts · hidden, model); w1 and v1 are used as Linear weights, w2 as x @ w2.
    up = Layout("weight", blocks=(size,) * experts)
    return {"w1": up, "v1": up, "w2": Layout("weight", (1,), (0,), blocks=(size,) * experts)}


def _rows(m: Any, child: str) -> int:
    """How many outputs a child Linear has, 0 where there is none."""
    rows = getattr(m._modules.get(child), "out_features", 0)
    return rows if isinstance(rows, int) else 0
