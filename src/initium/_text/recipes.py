"""Recipes as text, YAML or JSON, with the words of ``Rule``.

    name: mine
    knobs: {std: 0.02}
    rules:
      - {where: "**.weight", type: "*Conv2d*", init: {normal: {std: "std / sqrt(2 * depth)"}}}
      - {type: Linear, weight: xavier_normal, bias: 0}

Plain scalars are read as YAML 1.2 (its core schema) and JSON mean them: ``no`` and ``010`` hold no surprise. Anchors are followed; nothing
is constructed.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from .._errors import ArgumentError, FileError, InitiumError, nearest
from .._files import read_text
from .._patterns import compiled
from .._recipe import Recipe
from .._rules import Rule
from .._structure.structure import KNOWN_ROLES
from .codec import initializer_form, initializer_of
from .forms import Form, Malformed, dtype_name, dtype_of, number_form, number_of, said
from .forms import Path as FormPath
from .places import TOKEN, line_and_column

_TOP = ("name", "knobs", "roles", "rules")
_CONDITIONS = ("where", "type", "role", "ndim", "shape", "dtype", "optional", "buffers", "rows", "gates")
_WORDS = (*_CONDITIONS, "init")
_CALLER = re.compile(r" \([^()]*:\d+\)$")  # where a rule was made in Python; here that is this file
_RANGE = re.compile(r"-?\d*:-?\d*")
_NULLS = ("", "~", "null", "Null", "NULL")
_FLAGS = {word: truth for truth in (True, False) for word in (str(truth), str(truth).lower(), str(truth).upper())}
_BASES = {re.compile(r"[-+]?[0-9]+"): 10, re.compile(r"0o[0-7]+"): 8, re.compile(r"0x[0-9a-fA-F]+"): 16}
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_DEEPEST, _MOST = 100, 100_000  # mappings and lists within each other; values in a file, anchors followed


def read_recipe(path: str | Path) -> Recipe:
    """Read a recipe from a YAML or JSON file.

    Args:
        path: the file; one that ends in .json must be JSON.

    Returns:
        The recipe; its rules carry ``file:line`` as their source.

    Raises:
        FileError: not a recipe: the message says file, line and column, what is wrong, and the nearest word.
    """
    return parse_recipe(read_text(Path(path), "a recipe"), str(path))


def parse_recipe(text: str, where: str) -> Recipe:
    """A recipe from its text; ``where`` is what messages and the rules' sources call it."""
    text = text.removeprefix("\ufeff")  # a byte order mark, which editors on Windows write
    if where.lower().endswith(".json"):
        _check_json(text, where)
        text = text.replace("\t", " ")  # YAML knows no tabs; in valid JSON they stand between tokens only
    marks: dict[FormPath, yaml.Mark] = {}
    try:
        root = yaml.compose(text, Loader=_Loader)
        document = None if root is None else _form(root, (), marks, ())
        return _recipe_of(document, where, marks)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise FileError(f"{where}{place}: not YAML: {error.problem or error.context}") from None
    except yaml.reader.ReaderError as error:
        line, column = line_and_column(text, error.position)
        raise FileError(f"{where}:{line}:{column}: not YAML: it may not hold the character {text[error.position]!r}") from None
    except RecursionError:
        raise FileError(f"{where}: not a recipe: nested too deeply") from None
    except Malformed as error:
        line, column = _place(marks, error.path)
        raise FileError(f"{where}:{line}:{column}: {error}") from None


class _Loader(yaml.SafeLoader):
    """PyYAML's, which takes minutes for text that is nested thousands deep."""

    _depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise yaml.composer.ComposerError(None, None, "nested too deeply", self.peek_event().start_mark)  # type: ignore[no-untyped-call]
        found = super().compose_node(parent, index)
        self._depth -= 1
        return found


