"""The networks of transformers, as transformers 5.23 starts them.

Most share one rule: N(0, initializer_range²) for every map and embedding, biases 0, norms reset, no scaling by depth. Those that differ
have a recipe of their own.
"""

from __future__ import annotations

from .._recipe import Recipe, named
from .._rules import Rule
from ..initializers import DtBias, LogRange, Normal, Sinusoids
from ._models import TORCH_BOUND, everything, mamba_like, plain
from ._over import over


@named("bert")
def bert(std: float = 0.02) -> Recipe:
    """Weights and embeddings N(0, 0.02²), padding row and biases 0, norms 1 and 0.

    Use when: training BERT, RoBERTa or ELECTRA from scratch as transformers does.
    Not when: the stack is deep and pre-norm: scale the residual ends, ``gpt2``.

    Args:
        std: the configuration's initializer_range.

    Example:
        >>> initium.plan(nn.Embedding(100, 64), "bert", seed=0)["weight"].std
        0.02

    Source: transformers, modeling_utils.py, ``_init_weights``; Devlin et al. 2018 (1810.04805), where the normal is cut at ±2 σ.
    """
    return plain(std)


@named("llama")
def llama(std: float = 0.02) -> Recipe:
    """Weights and embeddings N(0, 0.02²), biases 0, norms reset (1; Gemma's, which are stored less 1, 0); no scaling by depth.

    Use when: training Llama, Mistral, Qwen, OLMo 2, Gemma or GPT-NeoX from scratch as transformers does.
    Not when: you want what the models themselves were trained from: ``torchtitan-llama3``, ``olmo-mitchell``, ``megatron``.

    Args:
        std: the configuration's initializer_range.

    Example:
        >>> initium.plan(nn.Linear(64, 256, bias=False), "llama", seed=0)["weight"].std
        0.02

    Source: transformers, modeling_utils.py, ``_init_weights``.
    """
    return plain(std)


@named("gpt2")
def gpt2(std: float = 0.02, depth: float | None = None) -> Recipe:
    """Weights and embeddings N(0, 0.02²), what ends a residual branch 0.02 / √(2 L), biases 0, norms 1 and 0.

    Use when: training GPT-2 or another pre-norm decoder: the variance of the stream then does not grow with depth.
    Not when: post-norm (``deepnorm``); very deep (``torchtitan-llama3``, which scales by the layer's index).

    Args:
        std: the configuration's initializer_range.
        depth: L, layers of two branches each; None reads it from the model.

    Raises:
        RuleError: no residual end could be found: say them by ``roles=``.

    Example:
        >>> net = nn.TransformerEncoder(nn.TransformerEncoderLayer(64, 4, 256), 8, enable_nested_tensor=False)
        >>> plan = initium.plan(net, "gpt2", seed=0)
        >>> plan["layers.0.linear1.weight"].std, plan["layers.0.linear2.weight"].std
        (0.02, 0.005)

    Source: transformers, modeling_gpt2.py; Radford et al. 2019, section 2.3. Before 5.23 transformers matched a name that never occurred
    and scaled nothing (issue 47458). OpenAI's TensorFlow code has 0.01 for positions; transformers has 0.02 there, and so has this.
    """
    ends = Rule(role="residual_out", initializer=Normal(f"{std!r} / sqrt(2 * depth)"))
    recipe = plain(std, ends)
    return recipe if depth is None else Recipe(recipe.rules, knobs={"depth": depth})


@named("t5")
def t5(factor: float = 1.0) -> Recipe:
    """q N(0, 1 / (d · d_kv)), all other maps N(0, 1 / fan_in), embeddings N(0, 1), tables of relative positions N(0, 1 / d), norms 1.

    T5's attention does not divide by √d_kv, so its q starts smaller by that factor.

    Use when: training T5 or another encoder-decoder whose attention has no scale of its own.
    Not when: the attention divides by √d_kv: q would be scaled twice.

    Args:
        factor: the configuration's initializer_factor, on every std and on the norms.

    Raises:
        RuleError: no query was found, or nobody counts the attention heads.

    Example:
        >>> class SelfAttention(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.n_heads, self.q, self.k, self.v, self.o = 4, *(nn.Linear(64, 64, bias=False) for _ in range(4))
        >>> plan = initium.plan(nn.ModuleDict({"attention": SelfAttention()}), "t5", seed=0)
        >>> plan["attention.q.weight"].std, plan["attention.k.weight"].std
        (0.03125, 0.125)

    Source: transformers, modeling_t5.py, ``T5PreTrainedModel._init_weights``; Raffel et al. 2019 (1910.10683), Mesh TensorFlow.
    """
    f = f"{factor!r}"
    small = Normal(f"{f} / sqrt(fan_in * fan_out / heads)")
    return everything(
        Normal(f"{f} / sqrt(fan_in)"),
        Normal(factor),
        Rule(role="norm", initializer=factor, optional=True),
        Rule(role="query", initializer=small),
        Rule(
            role=("key", "value"), initializer=Normal(f"{f} / sqrt(fan_in)"), optional=True
        ),  # also where they are packed with q
        Rule(role="query", initializer=small, gates="q", optional=True),
        Rule("**.relative_attention_bias.weight", Normal(f"{f} / sqrt(width)"), optional=True),
        Rule(role="head", initializer=Normal(factor), optional=True),
        Rule("**.{classification_head.**,qa_outputs}", weight=Normal(f"{f} / sqrt(fan_in)"), optional=True),
    )


