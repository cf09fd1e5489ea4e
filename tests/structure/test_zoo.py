"""Roles of real models: which weights end their residual branches, by the code of these libraries."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parent.parent / "zoo"))
from _shim import library
from test_real import from_config

from initium._inventory import inventory
from initium._structure.structure import Structure, structure_of

# (model, what ends its branches with numbers as #, blocks in its longest stack)
TRANSFORMERS = {
    "gpt2": ("h.#.attn.c_proj h.#.mlp.c_proj", 2),
    "bert": ("encoder.layer.#.attention.output.dense encoder.layer.#.output.dense", 2),
    "llama": ("layers.#.self_attn.o_proj layers.#.mlp.down_proj", 2),
    "phi3": ("layers.#.self_attn.o_proj layers.#.mlp.down_proj", 2),
    "mamba": ("layers.#.mixer.out_proj", 2),
    "whisper": (
        "encoder.layers.#.self_attn.out_proj encoder.layers.#.fc# decoder.layers.#.self_attn.out_proj "
        "decoder.layers.#.encoder_attn.out_proj decoder.layers.#.fc#",
        2,
    ),
    "wav2vec2": ("encoder.layers.#.attention.out_proj encoder.layers.#.feed_forward.output_dense", 12),
    "distilbert": ("transformer.layer.#.attention.out_lin transformer.layer.#.ffn.lin#", 2),
    "albert": (
        "encoder.albert_layer_groups.#.albert_layers.#.attention.dense encoder.albert_layer_groups.#.albert_layers.#.ffn_output",
        2,
    ),
    "bloom": ("h.#.self_attention.dense h.#.mlp.dense_#h_to_h", 2),
    "gpt_neox": ("layers.#.attention.dense layers.#.mlp.dense_#h_to_h", 2),
    "swin": ("encoder.layers.#.blocks.#.attention.o_proj encoder.layers.#.blocks.#.mlp.fc#", 12),
    "convnext": ("encoder.stages.#.layers.#.pwconv#", 18),
}
OTHERS = {
    "torchvision:resnet18": ("layer#.#.conv#", 8),
    "torchvision:vit_b_16": ("encoder.layers.encoder_layer_#.self_attention.out_proj encoder.layers.encoder_layer_#.mlp.#", 12),
    "torchvision:swin_t": ("features.#.#.attn.proj features.#.#.mlp.#", 12),
    "torchvision:mobilenet_v2": ("features.#.conv.#", 17),
    "torchvision:densenet121": ("", 4),
    "timm:vit_tiny_patch16_224": ("blocks.#.attn.proj blocks.#.mlp.fc#", 12),
    "timm:cait_xxs24_224": (
        "blocks.#.attn.proj blocks.#.mlp.fc# blocks_token_only.#.attn.proj blocks_token_only.#.mlp.fc#",
        24,
    ),
    "timm:coatnet_nano_rw_224": ("stages.#.blocks.#.conv#_#x# stages.#.blocks.#.attn.proj stages.#.blocks.#.mlp.fc#", 16),
    "timm:mixer_s32_224": ("blocks.#.mlp_tokens.fc# blocks.#.mlp_channels.fc#", 8),
    "timm:nfnet_f0": ("stages.#.#.conv#", 12),
}


def check(model: nn.Module, words: str, blocks: int) -> Structure:
    found = structure_of(inventory(model))
    ends = [name for name, place in found.places.items() if "residual_out" in place.roles]
    assert {re.sub(r"\d+", "#", name).removesuffix(".weight") for name in ends} == set(words.split())
    assert max((place.depth or 0 for place in found.places.values()), default=0) == blocks
    layers = {place.layer for place in found.places.values() if place.layer is not None}
    assert layers <= set(range(blocks)), "a layer's index is below the depth"
    return found


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", TRANSFORMERS)
def test_ends_of_transformers(kind: str) -> None:
    with torch.device("meta"):
        model = from_config(kind)
    found = check(model, *TRANSFORMERS[kind])
    pairs = [(place, name) for name, place in found.places.items() if re.search(r"\.(q_proj|k_proj|v_proj)\.weight$", name)]
    assert all({"q": "query", "k": "key", "v": "value"}[name.split(".")[-2][0]] in place.roles for place, name in pairs)


@pytest.mark.parametrize("kind", OTHERS)
def test_ends_of_vision_models(kind: str) -> None:
    package, _, name = kind.partition(":")
    module = library(package)
    with torch.device("meta"):
        model = module.models.get_model(name) if package == "torchvision" else module.create_model(name)
    check(model, *OTHERS[kind])
