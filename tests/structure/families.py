"""Small networks written as known code bases write theirs: the names, not the sizes; and blocks of no family at all."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

D = 16


def named(name: str, children: dict[str, nn.Module], **attributes: object) -> nn.Module:
    """A module whose class has that name, with these children in this order."""
    module = type(name, (nn.Module,), {})()
    for child, value in children.items():
        setattr(module, child, value)
    for attribute, value in attributes.items():
        setattr(module, attribute, value)
    return module  # type: ignore[no-any-return]


def maps(words: str, bias: bool = True) -> dict[str, nn.Module]:
    """``"q_proj k_proj"``: linear layers of these names."""
    return {word: nn.Linear(D, D, bias=bias) for word in words.split()}


def block(family: str, shuffled: bool = False) -> nn.Module:
    """One block of a family."""
    made: dict[str, nn.Module]
    if family == "llama":
        made = {
            "self_attn": named("LlamaAttention", maps("q_proj k_proj v_proj o_proj", bias=False), num_heads=4),
            "mlp": named("LlamaMLP", maps("gate_proj up_proj down_proj", bias=False)),
        }
        cls = "LlamaDecoderLayer"
    elif family == "nanogpt":
        made = {"attn": named("CausalSelfAttention", maps("c_attn c_proj")), "mlp": named("MLP", maps("c_fc c_proj"))}
        cls = "Block"
    elif family == "bert":
        made = {
            "attention": named(
                "BertAttention",
                {"self": named("BertSelfAttention", maps("query key value")), "output": named("BertSelfOutput", maps("dense"))},
            ),
            "intermediate": named("BertIntermediate", maps("dense")),
            "output": named("BertOutput", maps("dense")),
        }
        cls = "BertLayer"
    elif family == "torchtitan":
        made = {"attention": named("Attention", maps("wq wk wv wo")), "feed_forward": named("FeedForward", maps("w1 w2 w3"))}
        cls = "TransformerBlock"
    elif family == "mixtral":
        experts = nn.ModuleList(named("MixtralBlockSparseTop2MLP", maps("w1 w2 w3")) for _ in range(2))
        made = {
            "self_attn": named("MixtralAttention", maps("q_proj k_proj v_proj o_proj")),
            "block_sparse_moe": named("MixtralSparseMoeBlock", {"gate": nn.Linear(D, 2), "experts": experts}),
        }
        cls = "MixtralDecoderLayer"
    elif family == "neox":
        made = {
            "attention": named("GPTNeoXAttention", maps("query_key_value dense")),
            "mlp": named("GPTNeoXMLP", maps("dense_h_to_4h dense_4h_to_h")),
        }
        cls = "GPTNeoXLayer"
    elif family == "timm":
        made = {"attn": named("Attention", maps("qkv proj")), "mlp": named("Mlp", maps("fc1 fc2"))}
        cls = "Block"
    elif family == "olmo":
        made = maps("att_proj attn_out ff_proj ff_out")
        cls = "OLMoSequentialBlock"
    else:
        raise KeyError(family)
    if shuffled:
        made = dict(reversed(list(made.items())))
        for child in made.values():
            child._modules = dict(reversed(list(child._modules.items())))
    return named(cls, made)


# What each family's names say of a block's weights, by the papers and the code bases they are from.
EXPECTED: dict[str, dict[str, str]] = {
    "llama": {
        "self_attn.q_proj": "query", "self_attn.k_proj": "key", "self_attn.v_proj": "value", "self_attn.o_proj": "output residual_out",
        "mlp.gate_proj": "gate", "mlp.up_proj": "up", "mlp.down_proj": "down residual_out",
    },
    "nanogpt": {"attn.c_proj": "output residual_out", "mlp.c_fc": "up", "mlp.c_proj": "down residual_out"},
    "bert": {
        "attention.self.query": "query", "attention.self.key": "key", "attention.self.value": "value",
        "attention.output.dense": "output residual_out", "intermediate.dense": "up", "output.dense": "down residual_out",
    },
    "torchtitan": {
        "attention.wq": "query", "attention.wk": "key", "attention.wv": "value", "attention.wo": "output residual_out",
        "feed_forward.w1": "gate", "feed_forward.w2": "down residual_out", "feed_forward.w3": "up",
    },
    "mixtral": {
        "self_attn.o_proj": "output residual_out", "block_sparse_moe.gate": "router", "block_sparse_moe.experts.1.w1": "gate",
        "block_sparse_moe.experts.1.w2": "down residual_out", "block_sparse_moe.experts.1.w3": "up",
    },
    "neox": {"attention.dense": "output residual_out", "mlp.dense_h_to_4h": "up", "mlp.dense_4h_to_h": "down residual_out"},
    "timm": {"attn.proj": "output residual_out", "mlp.fc1": "up", "mlp.fc2": "down residual_out"},
    "olmo": {"attn_out": "output residual_out", "ff_out": "down residual_out"},
}  # fmt: skip


class Traced(nn.Module):
    """Two residual branches whose names say nothing; only the forward pass tells what ends what."""

    def __init__(self, names: Iterable[str], order: tuple[int, ...] = (0, 1, 2, 3)) -> None:
        super().__init__()
        self.words = tuple(names)
        for i in order:
            setattr(self, self.words[i], nn.Linear(D, D))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a, b, c, d = (getattr(self, word) for word in self.words)
        x = x + b(a(x).relu())
        return x + d(c(x).tanh())  # type: ignore[no-any-return]


class Secret(Traced):
    """The same, with a forward that no trace can follow: it looks at values."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) if float(x.sum()) > 0 else x
