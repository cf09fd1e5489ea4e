"""Plans as JSON text that reads well in a review, and back: a block of four lines a tensor, in the model's order.

What it is, what it gets, the worked-out program, and why. A loaded plan equals the saved one and draws the same bits. Large given values stand in a
safetensors file beside the text, by hash.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from .._entry import KINDS, Decision, Entry, Row
from .._errors import ArgumentError, FileError, nearest
from .._files import atomic_file, read_text
from .._plan import Plan
from .._stream import STREAM_VERSION, checked_seed
from .codec import initializer_form, initializer_of, program_form, program_of
from .forms import Form, Lookup, Malformed, dtype_name, dtype_of, fields_of, number_form, said
from .forms import Path as FormPath
from .places import place_of, repeated_key

VERSION = 1  # of the text; a change that an older reader would misread makes it 2

_WHAT = ("name", "key", "shape", "dtype", "kind")
_GETS = ("initializer", "mean", "std", "fan_in", "fan_out")
_RUNS = ("program",)
_WHY = ("role", "rule", "source", "tied_to", "derived_from", "overridden", "note", "is_buffer", "persistent", "on_meta")
_ALWAYS = frozenset((*_WHAT, *_GETS, "role", "rule", "source", "tied_to"))
_UNSAID: dict[str, Form] = {
    "derived_from": None,
    "overridden": [],
    "note": "",
    "is_buffer": False,
    "persistent": True,
    "on_meta": False,
}
_HEAD = ("version", "stream", "seed", "recipe", "prefix", "notes")


def encode_plan(plan: Plan, *, values_file: str | None = None, large: dict[str, Tensor] | None = None) -> str:
    """A plan as JSON text.

    Args:
        plan: any plan.
        values_file: the name of the file beside the text that has the large given values.
        large: where those go, by hash.
    """
    head: dict[str, Form] = {
        "version": VERSION,
        "stream": STREAM_VERSION,
        "seed": plan.seed,
        "recipe": plan.recipe,
        "prefix": plan.prefix,
        "notes": list(plan.notes),
    }
    if values_file is not None:
        head["values_file"] = values_file
    lines = [f"{_text(key)}: {_text(value)}," for key, value in head.items()]
    blocks = [_block(row_form(row, large)) for row in plan.rows()]
    return "{\n" + "\n".join(lines) + '\n"entries": [\n' + ",\n".join(blocks) + "\n]\n}\n"


def row_form(row: Row, large: dict[str, Tensor] | None = None) -> dict[str, Form]:
    """One tensor of a plan as JSON values: the fields of ``Entry``, rare ones only where they say something."""
    entry, decision = Entry.of(row), row.decision
    form: dict[str, Form] = {
        "name": row.name,
        "key": row.key,
        "shape": list(entry.shape),
        "dtype": dtype_name(entry.dtype),
        "kind": entry.kind,
        "initializer": None if entry.initializer is None else initializer_form(entry.initializer, large),
        "mean": number_form(entry.mean),
        "std": number_form(entry.std),
        "fan_in": entry.fan_in,
        "fan_out": entry.fan_out,
        "program": None if entry.program is None else program_form(entry.program, large),
        "role": entry.role,
        "rule": entry.rule,
        "source": entry.source,
        "tied_to": entry.tied_to,
        "derived_from": entry.derived_from,
        "overridden": list(entry.overridden),
        "note": entry.note,
        "is_buffer": entry.is_buffer,
        "persistent": is_persistent(row),
        "on_meta": decision.on_meta,
    }
    if form["program"] is None:
        del form["program"]
    return {key: value for key, value in form.items() if key not in _UNSAID or value != _UNSAID[key]}


def is_persistent(row: Row) -> bool:
    """Whether the tensor stands in the model's state_dict (some buffers do not)."""
    return row.persistent


def stored_rows(plan: Plan) -> list[Row]:
    """The rows that a state_dict has: no buffers that are not persistent, and of a computed weight the originals alone."""
    computed = set()
    for row in plan.rows():
        if row.decision.kind == "derived" and row.related is not None and row.related in plan:
            other = plan.row(
                row.related
            )  # a recipe draws the weight and derives its originals, a constructor the other way round
            computed |= {weight.name for of, weight in ((row, other), (other, row)) if _is_original(of.key, weight.key)}
    return [row for row in plan.rows() if is_persistent(row) and row.name not in computed]


