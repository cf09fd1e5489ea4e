"""A tensor that a module holds as a plain attribute.

What it does:
    Looks for floating tensors of more than one element among the attributes of modules that are neither parameter nor buffer.

Why it is bad:
    ``model.to("cuda")`` leaves it behind, ``state_dict`` does not save it, an optimiser does not see it.

Example:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(32, 32)
            self.shift = torch.randn(32)

        def forward(self, x):
            return self.first(x) + self.shift

Use instead:
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(32, 32)
            self.register_buffer("shift", torch.randn(32))

        def forward(self, x):
            return self.first(x) + self.shift

Fix safety:
    none: register it as a buffer or a parameter.

References:
    ``self.pe = torch.randn(…)``
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn

from ..measure.seen import Seen
from ..registry import Hit, check

_TORCHS = frozenset(nn.Module().__dict__)  # its own tables
_INPUTS = ("example_input_array", "_example_input_array")  # Lightning's: an input, not state


@check("B003", "tensor that is not registered", "warning", level="static", needs=("model",))
def find(seen: Seen) -> Iterator[Hit]:
    computed = {one.name for one in seen.tensors.values() if one.computed}
    known = {id(one.slot.tensor) for one in seen.tensors.values() if one.slot is not None}
    yield from _in_containers(seen, known)
    for path, module in seen.modules():
        for name, value in module.__dict__.items():
            if (
                not isinstance(value, Tensor)
                or not value.is_floating_point()
                or value.numel() < 2
                or id(value) in known
                or name in _INPUTS
            ):
                continue
            full = f"{path}.{name}" if path else name
            memory = value.untyped_storage()._cdata if not value.is_meta else 0
            shared = any(
                one.slot is not None and not one.slot.tensor.is_meta and one.slot.tensor.untyped_storage()._cdata == memory
                for one in seen.by_owner.get(path, ())
            )
            if full not in computed and not shared:
                yield Hit(
                    full,
                    f"a tensor of {'×'.join(map(str, value.shape))} is a plain attribute of {type(module).__name__}",
                    f"self.register_buffer({name!r}, …, persistent=False), or nn.Parameter",
                )


_MOST = 64  # of a container's items that are looked at


def _in_containers(seen: Seen, known: set[int]) -> Iterator[Hit]:
    """Layers, parameters and drawn tensors in plain lists and dicts; what is frozen, or part of the model elsewhere, may be hidden there."""
    modules = {id(module) for _, module in seen.modules()}
    for path, module in seen.modules():
        for name, value in module.__dict__.items():
            if name in _TORCHS or not isinstance(value, (list, tuple, dict)):
                continue
            items = list(value.items() if isinstance(value, dict) else enumerate(value))[:_MOST]
            held = [(key, one) for key, one in items if id(one) not in modules | known and _is_state(seen, one, known)]
            if held:
                first = held[0][1]
                kind = "dict" if isinstance(value, dict) else "list"
                right = f"nn.{'Module' if isinstance(first, nn.Module) else 'Parameter'}{kind.title()}"
                yield Hit(
                    f"{path}.{name}" if path else name,
                    f"{len(held)} of its items, {type(first).__name__} first, are in a plain {kind}: no parameters() names them",
                    f"self.{name} = {right}(…)" if isinstance(first, (nn.Module, nn.Parameter)) else "register_buffer for each",
                )


def _is_state(seen: Seen, value: object, known: set[int]) -> bool:
    if isinstance(value, nn.Module):
        parameters = list(value.parameters())
        return any(one.requires_grad for one in parameters) and not any(id(one) in known for one in parameters)
    if not isinstance(value, Tensor) or not value.is_floating_point() or value.numel() < 2:
        return False
    trace = seen.built.trace(value) if seen.built is not None else None
    return (value.is_leaf and value.requires_grad) or (trace is not None and trace.random)
