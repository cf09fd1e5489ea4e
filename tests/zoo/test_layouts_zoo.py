"""Layouts of real models, from their own constructors: on meta where values do not matter."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
from _shim import library, on_meta
from torch import nn

import initium
from initium._inventory import Slot, inventory
from initium._layouts.registry import layouts_of
from initium._torch_defaults import torch_default


def slot_of(model: nn.Module, ending: str) -> Slot:
    """The model's first tensor whose name ends so."""
    return next(slot for slot in inventory(model).slots if slot.name.endswith(ending))


def said(slot: Slot) -> tuple[tuple[str, ...], list[tuple[int, int]], int]:
    """(names of the logical weights, their fans, how often they take turns)."""
    layout = slot.layout
    return layout.block_names, [layout.fans(shape) for shape in layout.block_shapes(slot.shape)], layout.repeats


def hf(name: str, **changes: Any) -> nn.Module:
    """A transformers model of that type on meta, small where the changes say so."""
    transformers = library("transformers")
    config = transformers.CONFIG_MAPPING[name](**changes)
    return on_meta(transformers.AutoModel.from_config, config)


SMALL = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 50, "intermediate_size": 96}
GQA = {**SMALL, "num_key_value_heads": 2}
MLA = {"q_lora_rank": 24, "kv_lora_rank": 16, "qk_rope_head_dim": 4, "qk_nope_head_dim": 12, "v_head_dim": 20}
QKV, SQUARE = ("q", "k", "v"), [(64, 64)] * 3

TRANSFORMERS = [
    # type, changes, tensor, names, fans, turns, why
    (
        "gpt2",
        {"n_embd": 64, "n_layer": 1, "n_head": 4},
        "c_attn.weight",
        QKV,
        SQUARE,
        1,
        "Conv1D is (in, out), packed along axis 1",
    ),
    ("gpt2", {"n_embd": 64, "n_layer": 1, "n_head": 4}, "c_fc.weight", (), [(64, 256)], 1, "Conv1D: torch would swap these"),
    ("gpt_neox", SMALL, "query_key_value.weight", QKV, SQUARE, 4, "by heads"),
    ("bloom", {"hidden_size": 64, "n_layer": 1, "n_head": 4}, "query_key_value.weight", QKV, SQUARE, 4, "by heads"),
    (
        "codegen",
        {"n_embd": 64, "n_layer": 1, "n_head": 4, "rotary_dim": 8},
        "qkv_proj.weight",
        ("q", "v", "k"),
        SQUARE,
        4,
        "q, v, k",
    ),
    (
        "falcon",
        {**SMALL, "new_decoder_architecture": True, "num_kv_heads": 2},
        "query_key_value.weight",
        QKV,
        [(64, 64), (64, 32), (64, 32)],
        2,
        "each key-value head behind its queries",
    ),
    ("falcon", SMALL, "query_key_value.weight", QKV, [(64, 64), (64, 16), (64, 16)], 1, "one key-value head"),
    ("falcon", {**SMALL, "multi_query": False}, "query_key_value.weight", QKV, SQUARE, 4, "by heads"),
    (
        "gpt_bigcode",
        {"n_embd": 64, "n_layer": 1, "n_head": 4},
        "c_attn.weight",
        QKV,
        [(64, 64), (64, 16), (64, 16)],
        1,
        "multi-query",
    ),
    ("phi3", {**GQA, "pad_token_id": 0}, "qkv_proj.weight", QKV, [(64, 64), (64, 32), (64, 32)], 1, "grouped queries"),
    ("phi3", {**GQA, "pad_token_id": 0}, "gate_up_proj.weight", ("gate", "up"), [(64, 96)] * 2, 1, "gate and up"),
    ("mpt", {"d_model": 64, "n_layers": 1, "n_heads": 4}, "Wqkv.weight", QKV, SQUARE, 1, "three equal parts"),
    (
        "mixtral",
        {**GQA, "num_local_experts": 4},
        "experts.gate_up_proj",
        ("gate", "up"),
        [(64, 96)] * 2,
        1,
        "(E, 2 · inner, in)",
    ),
    ("mixtral", {**GQA, "num_local_experts": 4}, "experts.down_proj", (), [(96, 64)], 1, "(E, out, inner)"),
    ("mixtral", {**GQA, "num_local_experts": 4}, "gate.weight", (), [(64, 4)], 1, "a router is a linear map"),
    (
        "gpt_oss",
        {**GQA, "num_local_experts": 4, "head_dim": 16},
        "experts.gate_up_proj",
        ("gate", "up"),
        [(64, 96)] * 2,
        96,
        "(E, in, 2 · inner), gate and up row by row",
    ),
    ("gpt_oss", {**GQA, "num_local_experts": 4, "head_dim": 16}, "experts.down_proj", (), [(96, 64)], 1, "(E, inner, out)"),
    (
        "llama4_text",
        {**GQA, "num_local_experts": 4, "head_dim": 16, "interleave_moe_layer_step": 1, "intermediate_size_mlp": 96},
        "experts.gate_up_proj",
        ("gate", "up"),
        [(64, 96)] * 2,
        1,
        "(E, in, 2 · inner)",
    ),
    (
        "deepseek_v3",
        {**SMALL, **MLA, "num_key_value_heads": 4},
        "kv_b_proj.weight",
        ("k", "v"),
        [(16, 48), (16, 80)],
        4,
        "latent attention: every head its own k and v",
    ),
    (
        "deepseek_v3",
        {**SMALL, **MLA, "num_key_value_heads": 4},
        "kv_a_proj_with_mqa.weight",
        ("kv", "k_rope"),
        [(64, 16), (64, 4)],
        1,
        "latent",
    ),
    ("mamba", {**SMALL, "time_step_rank": 8}, "in_proj.weight", ("x", "gate"), [(64, 96)] * 2, 1, "two halves"),
    (
        "mamba",
        {**SMALL, "time_step_rank": 8},
        "x_proj.weight",
        ("dt", "B", "C"),
        [(96, 8), (96, 16), (96, 16)],
        1,
        "three parts",
    ),
    ("mamba", SMALL, "conv1d.weight", (), [(4, 4)], 1, "depthwise"),
    (
        "mamba2",
        {
            "hidden_size": 64,
            "num_hidden_layers": 1,
            "num_heads": 8,
            "head_dim": 16,
            "state_size": 16,
            "n_groups": 2,
            "vocab_size": 50,
        },
        "in_proj.weight",
        ("gate", "x", "B", "C", "dt"),
        [(64, 128), (64, 128), (64, 32), (64, 32), (64, 8)],
        1,
        "five parts",
    ),
    ("deberta", SMALL, "in_proj.weight", QKV, SQUARE, 4, "by heads"),
    ("modernbert", {**SMALL, "pad_token_id": 0}, "Wqkv.weight", QKV, SQUARE, 1, "three equal parts"),
    (
        "xlnet",
        {"d_model": 64, "n_layer": 1, "n_head": 4, "d_inner": 96, "vocab_size": 50},
        "rel_attn.o",
        (),
        [(64, 64)],
        1,
        "(out, heads, head)",
    ),
    (
        "wav2vec2-conformer",
        {**SMALL, "num_feat_extract_layers": 7},
        "pointwise_conv1.weight",
        ("up", "gate"),
        [(64, 64)] * 2,
        1,
        "glu",
    ),
]


