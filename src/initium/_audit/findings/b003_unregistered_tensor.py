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

from torch import Tensor

from ..measure.seen import Seen
from ..registry import Hit, check

_INPUTS = ("example_input_array", "_example_input_array")  # Lightning's: an input, not state


@check("B003", "tensor that is not registered", "warning", level="static", needs=("model",))
def find(seen: Seen) -> Iterator[Hit]:
    computed = {one.name for one in seen.tensors.values() if one.computed}
    known = {id(one.slot.tensor) for one in seen.tensors.values() if one.slot is not None}
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
