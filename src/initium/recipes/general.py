"""The general recipes: they run on any model.

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
    """Weights N(0, 2 / fan_in), biases 0: for ReLU networks without normalisation (He et al. 2015, 1502.01852)."""
    return general(KaimingUniform(a=a, mode=mode) if uniform else KaimingNormal(a=a, mode=mode))


@named("xavier", "glorot")
def xavier(gain: float = 1.0, uniform: bool = False) -> Recipe:
    """Weights N(0, 2 / (fan_in + fan_out)), biases 0: for tanh and linear networks (Glorot & Bengio 2010)."""
    return general(XavierUniform(gain) if uniform else XavierNormal(gain))


@named("lecun")
def lecun(uniform: bool = False) -> Recipe:
    """Weights N(0, 1 / fan_in), biases 0: for SELU and linear networks (LeCun et al. 1998)."""
    return general(LecunUniform() if uniform else LecunNormal())


@named("orthogonal")
def orthogonal(gain: float = 1.0) -> Recipe:
    """Weights gain · Q, orthogonal for each logical matrix, biases 0 (Saxe et al. 2014, 1312.6120)."""
    return general(Orthogonal(gain))


@named("normal")
def normal(std: float = 0.02, mean: float = 0.0) -> Recipe:
    """Weights N(0, std²) whatever the fan, biases 0: std 0.02 is BERT's and GPT-2's choice."""
    return general(Normal(std, mean))
