"""Code bases that train language models: nanoGPT, nanochat, torchtitan, Megatron, OLMo, OLMo-core, MPT. None of them can be a dependency,
so the tests have their numbers by hand, on models written out the way these write theirs."""

from __future__ import annotations

from .._errors import ArgumentError, nearest
from .._inventory import Slot
from .._recipe import Recipe, named
from .._rules import Rule
from ..initializers import Initializer, Normal, Ramp, Uniform
from ._models import cut, cut3, everything


def _with_depth(recipe: Recipe, depth: float | None) -> Recipe:
    return recipe if depth is None else Recipe(recipe.rules, knobs={"depth": depth})


@named("nanogpt")
def nanogpt(std: float = 0.02, depth: float | None = None) -> Recipe:
    """Linear layers and embeddings N(0, 0.02²), every ``c_proj`` 0.02 / √(2 L), biases 0, norms 1 and 0; the head is tied to the embedding.

    Use when: training a GPT the way nanoGPT does.
    Not when: the model is deep enough for its layers to differ: ``torchtitan-llama3``.

    Args:
        std: everywhere else.
        depth: L; None reads it from the model.

    Raises:
        RuleError: no residual end could be found: say them by ``roles=``.

    Example:
        >>> net = nn.TransformerEncoder(nn.TransformerEncoderLayer(64, 4, 256), 2, enable_nested_tensor=False)
        >>> initium.plan(net, "nanogpt", seed=0)["layers.0.self_attn.out_proj.weight"].std
        0.01

    Source: karpathy/nanoGPT, model.py, ``GPT._init_weights`` and ``GPT.__init__``.
    """
    ends = Rule(role="residual_out", initializer=Normal(f"{std!r} / sqrt(2 * depth)"))
    return _with_depth(everything(Normal(std), Normal(std), ends), depth)


@named("torchtitan-llama3", "torchtitan", "torchtitan-deepseek-v3")
def torchtitan_llama3() -> Recipe:
    """Embeddings N(0, 1), q, k, v and gate N(0, 0.02²), o, up and down 0.02 / √(2 (l + 1)), the head N(0, 1 / d) cut at ±3 σ, norms 1.

    l is the layer's index from 0. Of the feed-forward net w1 is the gate, w3 up, w2 down: w2 *and* w3 are scaled, and those of every expert,
    and the routers.

    Use when: training Llama 3 or a mixture of experts with gated feed-forward nets, pre-norm.
    Not when: the feed-forward net has no gate: its first layer counts as "up" and would be scaled.

    Raises:
        RuleError: no residual end could be found: say them by ``roles=``.

    Example:
        >>> class FeedForward(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.w1, self.w3, self.w2 = nn.Linear(64, 96), nn.Linear(64, 96), nn.Linear(96, 64)
        >>> class Block(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.feed_forward = FeedForward()
        >>> plan = initium.plan(nn.ModuleList([Block() for _ in range(8)]), "torchtitan-llama3", seed=0)
        >>> [plan[f"{layer}.feed_forward.{w}.weight"].std for layer, w in ((7, "w1"), (7, "w2"), (7, "w3"))]
        [0.02, 0.005, 0.005]

    Source: pytorch/torchtitan, models/llama3, models/deepseek_v3 and models/common, with depth_init=True. The normals are trunc_normal_, cut
    at the absolute ±2, the head's at ±3 of its std, whose std is then 0.98657839 / √d. (llama2.c scales w3 instead of w2.)
    """
    scaled = cut("0.02 / sqrt(2 * (layer + 1))")
    return everything(
        cut(0.02),
        Normal(1.0),
        Rule(role="residual_out", initializer=scaled),
        Rule(role="up", initializer=scaled, optional=True),
        Rule(role="up", initializer=cut(0.02), gates=("gate", "up"), optional=True),
        Rule(role="up", initializer=scaled, gates=("up",), optional=True),
        Rule(role="router", initializer=scaled, optional=True),
        Rule(role="head", initializer=cut3("1 / sqrt(fan_in)"), optional=True),
    )


