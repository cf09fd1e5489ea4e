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
    """LSTM: forget gate's bias 1, so that memory lasts from the start.

    b_f = value on ``bias_ih``, 0 on ``bias_hh`` (torch sums the two: set on both it would be 2), all other biases 0; recurrent
    matrices orthogonal gate by gate, everything else by ``base``.

    Use when: an LSTM's gradients must reach tens of steps back.
    Not when: you know that the dependencies are of hundreds of steps: ``chrono``.

    Args:
        value: the forget gate's bias.
        base: recipe for what this one does not speak of.

    Example:
        >>> lstm = nn.LSTM(4, 2)
        >>> _ = initium.initialize(lstm, "forget-bias", seed=0)
        >>> (lstm.bias_ih_l0 + lstm.bias_hh_l0).tolist()
        [0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]

    Source: Gers et al. 2000; Jozefowicz et al. 2015. A model without LSTM is an error: it has no forget gate.
    """
    return over(_gated(base), Rule(INPUT_BIAS, value, gates="f"))


@named("chrono")
def chrono(t_max: float = 784.0, base: str = "xavier") -> Recipe:
    """LSTM and GRU: gate biases log U(1, t_max − 1), memories of every length up to t_max.

    LSTM: b_f = log u, b_i = −b_f; torch's GRU, whose z is the gate that keeps: b_z = log u. All on ``bias_ih``, with ``bias_hh`` 0.

    Use when: you know about how long the longest dependency is.
    Not when: short dependencies matter most: gates that forget slowly learn them later; ``forget-bias``.

    Args:
        t_max: the longest dependency in steps, > 2.
        base: recipe for what this one does not speak of.

    Example:
        >>> lstm = nn.LSTM(4, 64)
        >>> _ = initium.initialize(lstm, initium.recipe("chrono", t_max=100), seed=0)
        >>> i, f, g, o = (lstm.bias_ih_l0 + lstm.bias_hh_l0).chunk(4)
        >>> bool((f == -i).all()), bool((f >= 0).all() and (f <= 4.5952).all())  # log 99
        (True, True)

    Source: Tallec & Ollivier 2018 (1804.11188). A public copy writes both biases, and so doubles them.
    """
    return over(_gated(base), Rule(INPUT_BIAS, Chrono(t_max)))


@named("irnn")
def irnn(std: float = 0.001, gain: float = 1.0, base: str = "he") -> Recipe:
    """Plain ReLU RNN: recurrent matrix the identity, both biases 0.

    W_hh = gain · 1, W_ih ~ N(0, std²), everything else by ``base``.

    Use when: an ``nn.RNN(nonlinearity="relu")`` has long dependencies.
    Not when: the units are tanh, whose slope below 1 forgets; or gates are there to learn what to keep.

    Args:
        std: of the input weights; the paper's section 4 has them from "a Gaussian distribution with mean of zero and standard deviation of
            0.001", and so has Keras's reproduction of it.
        gain: below 1 forgets faster.
        base: recipe for what this one does not speak of.

    Example:
        >>> rnn = nn.RNN(4, 2, nonlinearity="relu")
        >>> _ = initium.initialize(rnn, "irnn", seed=0)
        >>> rnn.weight_hh_l0.tolist()
        [[1.0, 0.0], [0.0, 1.0]]

    Source: Le, Jaitly & Hinton 2015 (1504.00941). LSTM and GRU are left to ``base``; without a plain RNN it is an error.
    """
    return over(
        _gated(base),
        Rule(r"re:(.*\.)?weight_ih(_l\d+(_reverse)?)?", Normal(std), test=_is_plain_rnn),
        Rule(RECURRENT, Eye(gain), test=_is_plain_rnn),
    )


def _is_plain_rnn(slot: Slot) -> bool:
    return isinstance(slot.module, (nn.RNN, nn.RNNCell))
