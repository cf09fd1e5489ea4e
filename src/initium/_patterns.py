"""Patterns over full names: globs (``*`` within one level, ``**`` across levels, ``?``, ``[abc]``, ``{a,b}``) and ``re:…``."""

from __future__ import annotations

import functools
import re

from ._errors import ArgumentError


@functools.lru_cache(maxsize=1024)
def compiled(pattern: str) -> re.Pattern[str]:
    """The regular expression that a pattern stands for; it must match a whole name."""
    if pattern.startswith("re:"):
        try:
            return re.compile(pattern[3:])
        except re.error as error:
            raise ArgumentError(f"the pattern {pattern!r} is not a regular expression: {error}") from None
    out, i = [], 0
    braces = 0
    while i < len(pattern):
        char = pattern[i]
        if pattern.startswith("**.", i) and (i == 0 or pattern[i - 1] == "."):
            out.append(r"(?:.*\.)?")  # any number of levels, none included
            i += 3
            continue
        if pattern.startswith("**", i):
            out.append(".*")
            i += 2
            continue
        if char == "*":
            out.append(r"[^.]*")
        elif char == "?":
            out.append(r"[^.]")
        elif char == "[" and "]" in pattern[i + 2 :]:
            end = pattern.index("]", i + 2)
            body = pattern[i + 1 : end].replace("\\", "\\\\")
            out.append(f"[{'^' + body[1:] if body[0] == '!' else body}]")
            i = end
        elif char == "{":
            braces += 1
            out.append("(?:")
        elif char == "}" and braces:
            braces -= 1
            out.append(")")
        elif char == "," and braces:
            out.append("|")
        else:
            out.append(re.escape(char))
        i += 1
    if braces:
        raise ArgumentError(f"the pattern {pattern!r} has an open brace: write e.g. 'blocks.{{0,1}}.**'")
    try:
        return re.compile("".join(out))
    except re.error as error:
        raise ArgumentError(f"the pattern {pattern!r} cannot be understood: {error}") from None


def matches(pattern: str, name: str) -> bool:
    """Whether the whole name matches."""
    return compiled(pattern).fullmatch(name) is not None


def is_literal(pattern: str) -> bool:
    """A pattern that can match one name only."""
    return not pattern.startswith("re:") and not set("*?[]{}") & set(pattern)