def _check_json(text: str, where: str) -> None:
    def refuse(constant: str) -> None:
        line, column = line_and_column(text, next(token.start() for token in TOKEN.finditer(text) if token[0] == constant))
        raise FileError(f"{where}:{line}:{column}: not JSON: {constant} stands in quotes there")

    try:
        json.loads(text, parse_int=str, parse_float=str, parse_constant=refuse)  # what the numbers are, YAML's reading says
    except json.JSONDecodeError as error:
        raise FileError(f"{where}:{error.lineno}:{error.colno}: not JSON: {error.msg}") from None
    except RecursionError:
        raise FileError(f"{where}: not a recipe: nested too deeply") from None


def _form(node: yaml.Node, at: FormPath, marks: dict[FormPath, yaml.Mark], above: tuple[yaml.Node, ...]) -> Form:
    """The value of a YAML node, its place and those of what is in it noted."""
    marks.setdefault(at, node.start_mark)
    if len(marks) > _MOST:
        raise Malformed(f"anchors make more than {_MOST:,} values of this file", at[:2])
    if any(node is other for other in above):
        raise Malformed("an anchor that contains itself", at)
    if isinstance(node, yaml.ScalarNode):
        return _scalar(node, at)
    if isinstance(node, yaml.SequenceNode):
        return [_form(child, (*at, i), marks, (*above, node)) for i, child in enumerate(node.value)]
    assert isinstance(node, yaml.MappingNode)
    mapping: dict[str, Form] = {}
    for key_node, child in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            raise Malformed("a key is a word", at)
        here = (*at, key_node.value)
        marks[here] = key_node.start_mark
        if key_node.value in mapping:
            raise Malformed(f"the key {key_node.value!r} stands here a second time", here)
        mapping[key_node.value] = _form(child, here, marks, (*above, node))
    return mapping


def _scalar(node: yaml.ScalarNode, at: FormPath) -> Form:
    text = str(node.value)
    if node.style is not None:  # quoted: text, whatever it spells
        return text
    if text in _NULLS:
        return None
    if text in _FLAGS:
        return _FLAGS[text]
    if _SPECIAL.fullmatch(text):
        return float(text.replace(".", ""))
    base = next((base for pattern, base in _BASES.items() if pattern.fullmatch(text)), None)
    if base is None and not _FLOAT.fullmatch(text):
        return text
    if base in (None, 10) and math.isinf(float(text)):
        raise Malformed(f"{text[:20]}{'…' if len(text) > 20 else ''} is beyond what double precision holds (1.8e308)", at)
    return float(text) if base is None else int(text, base)


def _place(marks: Mapping[FormPath, yaml.Mark], path: FormPath) -> tuple[int, int]:
    while path and path not in marks:
        path = path[:-1]
    mark = marks.get(path)
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


def _recipe_of(document: Form, where: str, marks: Mapping[FormPath, yaml.Mark]) -> Recipe:
    if not isinstance(document, dict):
        raise Malformed(
            f"a recipe is a mapping with the key rules, not {said(document)}: rules: [{{type: Linear, weight: xavier_normal, bias: 0}}]"
        )
    for key in document:
        if key not in _TOP:
            raise Malformed(f"unknown key {key!r}.{nearest(key, _TOP)} A recipe has {', '.join(_TOP)}", (key,))
    name, knobs, rules = document.get("name", ""), document.get("knobs", {}), document.get("rules")
    if not isinstance(name, str):
        raise Malformed(f"name is text, not {said(name)}", ("name",))
    if not isinstance(knobs, dict):
        raise Malformed(f"knobs is a mapping of names to numbers, not {said(knobs)}", ("knobs",))
    if not isinstance(rules, list):
        raise Malformed(f"rules is a list of rules, not {said(rules)}", ("rules",) if "rules" in document else ())
    roles = document.get("roles", {})
    if not isinstance(roles, dict):
        raise Malformed(f"roles is a mapping of globs to roles, not {said(roles)}", ("roles",))
    said_roles = {_glob(glob, ("roles", glob)): _roles(value, ("roles", glob)) for glob, value in roles.items()}
    numbers = {knob: number_of(value, ("knobs", knob)) for knob, value in knobs.items()}
    found = []
    for i, form in enumerate(rules):
        rule = _rule_of(form, ("rules", i))
        object.__setattr__(rule, "source", f"{where}:{_place(marks, ('rules', i))[0]}")
        found.append(rule)
    return Recipe(found, name=name, knobs=numbers, roles=said_roles)


