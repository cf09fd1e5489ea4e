"""Forms: what JSON and YAML can say. Numbers, dtypes and given tensors as such values, and the error that knows its place."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from .._errors import ArgumentError, nearest
from .._files import memory_of

INLINE = 64  # elements: given values up to here stand in the text, larger ones in a file beside it

Form = Any
"""What ``json.dumps`` takes."""
Path = tuple[str | int, ...]
Lookup = Callable[[str], Tensor]
"""The large given tensor of that hash."""


class Malformed(Exception):
    """A form that means nothing: what is wrong, and the path to it from the top of the document."""

    def __init__(self, message: str, path: Path = ()) -> None:
        super().__init__(message)
        self.path = path


def number_form(x: float | complex | None) -> Form:
    """A number as JSON can say it; infinities and NaN as text."""
    if isinstance(x, complex):
        return {"re": number_form(x.real), "im": number_form(x.imag)}
    return x if x is None or math.isfinite(x) else str(x)


def number_of(form: Form, at: Path = ()) -> Any:
    """The inverse of ``number_form``; text such as ``"1e-4"`` is a number too."""
    if isinstance(form, Mapping) and set(form) == {"re", "im"}:
        return complex(number_of(form["re"], (*at, "re")), number_of(form["im"], (*at, "im")))
    value = parsed_number(form) if isinstance(form, str) else form
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Malformed(f"a number is expected, not {said(form)}", at)
    return value


def parsed_number(text: str) -> float | None:
    """The number that a text spells, or None. YAML reads 1e-4 as text."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return None


def said(form: Form) -> str:
    """A form as an error message quotes it."""
    names = {dict: "a mapping", list: "a list", type(None): "nothing (null)"}
    return names.get(type(form), repr(form))


def dtype_of(form: Form, at: Path = ()) -> torch.dtype:
    """The torch dtype of that name."""
    found = getattr(torch, form.removeprefix("torch."), None) if isinstance(form, str) else None
    if not isinstance(found, torch.dtype):
        known = [name for name in dir(torch) if isinstance(getattr(torch, name), torch.dtype)]
        raise Malformed(f"no dtype is called {said(form)}.{nearest(str(form), known)}", at)
    return found


def dtype_name(dtype: torch.dtype) -> str:
    """``bfloat16``."""
    return str(dtype).removeprefix("torch.")


def fields_of(form: Form, at: Path, needed: tuple[str, ...], optional: tuple[str, ...] = ()) -> Mapping[str, Form]:
    """A mapping with exactly these keys."""
    if not isinstance(form, Mapping):
        raise Malformed(f"a mapping with {', '.join(needed)} is expected, not {said(form)}", at)
    known = (*needed, *optional)
    for key in form:
        if key not in known:
            raise Malformed(f"unknown key {key!r}.{nearest(str(key), known)} Known: {', '.join(known)}", (*at, key))
    lacking = [key for key in needed if key not in form]
    if lacking:
        raise Malformed(f"{', '.join(lacking)} {'is' if len(lacking) == 1 else 'are'} missing", at)
    return form


# --- given tensors


def given_form(values: Tensor, large: dict[str, Tensor] | None) -> Form:
    """A tensor as text: its values where they are few, else its hash, and the tensor goes into ``large``."""
    values = values.detach()
    if values.is_meta:
        raise ArgumentError("given values on meta have no numbers to write")
    form: dict[str, Form] = {"shape": list(values.shape), "dtype": dtype_name(values.dtype)}
    if values.numel() <= INLINE:
        return {**form, "values": [number_form(x) for x in _as_numbers(values)]}
    digest = tensor_hash(values)
    if large is not None:
        large[digest] = values.cpu()
    return {**form, "hash": digest}


def _as_numbers(values: Tensor) -> list[Any]:
    flat = values.reshape(-1)
    return flat.double().tolist() if values.is_floating_point() else flat.tolist()  # fp64 holds every smaller float exactly


def given_of(form: Form, at: Path, lookup: Lookup | None) -> Tensor:
    """The inverse of ``given_form``.

    Raises:
        Malformed: not a tensor, or one whose values cannot be found.
    """
    fields = fields_of(form, at, ("shape", "dtype"), ("values", "hash"))
    shape, dtype = fields["shape"], dtype_of(fields["dtype"], (*at, "dtype"))
    if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
        raise Malformed(f"a shape is a list of whole numbers ≥ 0, not {said(shape)}", (*at, "shape"))
    if "values" in fields:
        values = fields["values"]
        if not isinstance(values, list) or len(values) != math.prod(shape):
            raise Malformed(f"values is a list of {math.prod(shape)} numbers", (*at, "values"))
        numbers = [x if isinstance(x, bool) else number_of(x, (*at, "values", i)) for i, x in enumerate(values)]
        exact = torch.float64 if dtype.is_floating_point else dtype
        return torch.tensor(numbers, dtype=exact, device="cpu").to(dtype).reshape(shape)
    if "hash" not in fields:
        raise Malformed("values or hash is missing", at)
    if lookup is None:
        raise Malformed(
            "these values stand in a file beside the text, and the text names none: write it with Plan.save", (*at, "hash")
        )
    tensor = lookup(str(fields["hash"]))
    if tensor_hash(tensor) != fields["hash"] or tensor.dtype != dtype or list(tensor.shape) != shape:
        raise Malformed(
            "the values in the file beside the text are not those that were saved: their hash differs", (*at, "hash")
        )
    return tensor


def tensor_hash(values: Tensor) -> str:
    """32 hexadecimal digits of dtype, shape and bytes."""
    state = hashlib.blake2b(
        f"{dtype_name(values.dtype)}{list(values.shape)}".encode(), digest_size=16, person=b"initium/values"
    )
    with memory_of(values) as memory:
        state.update(memory)
    return state.hexdigest()