@named("switch-transformers", "switch")
def switch_transformers(factor: float = 1.0) -> Recipe:
    """T5's start; routers N(0, 1), and of the experts both maps N(0, 1 / d).

    Use when: training Switch Transformer from scratch as transformers does.
    Not when: as the paper says: every map, routers too, is a normal of std √(0.1 / fan_in), cut at ±2 of it. ``initium.VarianceScaling(0.1,
        "fan_in", "truncated_normal")`` by a rule over this is that.

    Args:
        factor: the configuration's initializer_factor, on every std and on the norms.

    Raises:
        RuleError: no query was found, or nobody counts the attention heads.

    Example:
        >>> class Router(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.classifier = nn.Linear(64, 8, bias=False)
        >>> class SelfAttention(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.n_heads, self.q = 4, nn.Linear(64, 64, bias=False)
        >>> plan = initium.plan(nn.ModuleDict({"attention": SelfAttention(), "router": Router()}), "switch-transformers", seed=0)
        >>> plan["router.classifier.weight"].std
        1.0

    Source: transformers, modeling_switch_transformers.py, ``_init_weights``; Fedus et al. 2021 (2101.03961), section 2.4. The second map of an
    expert has the std of the first there, of T5's dense layers its own 1 / √d_ff: both are in the code.
    """
    return over(
        t5(factor),
        Rule("**.router.classifier.weight", Normal(factor), optional=True),
        Rule("**.experts.*.{wi,wo}.weight", Normal(f"{factor!r} / sqrt(width)"), optional=True),
    )


@named("whisper")
def whisper(std: float = 0.02) -> Recipe:
    """Weights and embeddings N(0, 0.02²), biases 0, norms 1 and 0, the encoder's positions sines and cosines.

    Use when: training Whisper or another encoder-decoder of speech as transformers does.
    Not when: the encoder's positions are learned: that table is then drawn, by a rule of yours over this.

    Args:
        std: the configuration's init_std.

    Example:
        >>> initium.plan(nn.Conv1d(80, 32, 3), "whisper", seed=0)["weight"].std
        0.02

    Source: transformers, modeling_whisper.py; openai/whisper, model.py, ``sinusoids``; Radford et al. 2022 (2212.04356).
    """
    return plain(std, Rule("**encoder.embed_positions.weight", Sinusoids(), optional=True))


@named("mamba")
def mamba(
    std: float = 0.1, official: bool = False, rescale: bool = False, dt_min: float = 0.001, dt_max: float = 0.1
) -> Recipe:
    """A = −1 … −N in every channel, D = 1, Δ from 0.001 to 0.1 by the logarithm, dt_proj U(±R^−½), in, x and embeddings N(0, 0.1²).

    A_log = log 1 … log N; dt_proj.bias = softplus⁻¹ Δ; the convolution U(±1 / √k) with bias 0; out_proj U(±1 / √fan_in).

    Use when: training Mamba from scratch, as transformers does, or with official=True as its authors do.
    Not when: the model is Mamba-2, whose A is one number a head: transformers has log 1 … log heads there, mamba_ssm ``LogUniform(1, 16)``.

    Args:
        std: the configuration's initializer_range.
        official: as mamba_simple.py: in_proj and x_proj as torch has them, embeddings N(0, 0.02²), the convolution's bias as torch has it, and
            out_proj U(±1 / √fan_in) / √L.
        rescale: the configuration's rescale_prenorm_residual: out_proj over √L, as official=True has it anyway.
        dt_min, dt_max: the range of Δ, the configuration's time_step_min and time_step_max.

    Example:
        >>> class Mamba(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.A_log, self.D = nn.Parameter(torch.empty(8, 4)), nn.Parameter(torch.empty(8))
        ...         self.dt_proj = nn.Linear(4, 8)
        >>> plan = initium.plan(Mamba(), "mamba", seed=0)
        >>> plan.values("A_log")[:4].exp().round(decimals=4), plan["dt_proj.weight"].initializer.b
        (tensor([1., 2., 3., 4.]), 0.5)

    Source: transformers, modeling_mamba.py; state-spaces/mamba, mamba_simple.py and mixer_seq_simple.py; Gu & Dao 2023 (2312.00752).
    """
    return mamba_like(
        std,
        official,
        rescale,
        Rule("**.dt_proj.weight", TORCH_BOUND),
        Rule("**.dt_proj.bias", DtBias(dt_min, dt_max)),
        Rule("**.A_log", LogRange()),
        Rule("**.D", 1),
    )


@named("mixtral")
def mixtral(std: float = 0.02) -> Recipe:
    """Weights, every expert's and the routers', and embeddings N(0, 0.02²), biases and score corrections 0, norms 1.

    Use when: training Mixtral, Qwen3-MoE, DeepSeek-V3 or gpt-oss (whose sinks and router biases are N(0, 0.02²) too) as transformers does.
    Not when: as torchtitan trains them: experts and routers by depth, ``torchtitan-llama3``.

    Args:
        std: the configuration's initializer_range.

    Example:
        >>> initium.plan(nn.Linear(64, 8, bias=False), "mixtral", seed=0)["weight"].std
        0.02

    Source: transformers, modeling_mixtral.py, ``MixtralPreTrainedModel._init_weights``.
    """
    return plain(
        std,
        Rule("**.e_score_correction_bias", 0, role="parameter", optional=True),
        Rule("**.sinks", Normal(std), role="parameter", optional=True),
        Rule(type="GptOss*Router", bias=Normal(std), optional=True),
    )
