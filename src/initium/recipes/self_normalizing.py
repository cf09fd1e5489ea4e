"""Networks of SELU, and of sines."""

from __future__ import annotations

from .._recipe import Recipe, named
from .._rules import Rule
from ..initializers import ClassDefault, LecunNormal, Siren
from ._over import over
from .general import general


@named("selu")
def selu() -> Recipe:
    """Weights N(0, 1 / fan_in), biases 0: mean 0 and variance 1 are SELU's fixed point; use for deep dense networks of SELU.

    Source: Klambauer et al. 2017 (1706.02515), λ = 1.0507009873554805, α = 1.6732632423543773. ``calculate_gain("selu")`` = ¾ in torch is
    another thing, and not this; drop out by ``nn.AlphaDropout``.
    """
    return general(LecunNormal())


@named("siren")
def siren(omega_0: float = 30.0) -> Recipe:
    """First layer U(±1 / fan_in), the others U(±√(6 / fan_in) / ω₀): use for networks of sin(ω₀ (W x + b)) on coordinates.

    Biases as torch draws them, U(±1 / √fan_in), as in the authors' code. The first layer is the first weight in the order of
    registration (the plan says which); say another by ``Recipe(…, roles={"net.in.weight": "first"})``.

    Args:
        omega_0: in the hidden sines. The first layer's own frequency does not matter here.

    Source: Sitzmann et al. 2020 (2006.09661) and its modules.py.
    """
    return over(
        general(Siren(omega_0=omega_0)),
        Rule(role="first", initializer=Siren(first=True, omega_0=omega_0)),
        Rule(role=("bias", "first_bias"), initializer=ClassDefault(), optional=True),
    )
