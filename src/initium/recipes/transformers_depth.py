"""Transformers whose start depends on depth: DeepNorm, SubLN, T-Fixup, small and Wang, GPT-2's and torchtitan's residual scale."""

from __future__ import annotations

from .._errors import ArgumentError, nearest
from .._recipe import Recipe, named
from .._rules import Rule
from ..initializers import Mimetic, Normal, XavierNormal, XavierUniform
from ._over import DECODER, ENCODER, over
from .general import general

KINDS = ("one stack", "encoder-decoder")
_SCALED = ("output", "gate", "up", "down", "residual_out")


def _checked(kind: str) -> bool:
    if kind not in KINDS:
        raise ArgumentError(f"kind {kind!r} not supported.{nearest(str(kind), KINDS)} Please use one of {', '.join(KINDS)}")
    return kind == "encoder-decoder"


def _scaled(where: str | None, gain: str, initializer: type[XavierNormal]) -> list[Rule]:
    """Value, output and feed-forward weights by a gain; query and key by 1, also where all three are packed in one tensor."""
    return [
        Rule(where, initializer(gain), role="value"),
        Rule(where, initializer(gain), role=_SCALED),
        Rule(where, initializer(), role=("query", "key"), optional=True),
        Rule(where, initializer(gain), role="value", gates="v", optional=True),
    ]


@named("deepnorm")
def deepnorm(kind: str = "one stack") -> Recipe:
    """Xavier with a gain β < 1 on v, out and feed-forward weights.

    One stack of N layers: α = (2N)^¼, β = (8N)^−¼. Encoder of N with decoder of M: α = .81 (N⁴ M)^(1/16) and β = .87 (N⁴ M)^(−1/16) in the
    encoder, α = (3M)^¼ and β = (12M)^−¼ in the decoder. q and k have gain 1. The α is the model's: this recipe cannot set it.

    Use when: post-norm transformers with LN(α x + f(x)), to 1,000 layers.
    Not when: pre-norm, or the model has no α: β alone makes every branch too quiet.

    Args:
        kind: ``"one stack"`` or ``"encoder-decoder"``.

    Raises:
        RuleError: no v, output or feed-forward weights could be found: say them by ``roles=``.

    Example:
        >>> net = nn.TransformerEncoder(nn.TransformerEncoderLayer(64, 4, 256), 8, enable_nested_tensor=False)
        >>> round(initium.plan(net, "deepnorm", seed=0)["layers.0.linear1.weight"].std / (2 / 320) ** 0.5, 9)  # (8 · 8)^−¼
        0.353553391

    Source: Wang et al. 2022 (2203.00555), figure 2 and table 1. torchscale differs: it divides by X / 1.15, which is not × .87, and q, k, v
    start from a gain of 1 / √2 there, so its v has β / √2.
    """
    if _checked(kind):
        return over(
            general(XavierNormal()),
            *_scaled(ENCODER, "0.87 * (encoder_depth ** 4 * decoder_depth) ** (-1 / 16)", XavierNormal),
            *_scaled(DECODER, "(12 * decoder_depth) ** (-1 / 4)", XavierNormal),
        )
    return over(general(XavierNormal()), *_scaled(None, "(8 * depth) ** (-1 / 4)", XavierNormal))


@named("subln", "magneto")
def subln(kind: str = "one stack") -> Recipe:
    """Xavier with a gain γ > 1 on v, out and feed-forward weights, for blocks with a norm before each of their maps.

    One stack of N layers: γ = √log(2 N). Encoder of N with decoder of M: γ = √(log(3 M) log(2 N) / 3) in the encoder, √log(3 M) in the decoder,
    whose cross attention keeps gain 1. q and k have gain 1.

    Use when: transformers with sub-layer norms: one at the entry of each branch, and one before its last map.
    Not when: the second norm is missing: the gain then makes every branch louder.

    Args:
        kind: ``"one stack"`` or ``"encoder-decoder"``.

    Raises:
        RuleError: no v, output or feed-forward weights could be found: say them by ``roles=``.

    Example:
        >>> net = nn.TransformerEncoder(nn.TransformerEncoderLayer(64, 4, 256), 8, enable_nested_tensor=False)
        >>> round(initium.plan(net, "subln", seed=0)["layers.0.linear1.weight"].std / (2 / 320) ** 0.5, 6)  # √log 16
        1.665109

    Source: Wang et al. 2022 (2210.06423), figure 2; microsoft/torchscale, architecture/encoder.py and decoder.py, whose base is torch's and
    fairseq's start rather than Xavier.
    """
    if _checked(kind):
        crossed = r"re:(.*\.)?decoder\..*(encoder_attn|cross_attn|multihead_attn|EncDecAttention)\..*"
        return over(
            general(XavierNormal()),
            *_scaled(ENCODER, "sqrt(log(3 * decoder_depth) * log(2 * encoder_depth) / 3)", XavierNormal),
            *_scaled(DECODER, "sqrt(log(3 * decoder_depth))", XavierNormal),
            Rule(crossed, XavierNormal(), role="weight", optional=True),
        )
    return over(general(XavierNormal()), *_scaled(None, "sqrt(log(2 * depth))", XavierNormal))


