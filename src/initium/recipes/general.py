"""The general recipes, which run on any model.

| Linear, Conv, attention, RNN weights | biases | norms and their statistics | embeddings, bare parameters | loaded weights |
|---|---|---|---|---|
| drawn | 0 | reset | kept | overwritten: say ``only=`` |
"""

from __future__ import annotations

from .._recipe import Recipe, named
from .._rules import Rule
from ..initializers import (
    Initializer,
    KaimingNormal,
    KaimingUniform,
    LecunNormal,
    LecunUniform,
    Normal,
    Orthogonal,
    Reset,
    XavierNormal,
    XavierUniform,
)


def general(weight: Initializer) -> Recipe:
    """Weights by one initializer, biases 0, norms reset, everything else kept."""
    return Recipe(
        [
            Rule("**", Reset(), optional=True),
            Rule(role="weight", initializer=weight, optional=True),
            Rule(role="bias", initializer=0, optional=True),
        ]
    )


@named("he", "kaiming")
def he(mode: str = "fan_in", uniform: bool = False, a: float = 0.0) -> Recipe:
    """Weights N(0, 2 / fan_in), biases 0.

    The second moment of what goes through a ReLU layer stays the same, whatever the width.

    Use when: a network of ReLU, leaky ReLU, GELU or SiLU has no norms, or in doubt.
    Not when: the units are tanh or sigmoid (``xavier``) or SELU (``lecun``); with residual branches and no norms (``fixup``).

    Args:
        mode: ``"fan_in"`` keeps the activations, ``"fan_out"`` the gradients; also ``"fan_avg"`` and ``"fan_geo_avg"``.
        uniform: U(±√(6 / fan)) instead.
        a: the slope of a leaky ReLU: 2 / (1 + a²).

    Example:
        >>> initium.plan(nn.Linear(50, 10), "he", seed=0)["weight"].std
        0.2

    Source: He et al. 2015 (1502.01852).
    """
    return general(KaimingUniform(a=a, mode=mode) if uniform else KaimingNormal(a=a, mode=mode))


@named("xavier", "glorot")
def xavier(gain: float = 1.0, uniform: bool = False) -> Recipe:
    """Weights N(0, 2 / (fan_in + fan_out)), biases 0.

    The compromise between keeping activations and keeping gradients.

    Use when: the units are tanh or linear, for transformers with norms, for attention.
    Not when: the network is deep and of ReLU without norms: each layer would halve the second moment; ``he``.

    Args:
        gain: factor on the std: ``initium.gain("tanh")`` = 1.5925 keeps the second moment of tanh units.
        uniform: U(±gain √(6 / (fan_in + fan_out))) instead.

    Example:
        >>> initium.plan(nn.Linear(40, 10), "xavier", seed=0)["weight"].std
        0.2

    Source: Glorot & Bengio 2010 (AISTATS).
    """
    return general(XavierUniform(gain) if uniform else XavierNormal(gain))


@named("lecun")
def lecun(uniform: bool = False) -> Recipe:
    """Weights N(0, 1 / fan_in), biases 0.

    Use when: the units are SELU or linear.
    Not when: the units are ReLU: each layer would halve the second moment; ``he``.

    Args:
        uniform: U(±√(3 / fan_in)) instead.

    Example:
        >>> initium.plan(nn.Linear(25, 10), "lecun", seed=0)["weight"].std
        0.2

    Source: LeCun et al. 1998, Efficient BackProp. JAX's and timm's ``lecun_normal`` cut the normal at ±2 σ.
    """
    return general(LecunUniform() if uniform else LecunNormal())


@named("orthogonal")
def orthogonal(gain: float = 1.0) -> Recipe:
    """Weights gain · Q, orthogonal for each logical matrix, biases 0.

    Use when: linear or tanh networks are deep, for recurrent matrices, for small policies (``cleanrl``).
    Not when: a convolution is to keep norms: flattened it is no isometry; ``edge-of-chaos`` with orthogonal=True has delta-orthogonal ones.

    Args:
        gain: all singular values; √2 for ReLU.

    Example:
        >>> net = nn.Linear(4, 4)
        >>> _ = initium.initialize(net, "orthogonal", seed=0)
        >>> torch.allclose(net.weight @ net.weight.T, torch.eye(4), atol=1e-6)
        True

    Source: Saxe et al. 2014 (1312.6120). Q is Haar-distributed: the signs of R's diagonal go into it.
    """
    return general(Orthogonal(gain))


@named("normal")
def normal(std: float = 0.02, mean: float = 0.0) -> Recipe:
    """Weights N(0, std²) whatever the fan, biases 0.

    Use when: copying a model that does so.
    Not when: the width changes or is small: 0.02 is right at a width of some thousand only.

    Args:
        std, mean: of the normal.

    Example:
        >>> initium.plan(nn.Linear(25, 10), initium.recipe("normal", std=0.02), seed=0)["weight"].std
        0.02

    Source: Radford et al. 2015 (1511.06434) and Devlin et al. 2018 (1810.04805), both with 0.02.
    """
    return general(Normal(std, mean))
