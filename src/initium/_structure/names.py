"""Roles by the names that known families give to their classes and children; where no name is known nothing is said."""

from __future__ import annotations

import re
from typing import NamedTuple

from torch import Tensor, nn

from .._inventory import Slot

_BLOCK = re.compile(
    r"(Block|Layer|Bottleneck|BottleNeck|DecoderLayer|EncoderLayer|BasicBlock|InvertedResidual|SeparableConv|MBConv|BlockClassAttn)(V?\d+d?)?$|^DiTBlock"
)
_NOT_A_BLOCK = re.compile(r"(Conv|Norm|Embed\w*|Pool\w*|Dense|Linear|Position\w*)Layer$|^_DenseLayer$|MLPBlock|MlpBlock")
_ATTENTION = re.compile(r"Attention|Attn|^MultiHead|^SelfOutput")
_MIXER = re.compile(r"Mixer$|^Mamba\d?$|ShortConv$|DeltaNet$|RecurrentBlock$|LinearAttention$")
_FEED_FORWARD = re.compile(
    r"MLP|Mlp|FeedForward|Feedforward|FeedFoward|FFN|DenseReluDense|DenseActDense|DenseGatedActDense|SwiGLU|GEGLU|Expert|(?<!C)MoE|Moe"
)
_ATTENTION_CHILD = re.compile(r"((self|cross|causal|enc_dec|encoder|decoder|multi_?head)_?)?(attn|attention)\d*|mha|mhsa|msa")
_FEED_FORWARD_CHILD = re.compile(r"(mlp|ffn?|feed_?forward|ffwd)\d*")
_MIXTURE = re.compile(r"Mo[eE]|Sparse|Experts?$")
_ROUTER = re.compile(r"Router$|Gate$|Gating$")

_AXES = re.compile(r"_[A-Z]{3}$")  # torchtitan's w1_EFD: experts, hidden, model
_QUERY = {"q", "c_q", "w_q", "W_q", "Wq", "q_proj", "query", "q_lin", "wq", "to_q", "query_proj", "linear_q", "q_proj_weight"}
_KEY = {"k", "c_k", "w_k", "W_k", "Wk", "k_proj", "key", "k_lin", "wk", "to_k", "key_proj", "linear_k", "k_proj_weight"}
_VALUE = {"v", "c_v", "w_v", "W_v", "Wv", "v_proj", "value", "v_lin", "wv", "to_v", "value_proj", "linear_v", "v_proj_weight"}
_OUTPUT = {
    "o",
    "o_proj",
    "out_proj",
    "c_proj",
    "proj",
    "dense",
    "out_lin",
    "wo",
    "Wo",
    "w_o",
    "W_o",
    "w_out",
    "to_out",
    "out",
    "output",
    "linear_out",
    "linear_proj",
    "proj_out",
}
_UP = {
    "fc1",
    "c_fc",
    "up_proj",
    "dense_h_to_4h",
    "wi",
    "wi_1",
    "lin1",
    "linear1",
    "fc_in",
    "weights_in",
    "in_proj",
    "up",
    "linear_fc1",
    "intermediate_dense",
}
_GATE = {"gate_proj", "wi_0", "fc1_g"}
_DOWN = {
    "fc2",
    "c_proj",
    "down_proj",
    "dense_4h_to_h",
    "wo",
    "lin2",
    "linear2",
    "fc_out",
    "weights_out",
    "down",
    "output_linear",
    "linear_fc2",
    "output_dense",
}
_IN_BLOCK = {
    "attn_out": "output",
    "ff_out": "down",
    "ffn": "up",
    "ffn_output": "down",
}  # OLMo's and ALBERT's hold their maps themselves
_ALONE = {
    "o",
    "o_proj",
    "wo",
    "Wo",
    "w_o",
    "W_o",
    "out_proj",
    "to_out",
}  # an attention's output also where it stands in the block itself
_PACKED = {"q": "query", "k": "key", "v": "value", "gate": "gate", "up": "up"}
_HEADS = {
    *(
        "lm_head",
        "head",
        "heads",
        "head_dist",
        "classifier",
        "fc",
        "score",
        "embed_out",
        "output",
        "proj_out",
        "qa_outputs",
        "cls",
    ),
    *("actor", "actor_mean", "critic", "action_net", "value_net", "policy_head", "value_head"),
    *("output_projection", "logits", "vocab_projector", "prediction_head", "classification_head", "predictions", "out_head"),
}


