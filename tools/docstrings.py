"""A docstring as Markdown: its first paragraph, its sections, a public name with its signature."""

from __future__ import annotations

import inspect
import re

SECTION = re.compile(r"^(Use when|Not when|Args|Returns|Raises|Example|Source|References|Differs from torch):\s*(.*)$")


def first_paragraph(doc: str | None) -> str:
    """The first paragraph of a docstring, as Markdown."""
    return " ".join(inspect.cleandoc(doc or "").split("\n\n")[0].split()).replace("``", "`")


def documented(name: str, thing: object) -> str:
    """A public name: its heading, signature and docstring, and those of a class's methods."""
    text = f"### {name}\n\n```python\n{name}{signature(thing)}\n```\n\n{as_markdown(inspect.getdoc(thing) or '')}"
    if inspect.isclass(thing):
        for method, function in vars(thing).items():
            if inspect.isfunction(function) and not method.startswith("_") and function.__doc__:
                text += f"\n\n**{name}.{method}** `{signature(function)}`\n\n{as_markdown(inspect.getdoc(function) or '')}"
    return text


def signature(thing: object) -> str:
    """The parameters of a function or class, without annotations; nothing where it has none to show."""
    try:
        found = inspect.signature(thing)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return ""
    parameters = [p.replace(annotation=inspect.Parameter.empty) for p in found.parameters.values() if p.name != "self"]
    return str(found.replace(parameters=parameters, return_annotation=inspect.Signature.empty))


def as_markdown(doc: str) -> str:
    """A docstring with Args, Returns, Raises and Example sections, as Markdown."""
    out: list[str] = []
    inside = ""
    for line in doc.replace("``", "`").splitlines():
        found = SECTION.match(line)
        if found:
            _close(out, inside)
            inside = found.group(1)
            said = found.group(2)  # a sentence goes on below it, a list stands apart
            out += ["", "```python"] if inside == "Example" else ["", f"*{inside}*: {said}".rstrip(), *([] if said else [""])]
        elif inside == "Example" and (line.startswith("    ") or not line.strip()):
            out.append(line[4:])
        elif inside in ("Args", "Raises") and re.match(r"    [\w, *]+: ", line):
            said, _, rest = line.strip().partition(": ")
            out.append(f"- `{said}`: {rest}")
        elif line.startswith("    ") and inside:
            out.append(f"  {line.strip()}")
        else:
            if line.strip() or inside == "Example":
                _close(out, inside)
                inside = ""
            out.append(line)
    _close(out, inside)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(out)).strip()


def _close(out: list[str], inside: str) -> None:
    if inside == "Example":
        while out and not out[-1].strip():
            out.pop()
        out += ["```", ""]