@named("torchtitan-qwen3")
def torchtitan_qwen3(mixture: bool = False, depth: float | None = None) -> Recipe:
    """Weights, embeddings and head N(0, 0.02²), biases 0, norms 1; in a mixture of experts, residual ends 0.02 / √(2 L).

    Use when: training Qwen3 as torchtitan 0.3.0 does.
    Not when: as torchtitan did before: its older Qwen3 started as its Llama 3, ``torchtitan-llama3``.

    Args:
        mixture: the network has experts: what ends a branch, their w2 and the attention's wo, is divided by √(2 L).
        depth: L; None reads it from the model.

    Raises:
        RuleError: mixture=True, and no residual end could be found: say them by ``roles=``.

    Example:
        >>> net = nn.TransformerEncoder(nn.TransformerEncoderLayer(64, 4, 256), 8, enable_nested_tensor=False)
        >>> [initium.plan(net, initium.recipe("torchtitan-qwen3", mixture=m), seed=0)["layers.0.linear2.weight"].std for m in (False, True)]
        [0.02, 0.005]

    Source: pytorch/torchtitan 0.3.0, models/qwen3/__init__.py: its dense layers have ``_LINEAR_INIT`` everywhere, only those with experts
    Megatron's scale at the ends. Of tied tables the head is the one that is drawn, by the same law.
    """
    ends = [Rule(role="residual_out", initializer=Normal("0.02 / sqrt(2 * depth)"))] if mixture else []
    return _with_depth(everything(Normal(0.02), Normal(0.02), *ends), depth)


@named("megatron")
def megatron(std: float = 0.02, embedding_std: float | None = None, depth: float | None = None) -> Recipe:
    """Weights N(0, 0.02²), attention output and second feed-forward layer 0.02 / √(2 L), embeddings as weights, biases 0, norms reset.

    A tensor-parallel shard is the slice of the whole weight, as Megatron means it.

    Use when: training transformers as Megatron-LM and Megatron-core do.
    Not when: hybrid stacks with one branch a layer, which Megatron divides by √L: say depth = L / 2.

    Args:
        std: init_method_std.
        embedding_std: embedding_init_method_std; None is ``std``.
        depth: L; None reads it from the model.

    Raises:
        RuleError: no residual end could be found: say them by ``roles=``.

    Example:
        >>> net = nn.TransformerEncoder(nn.TransformerEncoderLayer(64, 4, 256), 8, enable_nested_tensor=False)
        >>> initium.plan(net, initium.recipe("megatron", std=0.01), seed=0)["layers.7.linear2.weight"].std
        0.0025

    Source: NVIDIA/Megatron-LM, megatron/core/utils.py, ``init_method_normal`` and ``scaled_init_method_normal``; Shoeybi et al. 2019 (1909.08053).
    """
    ends = Rule(role="residual_out", initializer=Normal(f"{std!r} / sqrt(2 * depth)"))
    return _with_depth(everything(Normal(std), Normal(std if embedding_std is None else embedding_std), ends), depth)


@named("olmo-mitchell", "mitchell")
def olmo_mitchell(embedding_std: float | None = None) -> Recipe:
    """Every map and embedding N(0, 1 / d) cut at ±3 σ, what ends a residual branch 1 / √(2 · fan_in · (l + 1)), biases 0, norms 1.

    d is the width: the fan_in of q, k, v, the first feed-forward layer and the head. l is the layer's index from 0.

    Use when: training deep pre-norm language models as OLMo does: later layers write less into the stream.
    Not when: embeddings are tied to the head and scaled by √d in the forward pass.

    Args:
        embedding_std: emb_init_std; None is d^−½.

    Raises:
        RuleError: no residual end could be found: say them by ``roles=``.

    Example:
        >>> net = nn.TransformerEncoder(nn.TransformerEncoderLayer(64, 4, 256), 8, enable_nested_tensor=False)
        >>> plan = initium.plan(net, "olmo-mitchell", seed=0)
        >>> [round(plan[f"layers.{l}.linear2.weight"].std / 0.9865783925581086, 9) for l in (0, 7)]
        [0.044194174, 0.015625]

    Source: allenai/OLMo, olmo/model.py, ``init_weights`` with init_fn="mitchell". A normal cut at ±3 σ has 0.98657839 of that std.
    """
    embedding: Initializer = cut3("1 / sqrt(fan_out)" if embedding_std is None else embedding_std)
    ends = Rule(role="residual_out", initializer=cut3("1 / sqrt(2 * fan_in * (layer + 1))"))
    return everything(cut3("1 / sqrt(fan_in)"), embedding, ends)


