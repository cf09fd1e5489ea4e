"""Networks of SELU, and of sines."""

from __future__ import annotations

from .._recipe import Recipe, named
from .._rules import Rule
from ..initializers import ClassDefault, LecunNormal, Siren
from ._over import over
from .general import general


@named("selu")
def selu() -> Recipe:
    """Weights N(0, 1 / fan_in), biases 0: mean 0 and variance 1 are SELU's fixed point.

    Use when: deep dense networks of SELU on standardised inputs.
    Not when: other units, or dropout other than ``nn.AlphaDropout``: the fixed point is theirs no more.

    Example:
        >>> initium.plan(nn.Linear(25, 10), "selu", seed=0)["weight"].std
        0.2

    Source: Klambauer et al. 2017 (1706.02515), λ = 1.0507009873554805, α = 1.6732632423543773. ``calculate_gain("selu")`` = ¾ in torch is
    another thing, and not this.
    """
    return general(LecunNormal())


@named("siren")
def siren(omega_0: float = 30.0) -> Recipe:
    """First layer U(±1 / fan_in), the others U(±√(6 / fan_in) / ω₀), for sin(ω₀ (W x + b)).

    Biases as torch draws them, U(±1 / √fan_in), as in the authors' code. The first layer is the first weight in the order of
    registration (the plan says which); say another by ``Recipe(…, roles={"net.in.weight": "first"})``. By the weights alone
    what a hidden sine sees has a std that goes to .892643 = √v with v = 1 − e^(−2v); the biases, × ω₀ as well, add their variance to v.

    Use when: a network of sines maps coordinates in [−1, 1] to a picture, a sound or a field.
    Not when: the sines have no frequency ω₀ in front of the weights: say omega_0=1.

    Args:
        omega_0: in the hidden sines. The first layer's own frequency does not matter here.

    Example:
        >>> net = nn.Sequential(nn.Linear(2, 24), nn.Linear(24, 24))  # and sin(30 x) after each
        >>> plan = initium.plan(net, "siren", seed=0)
        >>> plan["0.weight"].initializer, round(plan.values("1.weight").abs().max().item(), 2)
        (Siren(first=True, omega_0=30.0), 0.02)

    Source: Sitzmann et al. 2020 (2006.09661) and its modules.py.
    """
    return over(
        general(Siren(omega_0=omega_0)),
        Rule(role="first", initializer=Siren(first=True, omega_0=omega_0)),
        Rule(role=("bias", "first_bias"), initializer=ClassDefault(), optional=True),
    )
