"""Residual networks that start as the identity: BN zero-γ, ReZero, SkipInit, LayerScale, Fixup, ZerO."""

from __future__ import annotations

from .._recipe import Recipe, named
from .._rules import Rule
from ..initializers import Hadamard, Normal
from ._over import over
from .general import general

_SCALARS = "**.{alpha,alphas,resweight,rezero,rezero_*,skip_gain,skipinit_gain,res_scale,residual_scale,res_weight}"
_LAYER_SCALES = (
    "**.{gamma,gamma_[0-9],gamma[0-9],lambda[0-9],lambda_[0-9],layer_scale,layer_scale_parameter,layer_scale_[0-9],ls}"
)


@named("bn-zero-gamma", "zero-gamma")
def bn_zero_gamma(base: str = "he") -> Recipe:
    """γ = 0 in the last norm of every residual branch, so each block starts as its shortcut.

    Only the last norm counts (bn3 of a Bottleneck, bn2 of a BasicBlock), which is found by a trace of the block: with γ = 0 in an
    earlier one the branch would stay dead.

    Use when: training ResNets with large batches.
    Not when: there are no norms at the ends of the branches: ``skipinit``, ``fixup``.

    Args:
        base: recipe for everything else.

    Example:
        >>> class Block(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.conv, self.bn = nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8)
        ...     def forward(self, x):
        ...         return x + self.bn(self.conv(x))
        >>> initium.plan(nn.Sequential(Block(), Block()), "bn-zero-gamma", seed=0)["1.bn.weight"].mean
        0

    Source: Goyal et al. 2017 (1706.02677), section 5.1. timm does so by default, torchvision with ``zero_init_residual=True``.
    """
    return over(base, Rule(role="residual_norm", initializer=0))


@named("rezero")
def rezero(scalars: str = _SCALARS, value: float = 0.0, base: str = "xavier") -> Recipe:
    """α = 0 in x + α f(x), so the network starts as the identity at any depth.

    The scalars are parameters of the model: none found is an error. Everything else by ``base``, for which the method has no needs.

    Use when: the network is very deep and has no norms.
    Not when: each branch has no scalar of its own, or a norm behind it.

    Args:
        scalars: glob over their full names.
        value: what they start with.
        base: recipe for everything else.

    Example:
        >>> class Layer(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.linear, self.resweight = nn.Linear(8, 8), nn.Parameter(torch.ones(1))
        >>> initium.plan(nn.Sequential(Layer(), Layer()), "rezero", seed=0)["0.resweight"].mean
        0.0

    Source: Bachlechner et al. 2020 (2003.04887); in their transformer attention and feed-forward net of a layer share one α.
    """
    return over(base, Rule(scalars, value, role="parameter"))


@named("skipinit")
def skipinit(scalars: str = _SCALARS, value: float = 0.0, base: str = "he") -> Recipe:
    """α = 0 (or 1 / √depth) on each residual branch in place of its batch norms.

    Use when: training ResNets without norms, at batches that fit one machine.
    Not when: batches are large: with norms the learning rate may be larger still.

    Args:
        scalars: glob over the full names of the α; none found is an error.
        value: 0, or 1 / √(number of blocks), which the paper finds to work as well.
        base: recipe for everything else.

    Example:
        >>> class Block(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.conv, self.alpha = nn.Conv2d(8, 8, 3), nn.Parameter(torch.ones(()))
        >>> initium.plan(nn.Sequential(Block(), Block()), "skipinit", seed=0)["1.alpha"].mean
        0.0

    Source: De & Smith 2020 (2002.10444), section 3: biases are kept, which batch norm had made needless.
    """
    return over(base, Rule(scalars, value, role="parameter"))