def _is_original(key: str, of: str) -> bool:
    """Whether ``key`` is what the weight ``of`` is computed from, as torch names such tensors."""
    owner, dot, local = of.rpartition(".")
    return key.startswith(f"{owner}{dot}parametrizations.{local}.") or key in (f"{of}_g", f"{of}_v", f"{of}_orig")


def plan_digest(plan: Plan) -> str:
    """A hash of what a plan draws: seed, stream version, names, shapes, dtypes and laws; not of where its rules stand."""
    state = hashlib.blake2b(digest_size=16, person=b"initium/plan")
    state.update(f"{VERSION} {STREAM_VERSION} {plan.seed}".encode())
    for row in plan.rows():
        d = row.decision
        program = None if d.program is None else _without_places(program_form(d.program))
        state.update(_text([row.name, row.key, list(d.shape), dtype_name(d.dtype), d.kind, row.related, program]).encode())
    return state.hexdigest()


def _without_places(form: Form) -> Form:
    """A program's form without the lines of code that its steps come from: those are of one machine."""
    if isinstance(form, dict):
        return {key: _without_places(value) for key, value in form.items() if key != "code"}
    return [_without_places(item) for item in form] if isinstance(form, list) else form


def save_plan(plan: Plan, path: Path, *, overwrite: bool = True) -> None:
    """Write a plan as text, whole or not at all; large given values go to ``<path>.safetensors`` first.

    Raises:
        FileError: the disk refuses, or something stands there and ``overwrite`` is False.
    """
    large: dict[str, Tensor] = {}
    values_path = path.with_name(path.name + ".safetensors")
    text = encode_plan(plan, large=large)
    if large:
        text = encode_plan(plan, values_file=values_path.name)
        from safetensors.torch import save

        data = save({digest: large[digest].contiguous() for digest in sorted(large)})
        with atomic_file(values_path, overwrite=overwrite) as file:
            file.write(data)
    with atomic_file(path, overwrite=overwrite) as file:
        file.write(text.encode())


def load_plan(path: Path) -> Plan:
    """Read a plan that ``save_plan`` wrote.

    Raises:
        FileError: not such a file; the message says the file, line, column and what was expected.
    """
    return decode_plan(read_text(path, "a plan"), str(path), path.parent)


def decode_plan(text: str, where: str, folder: Path | None = None) -> Plan:
    """A plan from its text.

    Args:
        text: what ``encode_plan`` gave.
        where: what error messages call it.
        folder: where the file with large given values lies.

    Raises:
        FileError: as ``load_plan``.
    """
    from .._capture import fold  # noqa: F401  (registers the initializer that captured plans show)

    try:
        document = json.loads(text, object_pairs_hook=_without_repeats)
    except json.JSONDecodeError as error:
        cut = not text[error.pos :].strip()
        what = "the text ends here, in the middle: it was cut off" if cut else f"not JSON: {error.msg}"
        raise FileError(f"{where}:{error.lineno}:{error.colno}: {what}") from None
    except _Repeated:
        line, column, key = repeated_key(text)
        raise FileError(f"{where}:{line}:{column}: the key {key!r} stands here a second time") from None
    except RecursionError:
        raise FileError(f"{where}: not a plan: nested too deeply") from None
    try:
        return _plan_of(document, folder)
    except Malformed as error:
        line, column = place_of(text, error.path)
        raise FileError(f"{where}:{line}:{column}: {error}") from None


def _plan_of(document: Form, folder: Path | None) -> Plan:
    if not isinstance(document, Mapping) or "entries" not in document:
        raise Malformed(
            f'a plan is a mapping with "version", "seed" and "entries", not {said(document)}; initium plan --json prints one'
        )
    if document.get("version") != VERSION:
        raise Malformed(f"version {said(document.get('version'))}: this initium reads plans of version {VERSION}", ("version",))
    if document.get("stream") != STREAM_VERSION:
        raise Malformed(
            f"stream {said(document.get('stream'))}: this initium draws stream version {STREAM_VERSION}", ("stream",)
        )
    head = fields_of(document, (), (*_HEAD, "entries"), ("values_file",))
    entries = _is(head["entries"], list, "entries is a list", ("entries",))
    values_file = head.get("values_file")
    lookup = None if values_file is None or folder is None else _stored_values(folder / str(values_file))
    rows = [_row_of(entry, ("entries", i), lookup) for i, entry in enumerate(entries)]
    names = {row.name for row in rows}
    seen: set[str] = set()
    for i, row in enumerate(rows):
        if row.name in seen:
            raise Malformed(f"the name {row.name!r} stands here a second time", ("entries", i, "name"))
        seen.add(row.name)
        if row.decision.kind == "tied" and row.related not in names:
            raise Malformed(
                f"tied to {row.related!r}, which the plan does not have.{nearest(str(row.related), names)}",
                ("entries", i, "tied_to"),
            )
    seed = _is(head["seed"], int, "a seed is a whole number", ("seed",))
    try:
        checked_seed(seed)
    except ArgumentError as error:
        raise Malformed(str(error), ("seed",)) from None
    texts = {key: _is(head[key], str, f"{key} is text", (key,)) for key in ("recipe", "prefix")}
    notes = [
        _is(note, str, "a note is text", ("notes", i))
        for i, note in enumerate(_is(head["notes"], list, "notes is a list", ("notes",)))
    ]
    return Plan(rows, seed, notes=notes, **texts)