class Named(NamedTuple):
    """The roles of one weight, and whose names said so."""

    roles: tuple[str, ...]
    how: str


class Owner(NamedTuple):
    """Where a tensor stands: the modules above it, outermost first, with their local names."""

    classes: tuple[str, ...]
    names: tuple[str, ...]
    modules: tuple[nn.Module, ...]


def is_block(module: nn.Module) -> bool:
    """Whether its class calls itself a block or a layer of a stack."""
    name = type(module).__name__
    return bool(_BLOCK.search(name)) and not _NOT_A_BLOCK.search(name) and _has_parameters(module)


def is_attention(module: nn.Module, name: str) -> bool:
    """Whether its class, or its owner, calls it attention."""
    return bool(_ATTENTION.search(type(module).__name__) or _ATTENTION_CHILD.fullmatch(name.rpartition(".")[2]))


def _has_parameters(module: nn.Module) -> bool:
    return next(module.parameters(), None) is not None


def roles_of(slot: Slot, owner: Owner, in_block: bool, of_block: bool = False) -> Named | None:
    """What the names say of a weight, or None where they say nothing; ``of_block``: its module is the block's own child."""
    roles: list[str] = (
        [_PACKED[name] for name in slot.layout.block_names if name in _PACKED] if slot.layout.role == "weight" else []
    )
    how = "blocks of the layout" if roles else ""
    said = _by_router(slot, owner) or _by_parent(slot, owner, of_block)
    if said is not None:
        role, parent = said
        if role not in roles:
            roles.append(role)
        how = f"the names of {parent}"
        if in_block and role in ("output", "down"):
            roles.append("residual_out")
    return Named(tuple(roles), how) if roles else None


def _by_router(slot: Slot, owner: Owner) -> tuple[str, str] | None:
    here, above = owner.classes[-1], owner.classes[-2] if len(owner.classes) > 1 else ""
    if _ROUTER.search(here):
        return "router", here
    if owner.names[-1] in ("router", "gate", "gating", "wg") and (_MIXTURE.search(above) or _ROUTER.search(above)):
        return "router", above
    if owner.names[-1] == "layer" and len(owner.names) > 1 and owner.names[-2] == "router":
        return "router", above
    return None


def _by_parent(slot: Slot, owner: Owner, of_block: bool) -> tuple[str, str] | None:
    """(role, class whose names said so): the child's name counts below the class, or the name, that it is known from."""
    names, classes, modules = owner.names, owner.classes, owner.modules
    if slot.local != "weight":  # a parameter of the class itself: experts, MultiheadAttention's q_proj_weight
        role = _in_class(classes[-1], names[-1], slot.local, modules[-1], False)
        return None if role is None else (role, classes[-1])
    parent, child = len(classes) - 2, names[-1]
    if parent < 0:
        return None
    if child.isdigit():  # an element of a Sequential: torchvision's MLP and MLPBlock, diffusers' to_out.0 and net.2
        return _in_sequence(owner, parent)
    role = _in_class(classes[parent], names[parent], child, modules[parent], of_block)
    if role is None and classes[parent] == "ModuleDict" and parent > 0:  # minGPT's mlp = ModuleDict(c_fc=…, c_proj=…)
        role = "down" if child in _DOWN else "up" if child in _UP else None
    return None if role is None else (role, classes[parent])