@named("olmo-normal")
def olmo_normal(std: float = 0.02, cutoff: bool = False) -> Recipe:
    """Weights and embeddings N(0, 0.02²), residual ends included, biases 0, norms 1.

    Use when: training OLMo 1 with init_fn="normal", or OLMo 2.
    Not when: the stack is deep and no norm stands at the end of its branches: ``olmo-mitchell``.

    Args:
        std: init_std.
        cutoff: cut the normal at ±3 std (init_cutoff_factor=3), whose own std is then 0.98657839 std.

    Example:
        >>> initium.plan(nn.Linear(64, 256, bias=False), "olmo-normal", seed=0)["weight"].std
        0.02

    Source: allenai/OLMo, olmo/model.py, ``init_weights`` with init_fn="normal".
    """
    law: Initializer = cut3(std) if cutoff else Normal(std)
    return everything(law, law)


_ROUTER = "**router.weight"  # OLMo-core keeps it flattened, in one dimension
_OLMO_CORE = ("llama", "llama-depth", "normalized", "normal")


@named("olmo-core")
def olmo_core(kind: str = "llama", std: float = 0.02, depth: float | None = None) -> Recipe:
    """Embeddings N(0, 1), q, k, v and gate N(0, 0.02²), attention output, up and down 0.02 / √(2 L), the head N(0, 1 / d), all cut at ±3 σ.

    The embeddings are a whole normal. Of a mixture of experts every matrix, the gate too, and the router have 0.02 / √(2 L). Biases 0, norms 1.

    Use when: training OLMo 2 or 3, or another pre-norm decoder, as OLMo-core does.
    Not when: the model is OLMo 1: ``olmo-mitchell``, ``olmo-normal``.

    Args:
        kind: ``"llama"``; ``"llama-depth"``, √(2 (l + 1)) in place of √(2 L), l from 0; ``"normalized"``, nGPT's: d^−½ everywhere, attention
            output and down over √(2 L); ``"normal"``: 0.02 everywhere.
        std: init_std.
        depth: L; None reads it from the model.

    Raises:
        RuleError: no residual end could be found: say them by ``roles=``.

    Example:
        >>> net = nn.TransformerEncoder(nn.TransformerEncoderLayer(64, 4, 256), 8, enable_nested_tensor=False)
        >>> plan = initium.plan(net, "olmo-core", seed=0)
        >>> round(plan["layers.0.self_attn.out_proj.weight"].std / 0.9865783925581086, 9)
        0.005

    Source: allenai/OLMo-core, nn/transformer/init.py, ``InitMethod``. A normal cut at ±3 σ has 0.98657839 of that std.
    """
    if kind not in _OLMO_CORE:
        raise ArgumentError(
            f"kind {kind!r} not supported.{nearest(str(kind), _OLMO_CORE)} Please use one of {', '.join(_OLMO_CORE)}"
        )
    if kind == "normal":
        return _with_depth(everything(cut3(std), cut3(std)), depth)
    head = Rule(role="head", initializer=cut3("1 / sqrt(fan_in)"), optional=True)
    if kind == "normalized":
        ends = Rule(role="residual_out", initializer=cut3("1 / sqrt(width) / sqrt(2 * depth)"))
        mixture = [Rule(role=role, initializer=cut3(std), test=_of_experts, optional=True) for role in ("gate", "up", "down")]
        router = Rule(_ROUTER, cut3(std), optional=True)
        return _with_depth(
            everything(cut3("1 / sqrt(width)"), Normal("1 / sqrt(fan_out)"), ends, *mixture, router, head), depth
        )
    scaled = cut3(f"{std!r} / sqrt(2 * {'depth' if kind == 'llama' else '(layer + 1)'})")
    rules = [
        Rule(role="residual_out", initializer=scaled),
        Rule(role="up", initializer=scaled, optional=True),
        Rule(_ROUTER, scaled, optional=True),
        Rule(role="up", initializer=cut3(std), gates=("gate", "up"), optional=True),
        Rule(role="up", initializer=scaled, gates=("up",), optional=True),
        Rule(role="gate", initializer=scaled, test=_of_experts, optional=True),
        head,
    ]
    return _with_depth(everything(cut3(std), Normal(1.0), *rules), depth)