@pytest.mark.parametrize(
    ("kind", "changes", "tensor", "names", "fans", "turns"),
    [pytest.param(*row[:6], id=f"{row[0]} {row[2]}: {row[6]}") for row in TRANSFORMERS],
)
def test_transformers(
    kind: str, changes: dict[str, Any], tensor: str, names: tuple[str, ...], fans: list[tuple[int, int]], turns: int
) -> None:
    assert said(slot_of(hf(kind, **changes), tensor)) == (names, fans, turns)


@pytest.mark.parametrize(
    ("home", "name", "reset"),
    [
        ("llama", "LlamaRMSNorm", 1), ("t5", "T5LayerNorm", 1), ("gemma", "GemmaRMSNorm", 0), ("gemma2", "Gemma2RMSNorm", 0),
        ("gemma3", "Gemma3RMSNorm", 0), ("gemma3n", "Gemma3nRMSNorm", 1), ("recurrent_gemma", "RecurrentGemmaRMSNorm", 0),
        ("qwen3_next", "Qwen3NextRMSNorm", 0), ("qwen3_next", "Qwen3NextRMSNormGated", 1), ("zamba", "ZambaRMSNorm", 1),
    ],
)  # fmt: skip
def test_norms_of_transformers_reset_to_what_they_are_built_with(home: str, name: str, reset: int) -> None:
    library("transformers")
    m = getattr(importlib.import_module(f"transformers.models.{home}.modeling_{home}"), name)(8)
    assert layouts_of(m)["weight"].reset == reset == float(m.weight.detach()[0])


TIMM = [
    ("vit_tiny_patch16_224", "qkv.weight", QKV, [(192, 192)] * 3, 1),
    ("swin_tiny_patch4_window7_224", "qkv.weight", QKV, [(96, 96)] * 3, 1),
    ("levit_128s", "qkv.linear.weight", QKV, [(128, 64), (128, 64), (128, 128)], 4),
    ("tiny_vit_5m_224", "qkv.weight", QKV, [(128, 128)] * 3, 4),
    ("eva02_tiny_patch14_224", "fc1.weight", ("gate", "up"), [(192, 512)] * 2, 1),
    ("maxvit_tiny_rw_224", "qkv.weight", QKV, [(64, 64)] * 3, 2),
    ("tf_efficientnet_cc_b0_4e", "blocks.4.1.conv_dw.weight", (), [(25, 25)], 1),
    ("efficientvit_b0", "qkv.conv.weight", QKV, [(64, 64)] * 3, 4),
    ("shvit_s1", "qkv.c.weight", QKV, [(48, 16), (48, 16), (48, 48)], 1),
    ("mobilevitv2_050", "qkv_proj.weight", QKV, [(64, 1), (64, 64), (64, 64)], 1),
    ("vit_giant_patch14_dinov2", "mlp.fc1.weight", ("gate", "up"), [(1536, 4096)] * 2, 1),
    ("pvt_v2_b0", "kv.weight", ("k", "v"), [(32, 32)] * 2, 1),
]


