"""State spaces: S4D and Mamba-2. Mamba-1 stands with the networks of transformers."""

from __future__ import annotations

import math

from .._recipe import Recipe, named
from .._rules import Rule
from ..initializers import DtBias, LogRange, LogUniform, Normal, Ramp, Uniform
from ._models import mamba_like, over_torch

_LOG_DT = Uniform(-6.907755278982137, -2.302585092994046)  # log 0.001, log 0.1


@named("s4d")
def s4d() -> Recipe:
    """S4D-Lin: A_n = −½ + iπn, log Δ ~ U(log 0.001, log 0.1), C ~ complex N(0, 1), D ~ N(0, 1); maps as torch has them.

    A is held as ``log_A_real`` = log ½ and ``A_imag`` = π n; C as its real view, (…, 2), each part N(0, ½).

    Use when: training S4D, in the authors' minimal form or another with its names.
    Not when: the state is that of S4 itself, which is diagonal plus low rank: ``initium.Hippo`` gives its matrix.

    Raises:
        RuleError: no ``log_A_real``.

    Example:
        >>> class S4DKernel(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.C, self.log_dt = nn.Parameter(torch.empty(8, 4, 2)), nn.Parameter(torch.empty(8))
        ...         self.log_A_real, self.A_imag = nn.Parameter(torch.empty(8, 4)), nn.Parameter(torch.empty(8, 4))
        >>> plan = initium.plan(S4DKernel(), "s4d", seed=0)
        >>> plan.values("A_imag")[:3], round(plan["log_A_real"].mean, 9), round(plan["C"].std, 9)
        (tensor([0.0000, 3.1416, 6.2832]), -0.693147181, 0.707106781)

    Source: state-spaces/s4, models/s4/s4d.py, ``S4DKernel``; Gu et al. 2022 (2206.11893).
    """
    return over_torch(
        Rule("**.log_A_real", -0.6931471805599453),
        Rule("**.A_imag", Ramp(step=math.pi), optional=True),
        Rule("**.log_dt", _LOG_DT, optional=True),
        Rule("**.C", Normal("sqrt(1 / 2)"), role="parameter", optional=True),
        Rule("**.D", Normal(1.0), ndim=1, optional=True),
    )


@named("mamba2")
def mamba2(
    std: float = 0.1, official: bool = False, rescale: bool = False, dt_min: float = 0.001, dt_max: float = 0.1
) -> Recipe:
    """A = −1 … −heads, D = 1, Δ from 0.001 to 0.1 by the logarithm, in and embeddings N(0, 0.1²), convolution and out U(±1 / √fan_in).

    A, D and Δ are one number a head; A_log = log 1 … log heads, dt_bias = softplus⁻¹ Δ; the convolution's bias is 0.

    Use when: training Mamba-2 from scratch, as transformers does, or with official=True as its authors do.
    Not when: the model is Mamba-1, with a dt_proj: ``mamba``.

    Args:
        std: the configuration's initializer_range.
        official: as mamba2.py: A ~ U(−16, −1), in_proj and the convolution's bias as torch has them, embeddings N(0, 0.02²), and out_proj
            U(±1 / √fan_in) / √L.
        rescale: the configuration's rescale_prenorm_residual: out_proj over √L, as official=True has it anyway.
        dt_min, dt_max: the range of Δ, the configuration's time_step_min and time_step_max.

    Raises:
        RuleError: no ``A_log`` or no ``dt_bias``.

    Example:
        >>> class Mamba2(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.A_log, self.D, self.dt_bias = (nn.Parameter(torch.empty(4)) for _ in range(3))
        >>> initium.plan(Mamba2(), "mamba2", seed=0).values("A_log").exp().round(decimals=4)
        tensor([1., 2., 3., 4.])

    Source: transformers, modeling_mamba2.py; state-spaces/mamba, mamba_ssm/modules/mamba2.py (A_init_range=(1, 16)) and
    mixer_seq_simple.py; Dao & Gu 2024 (2405.21060).
    """
    return mamba_like(
        std,
        official,
        rescale,
        Rule("**.dt_bias", DtBias(dt_min, dt_max)),
        Rule("**.A_log", LogUniform() if official else LogRange()),
        Rule("**.D", 1, optional=True),
    )
