"""Initializers and programs as JSON-able values and back: the words that plan files and text recipes share.

``{"normal": {"std": 0.02}}``, ``"xavier_normal"``, ``0``; a program is the same with every number worked out.
"""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Callable, Mapping
from typing import Any, cast

from torch import Tensor

from .. import _laws as laws
from .._errors import ArgumentError, InitiumError, nearest
from .._expressions import Expression
from .._fans import Layout
from .._programs import Blocks, Computed, Given, Made, Maker, Program, Renamed
from ..initializers import Constant, Initializer, Values, as_initializer, initializer_class
from .forms import (
    Form,
    Lookup,
    Malformed,
    Path,
    fields_of,
    given_form,
    given_of,
    number_form,
    number_of,
    parsed_number,
    said,
)
from .steps import computed_form, computed_of

# --- initializers


def initializer_form(initializer: Initializer, large: dict[str, Tensor] | None = None) -> Form:
    """An initializer as text: a plain number, its name, or its name with the arguments that differ from their defaults.

    Args:
        initializer: any registered one.
        large: where tensors of more than 64 elements go, by hash.

    Raises:
        ArgumentError: a class without a name, or an argument that text cannot say.
    """
    cls = type(initializer)
    if cls is Constant and isinstance(cast(Constant, initializer).value, (int, float)):
        return number_form(cast(Any, initializer).value)
    if Initializer._registry.get(cls.name) is not cls:
        raise ArgumentError(f"{cls.__name__} cannot be written as text: give the class a name, name = {cls.__name__.lower()!r}")
    if isinstance(initializer, Values):
        return {cls.name: given_form(initializer.tensor, large)}
    arguments = {}
    for field in dataclasses.fields(cast(Any, initializer)):
        value = getattr(initializer, field.name)
        if repr(value) != repr(field.default):
            arguments[field.name] = _argument_form(value, f"{cls.name}'s {field.name}", large)
    return {cls.name: arguments} if arguments else cls.name


def _argument_form(value: object, what: str, large: dict[str, Tensor] | None) -> Form:
    if isinstance(value, (tuple, list)):
        return [_argument_form(item, what, large) for item in value]
    if isinstance(value, Expression):
        return str(value)
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (int, float, complex)):
        return number_form(value)
    if isinstance(value, Initializer):  # one within another: ICNR's, a part's
        return initializer_form(value, large)
    if isinstance(value, laws.Law):  # of what a captured constructor called
        return {"law": program_form(value)}
    raise ArgumentError(f"{what} is a {type(value).__name__}, which cannot be written as text")


def initializer_of(form: Form, at: Path = (), lookup: Lookup | None = None) -> Initializer:
    """The inverse of ``initializer_form``.

    Raises:
        Malformed: an unknown name or argument, or a value that the initializer refuses.
    """
    if isinstance(form, bool) or not isinstance(form, (int, float, str, Mapping)):
        hint = (
            f": write {int(form)} for the constant"
            if isinstance(form, bool)
            else ": write 0, xavier_normal or {normal: {std: 0.02}}"
        )
        raise Malformed(f"an initializer is expected, not {said(form)}{hint}", at)
    if isinstance(form, Mapping):
        return _called(form, at, lookup)
    try:
        number = parsed_number(form) if isinstance(form, str) else form
        return as_initializer(form if number is None else number)
    except TypeError:
        raise Malformed(f"{form} needs arguments: write {{{form}: {{…}}}}", at) from None
    except InitiumError as error:
        raise Malformed(str(error), at) from None


