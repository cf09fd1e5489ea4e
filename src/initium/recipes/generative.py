"""Generative adversarial networks, and transformers that diffuse: DCGAN, CycleGAN, StyleGAN2, DiT."""

from __future__ import annotations

from torch import nn

from .._errors import ArgumentError, nearest
from .._recipe import Recipe, named
from .._rules import Rule
from ..initializers import Initializer, KaimingNormal, Normal, Orthogonal, Sinusoids, XavierNormal
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


_CYCLEGAN: dict[str, Initializer] = {
    "normal": Normal(0.02),
    "xavier": XavierNormal(0.02),
    "kaiming": KaimingNormal(),
    "orthogonal": Orthogonal(0.02),
}


@named("cyclegan", "pix2pix")
def cyclegan(kind: str = "normal") -> Recipe:
    """Convolutions and linear layers N(0, 0.02²), all biases 0, batch norms γ N(1, 0.02²), β 0; instance norms as torch has them.

    Use when: training CycleGAN or pix2pix, or a translation network of its kind.
    Not when: convolutions keep torch's biases in your code: ``dcgan``.

    Args:
        kind: ``"normal"``, ``"xavier"`` (Glorot's normal × 0.02, by the source: so small that only norms make up for it), ``"kaiming"`` or
            ``"orthogonal"`` (× 0.02).

    Example:
        >>> plan = initium.plan(nn.Sequential(nn.Conv2d(3, 8, 7), nn.BatchNorm2d(8)), "cyclegan", seed=0)
        >>> plan["0.weight"].std, plan["0.bias"].mean, plan["1.weight"].std
        (0.02, 0, 0.02)

    Source: junyanz/pytorch-CycleGAN-and-pix2pix, models/networks.py, ``init_weights`` with init_gain=0.02; Zhu et al. 2017 (1703.10593),
    section 7.2. Its "kaiming" ignores the gain; so has this.
    """
    if kind not in _CYCLEGAN:
        raise ArgumentError(
            f"kind {kind!r} not supported.{nearest(str(kind), _CYCLEGAN)} Please use one of {', '.join(_CYCLEGAN)}"
        )
    return over_torch(
        Rule(CONV, weight=_CYCLEGAN[kind], bias=0, optional=True),
        Rule(nn.Linear, weight=_CYCLEGAN[kind], bias=0, optional=True),
        Rule(nn.BatchNorm2d, weight=Normal(0.02, mean=1.0), bias=0, optional=True),
    )


@named("stylegan2", "stylegan2-ada")
def stylegan2(mapping_rate: float = 0.01) -> Recipe:
    """Weights N(0, 1), the forward pass dividing by √fan_in; the mapping's N(0, 1 / rate²); biases 0, those of styles 1, noise strengths 0.

    Constants, and the fixed noise (a buffer), N(0, 1); the mean of w, also a buffer, 0.

    Use when: training StyleGAN2 or another network with equalised learning rates, whose layers scale their weights as they run.
    Not when: the layers do not scale: N(0, 1) weights would multiply the signal by √fan_in in each.

    Args:
        mapping_rate: the mapping's lr_multiplier: its weights are drawn 1 / rate as large, and used times rate.

    Raises:
        RuleError: no ``affine`` layers, which give StyleGAN2 its styles: this is another network.

    Example:
        >>> net = nn.ModuleDict({"mapping": nn.ModuleDict({"fc0": nn.Linear(8, 8)}), "b4": nn.ModuleDict({"affine": nn.Linear(8, 8)})})
        >>> plan = initium.plan(net, "stylegan2", seed=0)
        >>> plan["mapping.fc0.weight"].std, plan["b4.affine.weight"].std, plan["b4.affine.bias"].mean
        (100.0, 1.0, 1)

    Source: NVlabs/stylegan2-ada-pytorch, training/networks.py; Karras et al. 2020 (1912.04958).
    """
    return over_torch(
        Rule("**.weight", Normal(1.0), ndim=(2, 4), optional=True),
        Rule("**.bias", 0, optional=True),
        Rule("**.const", Normal(1.0), role="parameter", optional=True),
        Rule("**.noise_strength", 0, optional=True),
        Rule("re:(.*\\.)?mapping\\.fc\\d+\\.weight", Normal(1.0 / mapping_rate), optional=True),
        Rule("**affine.bias", 1),
        Rule("**.noise_const", Normal(1.0), buffers=True, optional=True),
        Rule("**.w_avg", 0, buffers=True, optional=True),
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