@pytest.mark.parametrize(("name", "tensor", "names", "fans", "turns"), TIMM, ids=[row[0] for row in TIMM])
def test_timm(name: str, tensor: str, names: tuple[str, ...], fans: list[tuple[int, int]], turns: int) -> None:
    model = on_meta(library("timm").create_model, name)
    assert said(slot_of(model, tensor)) == (names, fans, turns)


def test_the_norms_of_timm_reset_to_what_they_are_built_with() -> None:
    layers = library("timm.layers")
    for name in dir(layers):
        cls = getattr(layers, name)
        if not (isinstance(cls, type) and issubclass(cls, nn.Module) and "Norm" in name) or "Mlp" in name:
            continue
        try:
            m = cls(32)
        except TypeError:
            continue  # takes something else
        for local, tensor in [*m._parameters.items(), *m._buffers.items()]:
            if tensor is not None:
                assert bool((tensor == layouts_of(m)[local].reset).all()), f"{name}.{local}"


def test_a_scaled_convolution_has_torchs_default_and_its_gain() -> None:
    m = library("timm.layers").ScaledStdConv2d(8, 16, 3, gain_init=0.5)
    assert torch_default(m, "weight") == torch_default(nn.Conv2d(8, 16, 3), "weight")
    assert str(torch_default(m, "gain")) == "0.5"
    assert float(m.gain.detach().max()) == 0.5


@pytest.mark.parametrize(
    ("name", "tensor", "names", "fans"),
    [
        ("swin_t", "qkv.weight", QKV, [(96, 96)] * 3),
        ("maxvit_t", "to_qkv.weight", QKV, [(64, 64)] * 3),
        ("mobilenet_v2", "features.17.conv.1.0.weight", (), [(9, 9)]),
        ("vit_b_16", "self_attention.in_proj_weight", QKV, [(768, 768)] * 3),
    ],
)
def test_torchvision(name: str, tensor: str, names: tuple[str, ...], fans: list[tuple[int, int]]) -> None:
    model = on_meta(library("torchvision.models").get_model, name)
    assert said(slot_of(model, tensor)) == (names, fans, 1)


def test_a_frozen_batch_norm_resets_its_buffers() -> None:
    m = library("torchvision.ops").FrozenBatchNorm2d(3)
    assert {name: layouts_of(m)[name].reset for name in m._buffers} == {
        "weight": 1,
        "bias": 0,
        "running_mean": 0,
        "running_var": 1,
    }


def test_a_packed_query_has_the_std_of_a_separate_one() -> None:
    """GPT-2 packs what Llama keeps apart: at the same width both are given the same std."""
    packed = initium.plan(hf("gpt2", n_embd=64, n_layer=1, n_head=4, vocab_size=50), "xavier", seed=0)
    apart = initium.plan(hf("llama", **SMALL), "xavier", seed=0)
    assert (
        packed["h.0.attn.c_attn.weight"].std == apart["layers.0.self_attn.q_proj.weight"].std == pytest.approx((2 / 128) ** 0.5)
    )


LARGE = ["resnet50", "convnext_tiny", "densenet121", "swin_v2_t", "efficientnet_b0", "shufflenet_v2_x0_5", "googlenet"]


@pytest.mark.parametrize("name", LARGE)
def test_every_norm_convolution_and_linear_map_of_torchvision_is_known(name: str) -> None:
    kwargs = {"init_weights": False} if name == "googlenet" else {}
    model = on_meta(library("torchvision.models").get_model, name, **kwargs)
    for slot in inventory(model).slots:
        bare = slot.layout.role == "parameter"
        assert not bare or slot.local in ("layer_scale", "logit_scale", "relative_position_bias_table"), slot.name
        if slot.layout.role == "weight":
            assert all(min(slot.layout.fans(shape)) > 0 for shape in slot.layout.block_shapes(slot.shape))


def test_what_is_no_linear_map_stays_bare() -> None:
    names = {slot.local: slot.layout.role for slot in inventory(hf("mamba", **SMALL)).slots}
    assert names["A_log"] == names["D"] == "parameter"
    vit = on_meta(library("timm").create_model, "vit_tiny_patch16_224", init_values=1e-5)
    assert slot_of(vit, "ls1.gamma").layout.reset is None
    assert slot_of(vit, "pos_embed").layout.role == "parameter"