def _of_experts(slot: Slot) -> bool:
    return "expert" in slot.name.lower()


@named("nanochat")
def nanochat() -> Recipe:
    """Embeddings N(0, 0.8²), the head N(0, 0.001²), q, k, v and value embeddings U(±√3 / √d), c_fc 0.4 of that, every c_proj 0.

    The scalars of the layers: resid_lambdas from 1.15 to 1.05, x0_lambdas from 0.2 to 0.05, smear 0, backout 0.2; gates U(0, 0.02).

    Use when: training a GPT the way nanochat does: with norms on queries and keys, relu², and embeddings that are normalised.
    Not when: embeddings are not normalised after the table: a std of 0.8 is then forty times GPT-2's.

    Raises:
        RuleError: no residual end could be found.

    Example:
        >>> class MLP(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.c_fc, self.c_proj = nn.Linear(64, 256, bias=False), nn.Linear(256, 64, bias=False)
        >>> class Block(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.mlp = MLP()
        >>> plan = initium.plan(nn.ModuleList([Block(), Block()]), "nanochat", seed=0)
        >>> round(plan["0.mlp.c_fc.weight"].std, 9), plan["0.mlp.c_proj.weight"].std
        (0.05, 0.0)

    Source: karpathy/nanochat, nanochat/gpt.py, ``GPT.init_weights``, as of November 2026; its docstring says 1.0 for the embeddings, its code
    0.8. The repository changes from week to week: compare with yours.
    """
    bound = "sqrt(3) / sqrt(fan_in)"
    table = "sqrt(3) / sqrt(width)"
    return everything(
        Uniform(f"-{bound}", bound),
        Normal(0.8),
        Rule("**value_embeds.**", Uniform(f"-{table}", table), role="embedding", optional=True),
        Rule(role="up", initializer=Uniform(f"-0.4 * {bound}", f"0.4 * {bound}"), optional=True),
        Rule(role="residual_out", initializer=0),
        Rule("**_gate.weight", Uniform(0, 0.02), optional=True),
        Rule("**.resid_lambdas", Ramp(start=1.15, stop=1.05), optional=True),
        Rule("**.x0_lambdas", Ramp(start=0.2, stop=0.05), optional=True),
        Rule("**.smear_lambda", 0, optional=True),
        Rule("**.backout_lambda", 0.2, optional=True),
        Rule(role="head", initializer=Normal(0.001), optional=True),
    )


@named("mpt", "llm-foundry")
def mpt(depth: float | None = None) -> Recipe:
    """Weights N(0, 2 / fan_in), q, k and v each for itself, residual ends over √(2 L), embeddings N(0, 2 / d), biases 0, norms 1.

    Use when: training MPT as LLM Foundry does by default (kaiming_normal_).
    Not when: its xavier_normal_ or xavier_uniform_ is meant: there init_gain is 0 unless said, which makes every weight 0.

    Args:
        depth: L; None reads it from the model.

    Raises:
        RuleError: no residual end could be found: say them by ``roles=``.

    Example:
        >>> net = nn.TransformerEncoder(nn.TransformerEncoderLayer(50, 5, 200), 8, enable_nested_tensor=False)
        >>> plan = initium.plan(net, "mpt", seed=0)
        >>> plan["layers.0.linear1.weight"].std, plan["layers.0.self_attn.out_proj.weight"].std
        (0.2, 0.05)

    Source: mosaicml/llm-foundry, models/utils/param_init_fns.py, ``kaiming_normal_param_init_fn_`` and ``generic_param_init_fn_``; its neox_init_
    is ``wang``.
    """
    ends = Rule(role="residual_out", initializer=Normal("sqrt(2 / fan_in) / sqrt(2 * depth)"))
    return _with_depth(everything(Normal("sqrt(2 / fan_in)"), Normal("sqrt(2 / fan_out)"), ends), depth)