def _in_class(cls: str, called: str, child: str, module: nn.Module, of_block: bool) -> str | None:
    if re.search(r"(SelfOutput|CrossOutput|AttentionOutput)$", cls) and child in ("dense", "out_proj"):
        return "output"
    if cls.endswith("Intermediate") and child in ("dense", "fc1"):
        return "up"
    if cls.endswith("Output") and child in ("dense", "fc2") and not cls.endswith("ModelOutput"):
        return "down"
    if _ATTENTION.search(cls) or _ATTENTION_CHILD.fullmatch(called):
        return _of_attention(child)
    if _MIXER.search(cls):
        return "output" if child in ("out_proj", "output_proj", "linear_out") else None
    if _FEED_FORWARD.search(cls) or _FEED_FORWARD_CHILD.fullmatch(called):
        return _of_feed_forward(child, module)
    return _of_block(child, module) if of_block or _BLOCK.search(cls) else None


def _of_block(child: str, module: nn.Module) -> str | None:
    """A block that holds its maps itself."""
    if child in _IN_BLOCK:
        return _IN_BLOCK[child]
    if child in ("fc1", "linear1", "fc2", "linear2", "pwconv1", "pwconv2", "lin1", "lin2"):
        return "up" if child.endswith("1") else "down"
    if child in ("gate_proj", "up_proj", "down_proj"):
        return child.removesuffix("_proj")
    if not module._modules.keys() & _QUERY:
        return None
    return "output" if child in _ALONE else None if child in _OUTPUT else _of_attention(child)


def _of_attention(child: str) -> str | None:
    for role, known in (("query", _QUERY), ("key", _KEY), ("value", _VALUE), ("output", _OUTPUT)):
        if child in known:
            return role
    return None


def _of_feed_forward(child: str, module: nn.Module) -> str | None:
    """The numbered names mean by their company: w1, w2, w3 are gate, down, up; w12, w3 are both and down; w1, w2 up and down."""
    held = {_AXES.sub("", name) for name in (*module._modules, *module._parameters)}
    child = _AXES.sub("", child)
    if child in ("w1", "w2", "w3", "v1"):
        if {"w1", "w2", "w3"} <= held or {"w1", "w2", "v1"} <= held:
            return {"w1": "gate", "w2": "down", "w3": "up", "v1": "up"}[child]
        if {"w12", "w3"} <= held:
            return "down" if child == "w3" else None
        return {"w1": "up", "w2": "down"}.get(child)
    for role, known in (("gate", _GATE), ("up", _UP), ("down", _DOWN)):
        if child in known:
            return role
    return None


def _in_sequence(owner: Owner, parent: int) -> tuple[str, str] | None:
    """The first and the last weight of a Sequential that is a feed-forward net by its class or its owner's name for it."""
    module = owner.modules[parent]
    if not isinstance(module, (nn.Sequential, nn.ModuleList)):
        return None
    name, cls = owner.names[parent], owner.classes[parent]
    above = owner.classes[parent - 1] if parent else ""
    if name == "to_out" and parent and (_ATTENTION.search(above) or _ATTENTION_CHILD.fullmatch(owner.names[parent - 1])):
        return "output", above
    known: object = _FEED_FORWARD.search(cls) or _FEED_FORWARD_CHILD.fullmatch(name)
    owned = _FEED_FORWARD.search(above) or (parent and _FEED_FORWARD_CHILD.fullmatch(owner.names[parent - 1]))
    known = known or (name in ("net", "layers", "seq", "fn", "model") and owned)
    maps = [local for local, child in module._modules.items() if child is not None and holds_weight(child)]
    if not known or len(maps) < 2:
        return None
    said = cls if _FEED_FORWARD.search(cls) else above
    if owner.names[parent + 1] == maps[-1]:
        return "down", said
    return ("up", said) if owner.names[parent + 1] == maps[0] else None


def holds_weight(module: nn.Module) -> bool:
    """Whether it has a weight of two or more dimensions of its own."""
    weight = module._parameters.get("weight")
    return isinstance(weight, Tensor) and weight.dim() >= 2


def calls_itself_head(name: str) -> bool:
    """Whether a component of a full name is what libraries call the last map of a network."""
    return any(part in _HEADS for part in name.split("."))