def _rule_of(form: Form, at: FormPath) -> Rule:
    if not isinstance(form, dict):
        raise Malformed(f"a rule is a mapping, not {said(form)}: {{type: Linear, weight: xavier_normal, bias: 0}}", at)
    tensors = {key: value for key, value in form.items() if key not in _WORDS}
    _check_words(form, tensors, at)
    words: dict[str, Any] = {key: _READERS[key](form[key], (*at, key)) for key in _CONDITIONS if key in form}
    if "init" in form:
        words["initializer"] = initializer_of(form["init"], (*at, "init"))
    found: dict[str, Any] = {name: initializer_of(value, (*at, name)) for name, value in tensors.items()}
    try:
        return Rule(**words, **found)
    except InitiumError as error:
        raise Malformed(_CALLER.sub("", str(error)), at) from None


def _check_words(form: Mapping[str, Form], tensors: Mapping[str, Form], at: FormPath) -> None:
    """Any other word is a tensor's local name, so a misspelt one must not pass for that."""
    example = "init: xavier_normal, or tensors by their local names, weight: xavier_normal"
    for key in tensors:
        close = _misspelt(key)
        if close:
            raise Malformed(f"unknown key {key!r}. Did you mean {close!r}?", (*at, key))
        if key == "test":
            raise Malformed("test= is a Python function and cannot be said in a file", (*at, key))
        if "init" in form:
            raise Malformed(
                f"unknown key {key!r}: a rule has either init or tensors by their local names; its words are {', '.join(_WORDS)}",
                (*at, key),
            )
        if not key.isidentifier():
            raise Malformed(f"{key!r} is not a tensor's local name: full names go into where: {key!r}", (*at, key))
    if "init" not in form and not tensors:
        raise Malformed(f"the rule says nothing to do: add {example}", at)


def _misspelt(key: str) -> str | None:
    import difflib

    known = {
        "initializer": "init",
        "initialiser": "init",
        "name": "where",
        "pattern": "where",
        "class": "type",
        "match": "where",
    }
    close = difflib.get_close_matches(key.lower(), [*_WORDS, *known], n=1, cutoff=0.8)
    return known.get(close[0], close[0]) if close else None


def _glob(form: Form, at: FormPath) -> str:
    text = _word(form, at)
    try:
        compiled(text)
    except ArgumentError as error:
        raise Malformed(str(error), at) from None
    return text


def _word(form: Form, at: FormPath) -> str:
    if not isinstance(form, str):
        raise Malformed(f"{at[-1]} is text, not {said(form)}", at)
    return form


def _words(form: Form, at: FormPath) -> tuple[str, ...]:
    return tuple(_word(item, at) for item in (form if isinstance(form, list) else [form]))


def _roles(form: Form, at: FormPath) -> tuple[str, ...]:
    for role in _words(form, at):
        if role not in KNOWN_ROLES:
            raise Malformed(f"no role is called {role!r}.{nearest(role, KNOWN_ROLES)} Known: {', '.join(KNOWN_ROLES)}", at)
    return _words(form, at)


def _whole(form: Form, at: FormPath) -> int:
    if isinstance(form, bool) or not isinstance(form, int):
        raise Malformed(f"{at[-1]} is a whole number, not {said(form)}", at)
    return form


def _wholes(form: Form, at: FormPath) -> tuple[int, ...]:
    return tuple(_whole(item, at) for item in (form if isinstance(form, list) else [form]))


def _shape(form: Form, at: FormPath) -> tuple[int | None, ...]:
    if not isinstance(form, list):
        raise Malformed(f"shape is a list of sizes, null for any: [64, null, 3, 3], not {said(form)}", at)
    return tuple(None if size is None else _whole(size, at) for size in form)


def _flag(form: Form, at: FormPath) -> bool:
    if not isinstance(form, bool):
        raise Malformed(f"{at[-1]} is true or false, not {said(form)}", at)
    return form