@named("t-fixup")
def t_fixup(kind: str = "encoder-decoder") -> Recipe:
    """Transformers without layer norm and without warm-up: Xavier, with small v, out, feed-forward and embeddings.

    Encoder of N layers: v, out, fc1, fc2 × .67 N^−¼; decoder of M (self and cross attention): × (9M)^−¼; embeddings
    N(0, d^−1) × (9N)^−¼ (that is std d^−½ (9N)^−¼). With one stack, the decoder's rule holds for all, N = M = its depth.

    Use when: transformers without layer norm are to train without warm-up.
    Not when: the model has layer norms: leave them out, or use ``deepnorm``.

    Args:
        kind: ``"encoder-decoder"`` or ``"one stack"`` (decoder only).

    Example:
        >>> net = nn.Transformer(64, 4, 6, 6, 256, batch_first=True)
        >>> plan = initium.plan(net, "t-fixup", seed=0)
        >>> [round(plan[f"{part}.layers.0.linear1.weight"].std / (2 / 320) ** 0.5, 6) for part in ("encoder", "decoder")]
        [0.428092, 0.368894]

    Source: Huang et al. 2020 (ICML) and layer6ai-labs/T-Fixup. Trap: fairseq starts v from a gain of 1 / √2, so their code multiplies it by
    √2 first; here the gain is said, and that cancels. The model must leave out its layer norms; the factor √d on embeddings stays.
    """
    general_rules = general(XavierUniform())
    if _checked(kind):
        return over(
            general_rules,
            Rule(role="embedding", initializer=Normal("fan_out ** (-1 / 2) * (9 * encoder_depth) ** (-1 / 4)"), optional=True),
            *_scaled(ENCODER, "0.67 * encoder_depth ** (-1 / 4)", XavierUniform),
            *_scaled(DECODER, "(9 * decoder_depth) ** (-1 / 4)", XavierUniform),
        )
    return over(
        general_rules,
        Rule(role="embedding", initializer=Normal("fan_out ** (-1 / 2) * (9 * depth) ** (-1 / 4)"), optional=True),
        *_scaled(None, "(9 * depth) ** (-1 / 4)", XavierUniform),
    )


def _everywhere(std: float | str, *rules: Rule, **knobs: float | None) -> Recipe:
    return over(general(Normal(std)), Rule(role="embedding", initializer=Normal(std), optional=True), *rules, **knobs)


@named("small")
def small(width: float | None = None) -> Recipe:
    """Weights and embeddings N(0, 2 / (5 d)), d the model's width.

    Use when: pre-norm transformers are to train without warm-up.
    Not when: post-norm and deep: ``deepnorm``.

    Args:
        width: d; None reads it from the config or the embedding.

    Example:
        >>> round(initium.plan(nn.Linear(768, 768), initium.recipe("small", width=768), seed=0)["weight"].std, 6)
        0.022822

    Source: Nguyen & Salazar 2019 (1910.05895); GPT-NeoX ``small_init``.
    """
    return _everywhere("sqrt(2 / (5 * width))", width=width)


@named("wang", "gpt-j", "gpt-neox")
def wang(width: float | None = None, depth: float | None = None) -> Recipe:
    """Small init, and std 2 / (L √d) on the weights that end residual branches.

    Use when: deep pre-norm language models, as GPT-J and GPT-NeoX.
    Not when: no residual ends can be found: say them by ``roles=``.

    Args:
        width: d; None reads it from the config or the embedding.
        depth: L; None reads it from the model.

    Example:
        >>> net = nn.TransformerEncoder(nn.TransformerEncoderLayer(64, 4, 256), 8, enable_nested_tensor=False)
        >>> plan = initium.plan(net, initium.recipe("wang", width=768, depth=12), seed=0)
        >>> round(plan["layers.0.linear2.weight"].std, 6)
        0.006014

    Source: Wang & Komatsuzaki 2021 (GPT-J); GPT-NeoX ``wang_init``, used there for attention and MLP outputs.
    """
    ends = Rule(role="residual_out", initializer=Normal("2 / (depth * sqrt(width))"))
    return _everywhere("sqrt(2 / (5 * width))", ends, width=width, depth=depth)