@named("layerscale")
def layerscale(value: float = 1e-6, scales: str = _LAYER_SCALES, base: str = "torch") -> Recipe:
    """A small constant in the per-channel scale at the end of every branch.

    Use when: deep vision transformers and ConvNeXt.
    Not when: the network has no such scales: none found is an error.

    Args:
        value: 1e-6 is ConvNeXt's. (CaiT's 0.1, 1e-5, 1e-6 by depth are quoted from memory, so there is no such rule here.)
        scales: glob over the full names of the scales; none found is an error. A norm's gamma is not one of them.
        base: recipe for everything else.

    Example:
        >>> class Block(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.fc, self.gamma = nn.Linear(8, 8), nn.Parameter(torch.ones(8))
        >>> initium.plan(nn.Sequential(Block(), Block()), "layerscale", seed=0)["1.gamma"].mean
        1e-06

    Source: Touvron et al. 2021 (2103.17239); ConvNeXt in torchvision and timm for 1e-6.
    """
    return over(base, Rule(scales, value, role="parameter"))


@named("fixup")
def fixup(head: bool = True) -> Recipe:
    """Residual networks without normalisation, as if normalised at step 0.

    In a branch with m weights, L branches in the network: the first m − 1 are N(0, 2 / (k² c_out) · L^(−1 / (m − 1))), so std has
    L^(−1 / (2m − 2)); the last is 0. The classifier's W and b are 0: the loss starts at ln K. Everything else is He by fan_out
    (downsampling without the factor), scalar biases 0, scalar scales 1.

    Use when: residual blocks have no norms but Fixup's scalar biases and scales.
    Not when: there are norms, or branches that neither names nor a trace tell.

    Args:
        head: set the classifier to 0; a network that has none says False.

    Raises:
        RuleError: no residual branch, or no head, could be found: say them by ``roles=``.

    Example:
        >>> class Block(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.a, self.b = nn.Linear(32, 32), nn.Linear(32, 32)
        ...     def forward(self, x):
        ...         return x + self.b(self.a(x).relu())
        >>> net = nn.Sequential(*(Block() for _ in range(16)), nn.Linear(32, 10))
        >>> plan = initium.plan(net, "fixup", seed=0)
        >>> plan["0.a.weight"].std, plan["0.b.weight"].std, plan["16.weight"].std  # √(2 / 32) / √16, 0, 0
        (0.0625, 0.0, 0.0)

    Source: Zhang et al. 2019 (1901.09321) and hongyi-zhang/Fixup: the fan is fan_**out**, of the whole layer where it has groups. There every
    Linear is set to 0 by its class; here only the head is. The scalars learn at a tenth of the rate.
    """
    he = "sqrt(2 / (fan_out * groups))"
    zeros = [Rule(role="head", initializer=0), Rule(role="head_bias", initializer=0, optional=True)] if head else []
    return over(
        general(Normal(he)),
        Rule(role="branch", initializer=Normal(f"{he} * branches ** (-1 / (2 * branch - 2))"), optional=True),
        Rule(role="residual_out", initializer=0),
        Rule("**.*scale*", 1, role="parameter", shape=(1,), optional=True),
        Rule("**.*scale*", 1, role="parameter", shape=(), optional=True),
        Rule("**.*bias*", 0, role="parameter", optional=True),
        *zeros,
    )


@named("zero", "hadamard")
def zero(head: bool = True) -> Recipe:
    """Nothing random: identity where a layer does not widen, Hadamard where it does.

    Ends of residual branches, where the model has any, and the last layer are 0; biases 0, norms reset.

    Use when: runs are to begin alike without any generator, in ResNets and MLPs with shortcuts.
    Not when: nothing breaks the symmetry between equal units, as in plain networks without Hadamard layers or shortcuts.

    Args:
        head: set the last layer to 0. The authors' ResNets do, their notebook's dense net keeps a partial identity there.

    Example:
        >>> net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
        >>> _ = initium.initialize(net, "zero", seed=0)
        >>> net[0].weight.tolist() == torch.eye(4).tolist(), net[2].weight.abs().sum().item()
        (True, 0.0)

    Source: Zhao et al. 2022 (2110.12661), ``initium.Hadamard`` for the matrix. The authors' ResNets have a shortcut around every single
    convolution and set all of these to 0; a block of several has its last one at 0 here, which is the same identity.
    """
    ends = [Rule(role="head", initializer=0)] if head else []
    return over(general(Hadamard()), Rule(role="residual_out", initializer=0, optional=True), *ends)