def _rows(form: Form, at: FormPath) -> str:
    text = (
        ":".join("" if end is None else str(_whole(end, at)) for end in form)
        if isinstance(form, list) and len(form) == 2
        else form
    )
    if not isinstance(text, str) or not _RANGE.fullmatch(text):
        raise Malformed(f"rows is a range, 0:64 or [0, 64], not {said(form)}", at)
    return text


_READERS: dict[str, Any] = {
    "where": _glob,
    "type": _word,
    "role": _roles,
    "ndim": _wholes,
    "shape": _shape,
    "dtype": dtype_of,
    "optional": _flag,
    "buffers": _flag,
    "rows": _rows,
    "gates": _words,
}


def recipe_text(recipe: Recipe, format: str = "yaml") -> str:
    """A recipe as text, a rule a line; module classes become their names.

    Args:
        recipe: any recipe.
        format: ``"yaml"`` or ``"json"``.

    Raises:
        ArgumentError: a rule that text cannot say: one with ``test=``, or with both a class and ``type=``.
    """
    if format not in ("yaml", "json"):
        raise ArgumentError(f"a recipe is written as yaml or json, not {format!r}")
    form = recipe_form(recipe)
    rules = form.pop("rules")
    if format == "json":
        lines = [f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}," for key, value in form.items()]
        listed = ",\n".join(json.dumps(rule, ensure_ascii=False) for rule in rules)
        return "{\n" + "".join(line + "\n" for line in lines) + f'"rules": [\n{listed}\n]\n}}\n'
    listed = "".join(f"  - {_flow(rule)}\n" for rule in rules)
    return "".join(f"{key}: {_flow(value)}\n" for key, value in form.items()) + (
        "rules:\n" + listed if rules else "rules: []\n"
    )


def recipe_form(recipe: Recipe) -> dict[str, Form]:
    """A recipe as JSON values: name and knobs where it has them, and rules."""
    head: dict[str, Form] = {"name": recipe.name} if recipe.name else {}
    if recipe.knobs:
        head["knobs"] = {name: number_form(value) for name, value in recipe.knobs}
    if recipe.roles:
        head["roles"] = {glob: roles[0] if len(roles) == 1 else list(roles) for glob, roles in recipe.roles}
    return {**head, "rules": [_rule_form(rule) for rule in recipe.rules]}


def _flow(form: Form) -> str:
    text = yaml.safe_dump(form, default_flow_style=True, sort_keys=False, allow_unicode=True, width=2**30)
    return text.removesuffix("\n").removesuffix("...").removesuffix("\n")


def write_recipe(recipe: Recipe, path: str | Path, *, overwrite: bool = False) -> None:
    """Write a recipe as YAML, or as JSON where the path ends in .json; whole or not at all.

    Raises:
        FileError: something stands there, or the disk refuses.
    """
    from .._files import atomic_file

    text = recipe_text(recipe, "json" if str(path).lower().endswith(".json") else "yaml")
    with atomic_file(Path(path), overwrite=overwrite) as file:
        file.write(text.encode())


def _rule_form(rule: Rule) -> dict[str, Form]:
    if rule.test is not None:
        raise ArgumentError(f"{rule} has test=, a Python function, which cannot be written as text")
    if isinstance(rule.where, type) and rule.type is not None:
        raise ArgumentError(f"{rule} has a class and type=, and text has one word for both: say one of them")
    cls = rule.where if isinstance(rule.where, type) else rule.type
    form: dict[str, Form] = {}
    if isinstance(rule.where, str):
        form["where"] = rule.where
    if cls is not None:
        form["type"] = cls if isinstance(cls, str) else cls.__name__
    for word in ("role", "ndim", "gates"):
        values = getattr(rule, word)
        if values:
            form[word] = values[0] if len(values) == 1 else list(values)
    if rule.shape is not None:
        form["shape"] = list(rule.shape)
    if rule.rows:
        form["rows"] = rule.rows
    if rule.dtype is not None:
        form["dtype"] = dtype_name(rule.dtype)
    form.update({word: True for word in ("optional", "buffers") if getattr(rule, word)})
    if rule.initializer is not None:
        form["init"] = initializer_form(rule.initializer)
    form.update({name: initializer_form(initializer) for name, initializer in rule.tensors})
    return form
