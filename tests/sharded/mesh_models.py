"""Tiny models of every kind, with sizes that no mesh divides: some of their own, some from the libraries people use."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[1] / "zoo"))
from _shim import library

VOCABULARY = 61


class Block(nn.Module):
    """Packed attention and a gated pair of matrices."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.ln = nn.LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, 3, batch_first=True)
        self.mlp = nn.Linear(width, 3 * width + 2)
        self.c_proj = nn.Linear(3 * width + 2, width)

    def forward(self, x: Tensor) -> Tensor:
        y = self.ln(x)
        x = x + self.attn(y, y, y, need_weights=False)[0]
        return x + self.c_proj(torch.relu(self.mlp(x)))


class TinyGPT(nn.Module):
    """A tied head, and packed weights."""

    def __init__(self, width: int = 24, depth: int = 2) -> None:
        super().__init__()
        self.wte = nn.Embedding(VOCABULARY, width)
        self.h = nn.ModuleList(Block(width) for _ in range(depth))
        self.lm_head = nn.Linear(width, VOCABULARY, bias=False)
        self.lm_head.weight = self.wte.weight

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.wte(tokens)
        for block in self.h:
            x = block(x)
        return self.lm_head(x)


class TinyMamba(nn.Module):
    """A state-space block: bare parameters, a depthwise convolution, computed constants."""

    def __init__(self, width: int = 14, state: int = 5) -> None:
        super().__init__()
        self.in_proj = nn.Linear(width, 4 * width, bias=False)
        self.conv1d = nn.Conv1d(2 * width, 2 * width, 4, groups=2 * width)
        self.x_proj = nn.Linear(2 * width, 3 + 2 * state, bias=False)
        self.dt_proj = nn.Linear(3, 2 * width)
        self.A_log = nn.Parameter(torch.log(torch.arange(1.0, state + 1)).repeat(2 * width, 1))
        self.D = nn.Parameter(torch.ones(2 * width))
        self.out_proj = nn.Linear(2 * width, width, bias=False)


class Experts(nn.Module):
    """Stacked experts: a 3-D weight each."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(12, 6, bias=False)
        self.w1 = nn.Parameter(torch.zeros(6, 12, 20))
        self.w2 = nn.Parameter(torch.zeros(6, 20, 12))


class Recurrent(nn.Module):
    """Gates, both directions, two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.LSTM(10, 13, 2, bidirectional=True)
        self.head = nn.Linear(26, 3)


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(37, 50), nn.BatchNorm1d(50), nn.Linear(50, 29), nn.PReLU(), nn.Linear(29, 7))


def computed() -> nn.Module:
    """Weights that are computed from others, each in its way."""
    new, old = nn.utils.parametrizations.weight_norm, nn.utils.parametrizations.spectral_norm
    return nn.Sequential(new(nn.Linear(7, 9)), new(nn.Conv1d(3, 5, 3), dim=1), old(nn.Linear(9, 6)), nn.Linear(6, 5))


def _transformers(auto: str, config: str, **sizes: Any) -> nn.Module:
    transformers = library("transformers")
    model: nn.Module = getattr(transformers, auto).from_config(getattr(transformers, config)(**sizes))
    return model


def _vit() -> nn.Module:
    vision = library("torchvision.models")
    model: nn.Module = vision.VisionTransformer(32, 16, num_layers=2, num_heads=2, hidden_dim=24, mlp_dim=50, num_classes=7)
    return model


def _convnext() -> nn.Module:
    convnext = library("torchvision.models.convnext")
    blocks = [convnext.CNBlockConfig(12, 20, 1), convnext.CNBlockConfig(20, None, 1)]
    model: nn.Module = convnext.ConvNeXt(blocks, num_classes=7)
    return model


def _resnet() -> nn.Module:
    resnet = library("torchvision.models.resnet")
    model: nn.Module = resnet.ResNet(resnet.BasicBlock, [1, 1, 1, 1], num_classes=7, width_per_group=64)
    return model


_LLM = {
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "intermediate_size": 50,
    "vocab_size": VOCABULARY,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
_GPT2 = {
    "n_embd": 24,
    "n_layer": 2,
    "n_head": 2,
    "vocab_size": VOCABULARY,
    "n_positions": 33,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
_T5 = {"d_model": 24, "d_kv": 8, "d_ff": 50, "num_layers": 2, "num_heads": 3, "vocab_size": VOCABULARY}

OWN: dict[str, Callable[[], nn.Module]] = {
    "MLP": mlp,
    "LSTM": Recurrent,
    "tied GPT": TinyGPT,
    "Mamba-like": TinyMamba,
    "experts": Experts,
}
ZOO: dict[str, Callable[[], nn.Module]] = {
    "Llama": functools.partial(_transformers, "AutoModelForCausalLM", "LlamaConfig", **_LLM),
    "GPT-2": functools.partial(_transformers, "AutoModelForCausalLM", "GPT2Config", **_GPT2),
    "Mixtral": functools.partial(_transformers, "AutoModelForCausalLM", "MixtralConfig", **_LLM, num_local_experts=3),
    "T5": functools.partial(_transformers, "AutoModelForSeq2SeqLM", "T5Config", **_T5),
    "ViT": _vit,
    "ConvNeXt": _convnext,
    "ResNet": _resnet,
}
MODELS = {**OWN, **ZOO}
