"""Networks of reinforcement learning: orthogonal, with heads of another gain. CleanRL and Stable-Baselines3."""

from __future__ import annotations

from .._recipe import Recipe, named
from .._rules import Rule
from ..initializers import Orthogonal
from ._over import over
from .general import general

_ACTORS = "**{actor,actor_mean,policy_head,action_net}.**"
_CRITICS = "**{critic,value_head,value_net}.**"


@named("cleanrl", "ppo")
def cleanrl(hidden: float = 2**0.5, actor: float = 0.01, critic: float = 1.0) -> Recipe:
    """Linear layers and convolutions orthogonal with gain √2, the actor's last layer 0.01, the critic's 1, biases 0, log std 0.

    A policy that starts almost uniform, and values that start on the scale of their inputs.

    Use when: training PPO or another on-policy method.
    Not when: SAC, TD3 or DQN as CleanRL has them: those keep torch's defaults, ``torch``.

    Args:
        hidden: gain of every layer that is no head.
        actor: gain of the last layer below ``actor``, ``actor_mean``, ``policy_head`` or ``action_net``.
        critic: gain of the last layer below ``critic``, ``value_head`` or ``value_net``.

    Raises:
        RuleError: no actor or no critic by these names: say ``roles=`` and rules of your own.

    Example:
        >>> net = nn.ModuleDict({"actor": nn.Sequential(nn.Linear(4, 64), nn.Tanh(), nn.Linear(64, 2)), "critic": nn.Linear(4, 1)})
        >>> plan = initium.plan(net, "cleanrl", seed=0)
        >>> [plan[f"{name}.weight"].initializer.gain for name in ("actor.0", "actor.2", "critic")]
        [1.4142135623730951, 0.01, 1.0]

    Source: vwxyzjn/cleanrl, ppo.py, ppo_atari.py and ppo_continuous_action.py, ``layer_init``. Stable-Baselines3 has the same gains for its
    ``action_net`` and ``value_net``.
    """
    return over(
        general(Orthogonal(hidden)),
        Rule(_ACTORS, Orthogonal(actor), role="head"),
        Rule(_CRITICS, Orthogonal(critic), role="head"),
        Rule("**.{actor_logstd,log_std}", 0, role="parameter", optional=True),
    )


@named("sb3", "stable-baselines3")
def sb3(features: float = 2**0.5, log_std: float = 0.0) -> Recipe:
    """Features and hidden layers orthogonal with gain √2, the action net 0.01, the value net 1, biases 0, log std 0.

    Use when: training A2C or PPO as Stable-Baselines3 does.
    Not when: SAC, TD3, DDPG or DQN as it has them: those keep torch's defaults, ``torch``.

    Args:
        features: gain of the features extractor and of the hidden layers.
        log_std: log_std_init of a Gaussian policy; -2 is its choice for state-dependent exploration.

    Raises:
        RuleError: no ``action_net`` or no ``value_net``.

    Example:
        >>> net = nn.ModuleDict({"mlp_extractor": nn.Linear(4, 64), "action_net": nn.Linear(64, 2), "value_net": nn.Linear(64, 1)})
        >>> plan = initium.plan(net, "sb3", seed=0)
        >>> [plan[f"{name}.weight"].initializer.gain for name in ("mlp_extractor", "action_net", "value_net")]
        [1.4142135623730951, 0.01, 1.0]

    Source: DLR-RM/stable-baselines3, common/policies.py, ``ActorCriticPolicy._build`` and ``BasePolicy.init_weights``.
    """
    return over(
        general(Orthogonal(features)),
        Rule(r"re:(.*\.)?action_net\.weight", Orthogonal(0.01)),
        Rule(r"re:(?!.*mlp_extractor)(.*\.)?value_net\.weight", Orthogonal(1.0)),  # the extractor has a value_net of its own
        Rule("**log_std", log_std, role="parameter", optional=True),
    )
