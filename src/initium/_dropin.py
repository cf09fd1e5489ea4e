"""Fill one tensor that has no name: the key comes from torch's generator. Behind ``initium.init`` and ``Normal(std=.02)(3, 4)``."""

from __future__ import annotations

import torch
from torch import Tensor

from . import _laws as laws
from ._errors import ArgumentTypeError, WriteError
from ._execute import Batch
from ._fans import DENSE, Layout
from ._programs import Blocks, Given, Program
from ._stream import DROPIN, Key, derive_key
from ._tensors import is_drawless, is_plain, why_not_drawable, why_not_writable
from .initializers import Initializer


def generator_bits(device: torch.device, generator: torch.Generator | None = None) -> int:
    """64 bits from the generator in force for a device; what advances it is one draw, whatever the tensor's size."""
    source = torch.device("cpu") if device.type == "meta" else device
    where = generator.device if generator is not None else source
    drawn = torch.empty((), dtype=torch.int64, device=where).random_(-(2**63), None, generator=generator)
    return int(drawn) % 2**64


def fill_by_generator(
    tensor: Tensor, initializer: Initializer, layout: Layout = DENSE, generator: torch.Generator | None = None
) -> Tensor:
    """Fill ``tensor`` in place by ``initializer`` and return it; meta, fake and empty tensors are left alone, and draw nothing."""
    if is_drawless(tensor):
        return tensor
    program = initializer.program(tuple(tensor.shape), layout)
    reason = why_not_writable(tensor)
    if reason:
        raise WriteError(f"{initializer.name}: the tensor of shape {tuple(tensor.shape)} cannot be written: {reason}")
    with torch.no_grad():
        if not is_random(program):
            _run(tensor, program, Key(0, 0, 0, 0))
            return tensor
        unfit = why_not_drawable(tensor.dtype)
        if unfit:
            raise ArgumentTypeError(f"{initializer.name}: {unfit}")
        bits = generator_bits(tensor.device, generator)
        _run(tensor, program, bits)
    return tensor


def is_random(program: Program) -> bool:
    """Whether anything in it is drawn."""
    if isinstance(program, Blocks):
        return any(is_random(part) for _, part in program.parts)
    return not isinstance(program, (laws.Constant, Given))


def _run(tensor: Tensor, program: Program, bits: int | Key) -> None:
    def key_of(tag: str) -> Key:
        if isinstance(bits, Key):
            return bits
        return derive_key(bits, "", DROPIN if tag == "values" else f"{DROPIN}/{tag}")

    plain = is_plain(tensor)
    target = tensor.detach() if plain else torch.empty(tuple(tensor.shape), dtype=tensor.dtype, device=tensor.device)
    batch = Batch()
    batch.add(target, program, key_of)
    batch.run()
    if not plain:  # functorch-wrapped and wrapper-subclass tensors take the values by an operator that they see
        tensor.copy_(target)
