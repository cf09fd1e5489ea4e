"""Generative networks of images: DCGAN and DiT."""

from __future__ import annotations

from torch import nn

from .._recipe import Recipe, named
from .._rules import Rule
from ..initializers import Normal, Sinusoids
from ._models import CONV, WHOLE_XAVIER, over_torch


@named("dcgan")
def dcgan() -> Recipe:
    """Convolutions, transposed ones too, N(0, 0.02²); batch norms γ N(1, 0.02²), β 0; convolutions' biases as torch has them.

    Use when: training a DCGAN or a small GAN of its kind.
    Not when: the network is deep or has no batch norm: 0.02 whatever the fan does not keep a signal.

    Example:
        >>> initium.plan(nn.Sequential(nn.ConvTranspose2d(8, 4, 4), nn.BatchNorm2d(4)), "dcgan", seed=0)["1.weight"].mean
        1.0

    Source: pytorch/examples, dcgan/main.py, ``weights_init``; Radford et al. 2015 (1511.06434), section 4.
    """
    return over_torch(
        Rule(CONV, weight=Normal(0.02), optional=True),
        Rule(nn.modules.batchnorm._BatchNorm, weight=Normal(0.02, mean=1.0), bias=0, optional=True),
    )


@named("dit")
def dit() -> Recipe:
    """Linear layers and patches Xavier uniform, labels and time N(0, 0.02²), modulation and last layer 0: every block is the identity.

    q, k and v are one matrix to Xavier, and the patch convolution (out, in · field), as in the source; positions are the sines and cosines of
    a grid, all other biases 0.

    Use when: training DiT or another transformer whose blocks are gated by adaptive norms (adaLN-Zero).
    Not when: the modulation is not called ``adaLN_modulation``: put a rule of your own over this, or the blocks are no identity.

    Raises:
        RuleError: no ``adaLN_modulation`` in the model.

    Example:
        >>> net = nn.ModuleDict({"adaLN_modulation": nn.Sequential(nn.SiLU(), nn.Linear(32, 192)), "fc": nn.Linear(32, 32)})
        >>> plan = initium.plan(net, "dit", seed=0)
        >>> plan["adaLN_modulation.1.weight"].mean, round(plan["fc.weight"].std, 9)
        (0, 0.176776695)

    Source: facebookresearch/DiT, models.py, ``DiT.initialize_weights``; Peebles & Xie 2022 (2212.09748).
    """
    return over_torch(
        Rule(nn.Linear, weight=WHOLE_XAVIER, bias=0, optional=True),
        Rule(role=("query", "key", "value", "output"), initializer=WHOLE_XAVIER, optional=True),
        Rule(CONV, weight=WHOLE_XAVIER, bias=0, optional=True),
        Rule("**.pos_embed", Sinusoids("grid"), role="parameter", optional=True),
        Rule("**y_embedder.embedding_table.weight", Normal(0.02), optional=True),
        Rule("**t_embedder.mlp.{0,2}.weight", Normal(0.02), optional=True),
        Rule("**adaLN_modulation.*.{weight,bias}", 0),
        Rule("**final_layer.linear.{weight,bias}", 0, optional=True),
    )