@named("gpt2-residual")
def gpt2_residual(std: float = 0.02, depth: float | None = None) -> Recipe:
    """Weights and embeddings N(0, std²), ends of residual branches std / √(2 L).

    The variance of a pre-norm stream then does not grow with depth; without the factor it grows 2 L times as much.

    Use when: pre-norm decoders of your own; ``gpt2`` and ``nanogpt`` are the recipes of these two models.
    Not when: post-norm: ``deepnorm``.

    Args:
        std: everywhere else.
        depth: L, the number of layers with two branches each; None reads it from the model.

    Example:
        >>> net = nn.TransformerEncoder(nn.TransformerEncoderLayer(64, 4, 256), 8, enable_nested_tensor=False)
        >>> initium.plan(net, "gpt2-residual", seed=0)["layers.0.self_attn.out_proj.weight"].std
        0.005

    Source: Radford et al. 2019, section 2.3. The ends are found by role and full name: transformers once matched a name that never
    occurred, and scaled nothing.
    """
    return _everywhere(std, Rule(role="residual_out", initializer=Normal(f"{std!r} / sqrt(2 * depth)")), depth=depth)


@named("depth-scaled")
def depth_scaled(std: float = 0.02) -> Recipe:
    """Weights and embeddings N(0, std²), ends of residual branches std / √(2 (l + 1)), l the layer's index from 0.

    Use when: pre-norm decoders in which later layers are to start more quietly.
    Not when: all layers are to be alike: ``gpt2-residual`` counts by the depth L instead.

    Args:
        std: everywhere else, and of the ends before the factor.

    Example:
        >>> net = nn.TransformerEncoder(nn.TransformerEncoderLayer(64, 4, 256), 8, enable_nested_tensor=False)
        >>> plan = initium.plan(net, "depth-scaled", seed=0)
        >>> [round(plan[f"layers.{l}.linear2.weight"].std, 9) for l in (0, 7)]
        [0.014142136, 0.005]

    Source: torchtitan's llama3 (depth_init) and OLMo's mitchell, both with l + 1.
    """
    return _everywhere(std, Rule(role="residual_out", initializer=Normal(f"{std!r} / sqrt(2 * (layer + 1))")))


@named("ds-init")
def ds_init(alpha: float = 1.0, official: bool = False) -> Recipe:
    """Every map of layer l U(±α γ / √l), l from 1, γ = √(6 / (fan_in + fan_out)); everything else Xavier uniform, biases 0.

    Use when: post-norm transformers of 12 layers and more are to train without DeepNorm's α.
    Not when: pre-norm, whose gradients do not vanish there: ``gpt2-residual``.

    Args:
        alpha: in [0, 1], a factor on the layers' weights.
        official: α γ / l^¼, as the authors' code has it.

    Raises:
        RuleError: no weights of a transformer's layers could be found: say them by ``roles=``.

    Example:
        >>> net = nn.TransformerEncoder(nn.TransformerEncoderLayer(64, 4, 256), 4, enable_nested_tensor=False)
        >>> plan = initium.plan(net, "ds-init", seed=0)
        >>> round(plan["layers.0.linear1.weight"].std / plan["layers.3.linear1.weight"].std, 9)
        2.0

    Source: Zhang, Titov & Sennrich 2019 (1908.11365), DS-Init. bzhangGo/zero, models/transformer_fuse.py, hands α / √l to TensorFlow's
    ``variance_scaling_initializer`` as its scale, which is one of the *variance*: its bound has l^¼, the paper's √l.
    """
    if not 0 < alpha <= 1:
        raise ArgumentError(f"ds-init expects 0 < alpha <= 1, got alpha={alpha}")
    gain = f"sqrt({alpha!r} / sqrt(layer + 1))" if official else f"{alpha!r} / sqrt(layer + 1)"
    inside = ("query", "key", "value", "output", "gate", "up", "down", "branch", "residual_out", "router")
    return over(general(XavierUniform()), Rule(role=inside, initializer=XavierUniform(gain)))


@named("mimetic")
def mimetic(base: str = "timm-vit") -> Recipe:
    """Attention as trained attention looks: W_qᵀ W_k of each head ≈ .7 Z + .7 I, W_vᵀ W_oᵀ = .4 Z − .4 I, everything else by the base.

    Use when: small vision transformers learn from little data; with sinusoidal positions.
    Not when: keys and values are shared between queries, or the width of the attention is not that of the stream.

    Args:
        base: recipe for everything else.

    Raises:
        RuleError: no queries, keys, values and outputs could be found, or nobody counts the heads.

    Example:
        >>> net = nn.ModuleList([nn.MultiheadAttention(64, 4)])
        >>> _ = initium.initialize(net, "mimetic", seed=0)
        >>> q, k, v = net[0].in_proj_weight.detach().chunk(3)
        >>> (v.T @ net[0].out_proj.weight.detach().T).diagonal().mean().item() < -0.3
        True

    Source: Trockman & Kolter 2023 (2305.09828), ``initium.Mimetic`` for the factors.
    """
    ends = [Rule(role=part, initializer=Mimetic(part)) for part in ("query", "key", "value", "output")]
    zero = Rule(role=tuple(f"{part}_bias" for part in ("query", "key", "value", "output")), initializer=0, optional=True)
    return over(base, *ends, zero)
