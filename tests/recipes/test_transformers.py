"""The recipes of transformers are what transformers does, captured from transformers itself; and the numbers of CLIP by OpenAI."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parent.parent / "zoo"))
from _shim import library
from parity import check

import initium

COMMON = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4}
SMALL = {**COMMON, "vocab_size": 64, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
T5 = {"d_model": 32, "d_ff": 48, "d_kv": 6, "num_layers": 2, "num_heads": 4, "vocab_size": 64}
CAUSAL = "AutoModelForCausalLM"
VISION = {**COMMON, "image_size": 32, "patch_size": 8}
WHISPER = {
    "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4, "decoder_attention_heads": 4, "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48, "vocab_size": 64, "max_source_positions": 20, "max_target_positions": 16, "pad_token_id": 0, "bos_token_id": 0,
    "eos_token_id": 0, "decoder_start_token_id": 0,
}  # fmt: skip
GPT2 = {"n_embd": 32, "n_layer": 3, "n_head": 4, "vocab_size": 64, "n_positions": 32, "bos_token_id": 0, "eos_token_id": 0}
CLIP = {
    "text_config": SMALL,
    "vision_config": {**VISION, "hidden_size": 64, "num_hidden_layers": 2},
    "projection_dim": 16,
}
MAMBA2 = {
    "hidden_size": 32,
    "state_size": 4,
    "num_hidden_layers": 2,
    "vocab_size": 64,
    "num_heads": 4,
    "head_dim": 16,
    "n_groups": 1,
}
DEEPSEEK = {
    **SMALL, "moe_intermediate_size": 16, "num_key_value_heads": 4, "n_shared_experts": 1, "n_routed_experts": 4, "n_group": 2, "topk_group": 1,
    "num_experts_per_tok": 2, "first_k_dense_replace": 1, "kv_lora_rank": 8, "q_lora_rank": 8, "qk_rope_head_dim": 4, "v_head_dim": 8,
    "qk_nope_head_dim": 4,
}  # fmt: skip
MODELS: list[tuple[str, str, str, dict[str, Any]]] = [
    ("bert", "bert", "AutoModelForMaskedLM", SMALL),
    ("bert", "roberta", "AutoModelForMaskedLM", SMALL),
    ("bert", "electra", "AutoModelForMaskedLM", {**SMALL, "embedding_size": 32}),
    ("gpt2", "gpt2", CAUSAL, GPT2),
    ("gpt2", "gpt2", "AutoModel", {**GPT2, "add_cross_attention": True}),
    ("llama", "llama", CAUSAL, {**SMALL, "num_key_value_heads": 2}),
    ("llama", "mistral", CAUSAL, {**SMALL, "num_key_value_heads": 2}),
    ("llama", "qwen2", CAUSAL, {**SMALL, "num_key_value_heads": 2}),
    ("llama", "qwen3", CAUSAL, {**SMALL, "num_key_value_heads": 2, "head_dim": 8}),
    ("llama", "gemma", CAUSAL, {**SMALL, "num_key_value_heads": 2, "head_dim": 8}),
    ("llama", "olmo2", CAUSAL, {**SMALL, "num_key_value_heads": 2}),
    ("llama", "gpt_neox", CAUSAL, SMALL),
    ("t5", "t5", "AutoModelForSeq2SeqLM", T5),
    ("t5", "t5", "AutoModelForSeq2SeqLM", {**T5, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}),
    ("clip", "clip", "AutoModel", CLIP),
    ("whisper", "whisper", "AutoModelForSpeechSeq2Seq", WHISPER),
    ("mamba", "mamba", CAUSAL, {"hidden_size": 32, "state_size": 4, "num_hidden_layers": 2, "vocab_size": 64}),
    ("mamba2", "mamba2", CAUSAL, MAMBA2),
    (
        "mixtral",
        "qwen3_moe",
        CAUSAL,
        {**SMALL, "num_key_value_heads": 2, "head_dim": 8, "num_experts": 2, "moe_intermediate_size": 16},
    ),
    ("mixtral", "deepseek_v3", CAUSAL, DEEPSEEK),
    ("mixtral", "mixtral", CAUSAL, {**SMALL, "num_key_value_heads": 2, "num_local_experts": 2}),
    ("vit", "vit", "AutoModelForImageClassification", VISION),
    ("vit", "vit", "AutoModelForMaskedImageModeling", {**VISION, "encoder_stride": 8}),
    ("gpt2", "gpt2", "AutoModelForSequenceClassification", {**GPT2, "n_layer": 5, "pad_token_id": 0}),
    ("llama", "llama", CAUSAL, {**SMALL, "num_key_value_heads": 2, "attention_bias": True, "tie_word_embeddings": True}),
    ("t5", "t5", "AutoModelForSequenceClassification", {**T5, "num_decoder_layers": 3, "eos_token_id": 1}),
    ("t5", "t5", "AutoModelForQuestionAnswering", T5),
    ("switch-transformers", "switch_transformers", "AutoModelForSeq2SeqLM", {**T5, "num_experts": 2}),
    ("clip", "clip_vision_model", "CLIPVisionModelWithProjection", {**VISION, "projection_dim": 16}),
    ("mixtral", "gpt_oss", CAUSAL, {**SMALL, "num_key_value_heads": 2, "num_local_experts": 2, "head_dim": 8}),
    ("mixtral", "ernie4_5_moe", CAUSAL, {**SMALL, "num_key_value_heads": 2, "moe_num_experts": 2, "moe_intermediate_size": 16}),
    ("deit", "deit", "AutoModelForMaskedImageModeling", {**VISION, "encoder_stride": 8}),
    ("deit", "beit", "AutoModel", {**VISION, "use_mask_token": True, "use_relative_position_bias": True}),
    ("dinov2", "dinov2", "AutoModelForImageClassification", VISION),
    ("dinov2", "dinov2_with_registers", "AutoModel", VISION),
]


def made(kind: str, cls: str, knobs: dict[str, Any]) -> nn.Module:
    transformers = library("transformers")
    config, model = transformers.CONFIG_MAPPING[kind](**knobs), getattr(transformers, cls)
    return model.from_config(config) if cls.startswith("Auto") else model(config)  # type: ignore[no-any-return]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("recipe", "kind", "cls", "knobs"), MODELS, ids=[f"{m[0]}-{m[1]}-{i}" for i, m in enumerate(MODELS)])
def test_the_recipe_is_what_the_library_does(recipe: str, kind: str, cls: str, knobs: dict[str, Any]) -> None:
    check(recipe, made, kind, cls, knobs)


@pytest.mark.filterwarnings("ignore")
def test_the_knobs_are_those_of_the_configuration() -> None:
    towers = {name: {**CLIP[name], "initializer_factor": 2.0} for name in ("text_config", "vision_config")}
    twice = {**CLIP, **towers, "initializer_factor": 2.0}
    check(initium.recipe("gpt2", std=0.01), made, "gpt2", CAUSAL, {**GPT2, "initializer_range": 0.01})
    check(initium.recipe("t5", factor=0.05), made, "t5", "AutoModelForSeq2SeqLM", {**T5, "initializer_factor": 0.05})
    check(initium.recipe("clip", factor=2.0), made, "clip", "AutoModel", twice)
    mamba = {"hidden_size": 32, "state_size": 4, "num_hidden_layers": 2, "vocab_size": 64, "initializer_range": 0.02}
    steps = {"rescale_prenorm_residual": True, "time_step_min": 0.01, "time_step_max": 0.2}
    recipe = initium.recipe("mamba", std=0.02, rescale=True, dt_min=0.01, dt_max=0.2)
    check(recipe, made, "mamba", CAUSAL, {**mamba, **steps})
    check(initium.recipe("mamba2", rescale=True, dt_min=0.01, dt_max=0.2), made, "mamba2", CAUSAL, {**MAMBA2, **steps})


@pytest.mark.filterwarnings("ignore")
def test_gpt2_scales_its_residual_ends_and_nothing_else() -> None:
    plan = initium.plan(made("gpt2", CAUSAL, GPT2), "gpt2", seed=0)
    scaled = {name for name, entry in plan.items() if entry.std == pytest.approx(0.02 / 6**0.5)}
    assert scaled == {f"transformer.h.{i}.{part}.c_proj.weight" for i in range(3) for part in ("attn", "mlp")}


def test_gpt2_without_residual_ends_is_an_error_and_not_silence() -> None:
    with pytest.raises(initium.InitiumError, match=r"(?s)match nothing in the model.*residual_out"):
        initium.plan(nn.Sequential(nn.Linear(4, 4)), "gpt2", seed=0)


@pytest.mark.filterwarnings("ignore")
def test_clip_by_openai_swaps_the_two_factors_of_the_attention() -> None:
    """d = 128, L = 6: in_proj 128^-1/2 = .0884, out 128^-1/2 12^-1/2 = .0255."""
    text = {**SMALL, "hidden_size": 128, "num_hidden_layers": 6}
    model = made("clip", "AutoModel", {**CLIP, "text_config": text})
    ours, openai = (initium.plan(model, recipe, seed=0) for recipe in ("clip", "clip-openai"))
    into, out = (f"text_model.encoder.layers.0.self_attn.{part}.weight" for part in ("q_proj", "out_proj"))
    assert [ours[into].std, ours[out].std] == pytest.approx([0.0255, 0.0884], abs=5e-5)
    assert [openai[into].std, openai[out].std] == pytest.approx([0.0884, 0.0255], abs=5e-5)
    assert openai["text_model.embeddings.position_embedding.weight"].std == 0.01
    assert openai["logit_scale"].mean == pytest.approx(2.6593, abs=5e-5)


def test_a_decoder_of_your_own() -> None:
    net = nn.TransformerEncoder(nn.TransformerEncoderLayer(64, 4, 256), 12, enable_nested_tensor=False)
    plan = initium.plan(net, "gpt2", seed=0)
    for layer in range(12):
        for end in ("self_attn.out_proj", "linear2"):
            assert plan[f"layers.{layer}.{end}.weight"].std == pytest.approx(0.02 / 24**0.5)
        assert plan[f"layers.{layer}.linear1.weight"].std == plan[f"layers.{layer}.self_attn.in_proj_weight"].std == 0.02


def test_mamba_by_its_authors() -> None:
    library("transformers")
    model = made("mamba", CAUSAL, {"hidden_size": 32, "state_size": 4, "num_hidden_layers": 4, "vocab_size": 64})
    plan = initium.plan(model, initium.recipe("mamba", official=True), seed=0)
    mixer = "backbone.layers.3.mixer"
    assert plan[f"{mixer}.out_proj.weight"].initializer.b == pytest.approx(64**-0.5 / 2)  # / √L, L = 4
    assert plan[f"{mixer}.in_proj.weight"].initializer.b == pytest.approx(32**-0.5)
    assert plan[f"{mixer}.conv1d.bias"].initializer.b == 0.5
    assert plan["backbone.embeddings.weight"].std == 0.02
    steps = torch.nn.functional.softplus(plan.values(f"{mixer}.dt_proj.bias").double())
    assert float(steps.min()) >= 0.001 * (1 - 1e-6)
    assert float(steps.max()) <= 0.1 * (1 + 1e-6)
