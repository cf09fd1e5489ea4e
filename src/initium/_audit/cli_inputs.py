"""``--input``: shapes in words, or a function in a file."""

from __future__ import annotations

import re
from typing import Any

import torch

from .._errors import ArgumentError
from .._models import model_callable

_SHAPE = re.compile(r"(?:(?P<name>[A-Za-z_]\w*)=)?(?P<shape>\d+(?:[x×]\d+)*)(?::(?P<dtype>\w+))?")
_MOST = 1 << 31


def inputs_of(text: str) -> Any:
    """What ``forward`` is called with.

    Args:
        text: shapes, ``2x3x224x224`` or ``input_ids=2x16:long,mask=2x16:bool``, drawn from a normal (integers: below 8); or
            ``path/to/file.py:function``, which returns a tensor, a tuple or a mapping.

    Raises:
        ArgumentError: neither.
    """
    if re.search(r"(\.py|[A-Za-z_]):[A-Za-z_]\w*$", text) and not _SHAPE.fullmatch(text.split(",")[0]):
        return model_callable(text, {})()
    generator = torch.Generator().manual_seed(0)
    args: list[torch.Tensor] = []
    kwargs: dict[str, torch.Tensor] = {}
    for part in text.split(","):
        found = _SHAPE.fullmatch(part.strip())
        if found is None:
            raise ArgumentError(
                f"--input {part.strip()!r} is no shape: write 2x3x224x224, input_ids=2x16:long, several with commas, or FILE.py:FUNCTION"
            )
        dtype = getattr(torch, found["dtype"] or "float32", None)
        if not isinstance(dtype, torch.dtype):
            raise ArgumentError(f"--input: torch has no dtype {found['dtype']!r}")
        shape = [int(size) for size in re.split("[x×]", found["shape"])]
        if torch.Size(shape).numel() > _MOST:
            raise ArgumentError(f"--input {part.strip()!r} has more than {_MOST:,} elements")
        made = (
            torch.randn(shape, generator=generator).to(dtype)
            if dtype.is_floating_point
            else torch.randint(0, 2 if dtype is torch.bool else 8, shape, generator=generator).to(dtype)
        )
        if found["name"]:
            kwargs[found["name"]] = made
        else:
            args.append(made)
    if args and kwargs:
        raise ArgumentError("--input: give all shapes names, or none")
    return kwargs or tuple(args)