def _row_of(form: Form, at: FormPath, lookup: Lookup | None) -> Row:
    fields = {**_UNSAID, "program": None, **fields_of(form, at, tuple(sorted(_ALWAYS)), (*_UNSAID, "program"))}

    def get(key: str, kind: type | tuple[type, ...], what: str) -> Any:
        return _is(fields[key], kind, f"{key} is {what}", (*at, key))

    shape = get("shape", list, "a list of whole numbers")
    for i, size in enumerate(shape):
        _is(size, int, "a size is a whole number", (*at, "shape", i))
    kind = get("kind", str, "text")
    if kind not in KINDS:
        raise Malformed(f"no kind is called {kind!r}.{nearest(kind, KINDS)} Known: {', '.join(KINDS)}", (*at, "kind"))
    initializer, program = fields["initializer"], fields["program"]
    decision = Decision(
        shape=tuple(shape),
        dtype=dtype_of(fields["dtype"], (*at, "dtype")),
        kind=kind,
        initializer=None if initializer is None else initializer_of(initializer, (*at, "initializer"), lookup),
        program=None if program is None else program_of(program, (*at, "program"), lookup),
        fan_in=get("fan_in", (int, type(None)), "a whole number or null"),
        fan_out=get("fan_out", (int, type(None)), "a whole number or null"),
        role=get("role", str, "text"),
        rule=get("rule", str, "text"),
        overridden=tuple(get("overridden", list, "a list of texts")),
        source=get("source", str, "text"),
        note=get("note", str, "text"),
        on_meta=get("on_meta", bool, "true or false"),
    )
    if kind in ("drawn", "constant") and program is None:
        raise Malformed(f"a {kind} tensor needs its program", (*at, "kind"))
    for number in ("mean", "std"):  # what a reader sees and what is drawn must not drift apart
        if number_form(getattr(decision, number)) != fields[number]:
            raise Malformed(
                f"{number} says {said(fields[number])} and the program {getattr(decision, number)}: change the rule and plan again",
                (*at, number),
            )
    related = {"tied": "tied_to", "derived": "derived_from"}.get(kind)
    relation = get(related, str, f"the name of another tensor, where kind is {kind}") if related else None
    more = {} if fields["persistent"] is True else {"persistent": False}
    return Row(
        get("name", str, "text"), get("key", str, "text"), decision, relation, get("is_buffer", bool, "true or false"), **more
    )


def _is(value: Form, kind: type | tuple[type, ...], what: str, at: FormPath) -> Any:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise Malformed(f"{what}, not {said(value)}", at)
    return value


def _stored_values(path: Path) -> Callable[[str], Tensor]:
    def lookup(digest: str) -> Tensor:
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="pt") as file:
                return file.get_tensor(digest)  # type: ignore[no-any-return]
        except (OSError, SafetensorError) as error:
            raise FileError(f"{path}, which has the plan's given values, cannot be read: {error}") from None

    return lookup


def _text(form: Form) -> str:
    return json.dumps(form, ensure_ascii=False, allow_nan=False)


def _block(form: Mapping[str, Form]) -> str:
    lines = [
        ", ".join(f"{_text(key)}: {_text(form[key])}" for key in keys if key in form) for keys in (_WHAT, _GETS, _RUNS, _WHY)
    ]
    return "{" + ",\n ".join(line for line in lines if line) + "}"


class _Repeated(Exception):
    """A key that stands twice in one mapping."""


def _without_repeats(pairs: list[tuple[str, Form]]) -> dict[str, Form]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Repeated
    return found