def _called(form: Mapping[str, Form], at: Path, lookup: Lookup | None) -> Initializer:
    if len(form) != 1:
        raise Malformed(
            f"an initializer has one name, not {len(form)} ({', '.join(map(str, form))}): write {{normal: {{std: 0.02}}}}", at
        )
    ((name, arguments),) = form.items()
    here = (*at, name)
    try:
        cls = initializer_class(str(name))
        if cls is Values:
            return Values(given_of(arguments, here, lookup))
        if arguments is not None and not isinstance(arguments, Mapping):
            raise Malformed(
                f"{name}'s arguments are a mapping, not {said(arguments)}: write {{{name}: {{{_first_field(cls)}: {arguments}}}}}",
                here,
            )
        known = [field.name for field in dataclasses.fields(cast(Any, cls)) if field.init]
        for argument in arguments or {}:
            if argument not in known:
                takes = f"it takes {', '.join(known)}" if known else "it takes none"
                raise Malformed(
                    f"{name} has no argument {argument!r}.{nearest(str(argument), known)} ({takes})", (*here, argument)
                )
        return cls(**{key: _argument_of(value, (*here, key), lookup) for key, value in (arguments or {}).items()})
    except TypeError as error:
        if isinstance(error, InitiumError):
            raise Malformed(str(error), here) from None
        raise Malformed(f"{name} needs other arguments: {error}", here) from None
    except InitiumError as error:
        raise Malformed(str(error), here) from None


def _first_field(cls: type[Initializer]) -> str:
    return next((field.name for field in dataclasses.fields(cast(Any, cls))), "…")


def _argument_of(form: Form, at: Path, lookup: Lookup | None) -> object:
    if isinstance(form, list):
        return tuple(_argument_of(item, (*at, i), lookup) for i, item in enumerate(form))
    if isinstance(form, Mapping):
        if set(form) == {"law"}:
            return program_of(form["law"], (*at, "law"))
        nested = len(form) == 1 and next(iter(form)) in Initializer._registry
        return initializer_of(form, at, lookup) if nested else number_of(form, at)
    number = parsed_number(form) if isinstance(form, str) else None
    return form if number is None else number


# --- programs


def program_form(program: Program, large: dict[str, Tensor] | None = None) -> Form:
    """A program as text, every number exact."""
    if isinstance(program, laws.Constant):
        return {"constant": number_form(program.value)}
    if isinstance(program, laws.TruncNormal):
        numbers = {
            field.name: number_form(getattr(program, field.name))
            for field in dataclasses.fields(program)
            if field.name != "table"
        }
        if program.table is not None:
            numbers["table"] = [struct.pack(f"<{len(row)}f", *row).hex() for row in program.table]
        return {"trunc_normal": numbers}
    if isinstance(program, laws.Uniform):
        return {"uniform": {"low": number_form(program.low), "high": number_form(program.high)}}
    if isinstance(program, laws.Normal):
        return {"normal": {"mean": number_form(program.mean), "std": number_form(program.std)}}
    if isinstance(program, Blocks):
        return {"blocks": {"axis": program.axis, "parts": [[size, program_form(part, large)] for size, part in program.parts]}}
    if isinstance(program, Given):
        return {"given": given_form(program.values, large)}
    if isinstance(program, Renamed):
        return {"renamed": {"name": program.name, "tag": program.tag, "program": program_form(program.program, large)}}
    if isinstance(program, Computed):
        return {"computed": computed_form(program, lambda leaf: program_form(leaf, large))}
    maker = initializer_form(cast(Initializer, program.maker), large)
    layout = {
        field.name: list(value) if isinstance(value, tuple) else value
        for field in dataclasses.fields(program.layout)
        if (value := getattr(program.layout, field.name)) != field.default
    }
    numbers = {"mean": number_form(program.mean), "std": number_form(program.std)}
    return {"made": {"maker": maker, "layout": layout, **numbers, "exact": program.exact}}


def program_of(form: Form, at: Path = (), lookup: Lookup | None = None) -> Program:
    """The inverse of ``program_form``.

    Raises:
        Malformed: not a program.
    """
    if not isinstance(form, Mapping) or len(form) != 1:
        raise Malformed(
            f'a program is a mapping with one key, {{"normal": {{"mean": 0.0, "std": 0.02}}}}, not {said(form)}', at
        )
    ((kind, body),) = form.items()
    reader = _READERS.get(kind)
    here = (*at, kind)
    if reader is None:
        raise Malformed(f"no program is called {kind!r}.{nearest(str(kind), _READERS)} Known: {', '.join(_READERS)}", here)
    try:
        return reader(body, here, lookup)
    except InitiumError as error:
        raise Malformed(str(error), here) from None
    except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:  # a hand-edited form of any shape
        raise Malformed(f"this is no {kind} program: {error}", here) from None


