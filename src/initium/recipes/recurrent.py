"""Recurrent networks: forget-gate bias, chrono, IRNN."""

from __future__ import annotations

from torch import nn

from .._inventory import Slot
from .._recipe import Recipe, named
from .._rules import Rule
from ..initializers import Chrono, Eye, Normal, Orthogonal
from ._over import INPUT_BIAS, RECURRENT, over


def _gated(base: str) -> Recipe:
    """Recurrent matrices orthogonal gate by gate, biases 0, the rest by the base."""
    return over(base, Rule(RECURRENT, Orthogonal(), optional=True))


@named("forget-bias")
def forget_bias(value: float = 1.0, base: str = "xavier") -> Recipe:
    """LSTM: forget gate's bias 1, so that memory lasts from the start; use when gradients must reach tens of steps back.

    b_f = value on ``bias_ih``, 0 on ``bias_hh`` (torch sums the two: set on both it would be 2), all other biases 0; recurrent
    matrices orthogonal gate by gate, everything else by ``base``.

    Args:
        value: the forget gate's bias.
        base: recipe for what this one does not speak of.

    Source: Gers et al. 2000; Jozefowicz et al. 2015. A model without LSTM is an error: it has no forget gate.
    """
    return over(_gated(base), Rule(INPUT_BIAS, value, gates="f"))


@named("chrono")
def chrono(t_max: float = 784.0, base: str = "xavier") -> Recipe:
    """LSTM and GRU: gate biases log U(1, t_max − 1), memories of every length up to t_max; use when you know the longest dependency.

    LSTM: b_f = log u, b_i = −b_f; torch's GRU, whose z is the gate that keeps: b_z = log u. All on ``bias_ih``, with ``bias_hh`` 0.

    Args:
        t_max: the longest dependency in steps, > 2.
        base: recipe for what this one does not speak of.

    Source: Tallec & Ollivier 2018 (1804.11188).
    """
    return over(_gated(base), Rule(INPUT_BIAS, Chrono(t_max)))


@named("irnn")
def irnn(std: float = 0.001, gain: float = 1.0, base: str = "he") -> Recipe:
    """Plain ReLU RNN: recurrent matrix the identity, both biases 0; use with ``nn.RNN(nonlinearity="relu")`` for long dependencies.

    W_hh = gain · 1, W_ih ~ N(0, std²), everything else by ``base``.

    Args:
        std: of the input weights. 0.001 is quoted from memory of the paper; no code of the authors was there to check it.
        gain: below 1 forgets faster.
        base: recipe for what this one does not speak of.

    Source: Le, Jaitly & Hinton 2015 (1504.00941). LSTM and GRU are left to ``base``; without a plain RNN it is an error.
    """
    return over(
        _gated(base),
        Rule(r"re:(.*\.)?weight_ih(_l\d+(_reverse)?)?", Normal(std), test=_is_plain_rnn),
        Rule(RECURRENT, Eye(gain), test=_is_plain_rnn),
    )


def _is_plain_rnn(slot: Slot) -> bool:
    return isinstance(slot.module, (nn.RNN, nn.RNNCell))
