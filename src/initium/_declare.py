"""Declare: say what a layer gets where it is made, and fill whole networks as they are declared, as TensorFlow does."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import TypeVar

from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_buffer_registration_hook,
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)

from ._errors import ArgumentError, ArgumentTypeError, nearest
from ._fans import BARE, BIAS
from ._init.dropin import fill_by_generator
from ._inventory import Slot
from ._layouts.registry import layouts_of
from ._plan import Plan
from ._planner import DECLARED, seed_or_drawn
from ._recipe import Recipe, names_for
from ._recipe import recipe as recipe_of
from ._rules import Rule
from .initializers import as_initializer

M = TypeVar("M", bound=nn.Module)


def declare(layer: M, **initializers: object) -> M:
    """Initialise a layer's own tensors where it is made; later plans remember it, over any recipe.

    Args:
        layer: any module.
        initializers: by local name: ``weight=Normal(std=.01), bias=0``. A tensor that the layer lacks (``bias=False``) is no error.

    Returns:
        The same layer, drawn from torch's generator.

    Raises:
        ArgumentError: the layer's class has no tensor of that name.

    Example:
        >>> head = declare(nn.Linear(64, 10), weight="xavier_normal", bias=0)
        >>> bool(head.bias.any())
        False
    """
    if not isinstance(layer, nn.Module):
        raise ArgumentTypeError(f"declare expects a layer, not {type(layer).__name__}")
    own = {**layer._parameters, **layer._buffers}
    chosen = {}
    for local, value in initializers.items():
        if local not in own:
            raise ArgumentError(
                f"{type(layer).__name__} has no tensor {local!r}.{nearest(local, own)} It owns: {', '.join(own) or 'none'}"
            )
        chosen[local] = as_initializer(value)
    layouts = layouts_of(layer)
    for local, initializer in chosen.items():
        tensor = own[local]
        if tensor is None:
            continue
        layout = layouts.get(local, BIAS if local == "bias" and tensor.dim() == 1 else BARE)
        slot = Slot.alone(layer, local, tensor, layout, local in layer._buffers)
        fill_by_generator(tensor, initializer.bound(names_for(slot, {})), layout)
    layer.__dict__[DECLARED] = {**layer.__dict__.get(DECLARED, {}), **chosen}
    return layer


_REGISTRATIONS = (
    register_module_parameter_registration_hook,
    register_module_buffer_registration_hook,
    register_module_module_registration_hook,
)


class declaring:
    """A block in which models are initialised as they are declared: ``initium.build`` as a context.

    What constructors draw inside is recorded instead of computed, and the models are filled when the block closes, none on an
    exception. A first root model is keyed by its own names, a second under ``#1.``, and so on. A recipe's rules go over what a
    constructor does, and the plan's entries say what they overrode.

    Args:
        recipe: a Recipe, its name or file, or rules; None for each model's own initialisation.
        seed: as for ``initium.initialize``.

    Raises:
        PlanError: at the end of the block, tensors that nobody fills.

    Example:
        >>> with declaring("he", seed=0) as block:
        ...     model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
        >>> block.plans[0]["0.weight"].std
        0.5
    """

    def __init__(self, recipe: str | Recipe | Rule | Sequence[Rule] | None = None, *, seed: int | None = None) -> None:
        self._recipe = None if recipe is None else recipe_of(recipe)
        self._given_seed = seed
        self.plans: list[Plan] = []

    def __enter__(self) -> declaring:
        from ._capture.mode import Recorder
        from ._capture.run import recording

        self._thread = threading.get_ident()
        self._made: dict[int, weakref.ref[nn.Module]] = {}
        self.seed = seed_or_drawn(self._given_seed)
        self._recorder = Recorder(self.seed, {})
        self._stack = ExitStack()
        self._stack.enter_context(recording(self._recorder))
        for register in _REGISTRATIONS:
            self._stack.callback(register(self._seen).remove)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()
        if kind is not None:
            return
        from ._capture.build import filled
        from ._capture.rows import Captured

        models = [(f"#{index}." if index else "", root) for index, root in enumerate(self._roots())]
        captured = Captured(self._recorder, models)
        self.plans = filled(captured, self._recipe)
        captured.settle_the_rest()

    def _seen(self, module: nn.Module, name: str, value: Tensor | nn.Module | None) -> None:
        """A tensor or child is about to be registered: a module that has none yet has just been made."""
        if threading.get_ident() == self._thread and not (module._parameters or module._buffers or module._modules):
            self._made[id(module)] = weakref.ref(module)

    def _roots(self) -> list[nn.Module]:
        """The models made in the block: made modules that no other made module holds, and that own a tensor."""
        alive = [module for ref in self._made.values() if (module := ref()) is not None]
        held = {id(below) for module in alive for below in module.modules() if below is not module}
        return [m for m in alive if id(m) not in held and next(iter([*m.parameters(), *m.buffers()]), None) is not None]