def _law_reader(cls: Callable[..., laws.Law], *names: str) -> Callable[[Form, Path, Lookup | None], Program]:
    def read(form: Form, at: Path, lookup: Lookup | None) -> Program:
        fields = fields_of(form, at, names)
        return cls(**{name: number_of(fields[name], (*at, name)) for name in names})

    return read


def _read_constant(form: Form, at: Path, lookup: Lookup | None) -> Program:
    return laws.Constant(number_of(form, at))


def _read_trunc_normal(form: Form, at: Path, lookup: Lookup | None) -> Program:
    names = ("loc", "sigma", "low", "high", "lo", "hi", "mean", "std")
    fields = fields_of(form, at, names, ("table",))
    table = None
    if fields.get("table") is not None:
        try:
            table = tuple(struct.unpack(f"<{len(row) // 8}f", bytes.fromhex(row)) for row in fields["table"])
        except (TypeError, ValueError, struct.error):
            raise Malformed("a table is a list of texts, 8 hexadecimal digits a coefficient", (*at, "table")) from None
    return laws.TruncNormal(**{name: number_of(fields[name], (*at, name)) for name in names}, table=table)


def _read_blocks(form: Form, at: Path, lookup: Lookup | None) -> Program:
    fields = fields_of(form, at, ("axis", "parts"))
    axis, parts = fields["axis"], fields["parts"]
    if type(axis) is not int or axis < 0:
        raise Malformed(f"axis is a whole number ≥ 0, not {said(axis)}", (*at, "axis"))
    if not isinstance(parts, list) or not all(
        isinstance(part, list) and len(part) == 2 and type(part[0]) is int for part in parts
    ):
        raise Malformed("parts is a list of [size, program]", (*at, "parts"))
    return Blocks(axis, tuple((size, program_of(part, (*at, "parts", i, 1), lookup)) for i, (size, part) in enumerate(parts)))


def _read_made(form: Form, at: Path, lookup: Lookup | None) -> Program:
    fields = fields_of(form, at, ("maker", "layout", "mean", "std", "exact"))
    maker = initializer_of(fields["maker"], (*at, "maker"), lookup)
    if not hasattr(maker, "make"):
        raise Malformed(f"{maker} does not make whole tensors", (*at, "maker"))
    known = tuple(field.name for field in dataclasses.fields(Layout))
    said_of_it = fields_of(fields["layout"], (*at, "layout"), (), known)
    try:
        told: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in said_of_it.items()}
        layout = Layout(**told)
    except TypeError as error:
        raise Malformed(str(error), (*at, "layout")) from None
    mean, std = (number_of(fields[name], (*at, name)) for name in ("mean", "std"))
    return Made(cast(Maker, maker), layout, mean, std, bool(fields["exact"]))


def _read_given(form: Form, at: Path, lookup: Lookup | None) -> Program:
    return Given(given_of(form, at, lookup))


def _read_renamed(form: Form, at: Path, lookup: Lookup | None) -> Program:
    fields = fields_of(form, at, ("name", "tag", "program"))
    if not isinstance(fields["name"], str) or not isinstance(fields["tag"], str):
        raise Malformed("name and tag are texts", at)
    return Renamed(fields["name"], program_of(fields["program"], (*at, "program"), lookup), fields["tag"])


def _read_computed(form: Form, at: Path, lookup: Lookup | None) -> Program:
    return computed_of(form, at, lambda leaf, there: program_of(leaf, there, lookup))


_READERS: dict[str, Callable[[Form, Path, Lookup | None], Program]] = {
    "constant": _read_constant,
    "uniform": _law_reader(laws.Uniform, "low", "high"),
    "normal": _law_reader(laws.Normal, "mean", "std"),
    "trunc_normal": _read_trunc_normal,
    "blocks": _read_blocks,
    "made": _read_made,
    "renamed": _read_renamed,
    "computed": _read_computed,
    "given": _read_given,
}
