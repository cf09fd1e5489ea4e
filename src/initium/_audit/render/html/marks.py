"""Text and marks of the page: everything that comes from a model is escaped here."""

from __future__ import annotations

import re
from html import escape

from ..text import printable


def esc(words: object) -> str:
    """Text for between tags and inside quotes; control characters are shown, not obeyed."""
    return escape(printable(str(words)), quote=True)


def breaking(name: str) -> str:
    """A full name that may break after its dots."""
    return esc(name).replace(".", ".<wbr>")


def anchor(words: str) -> str:
    """A name as it stands in ``#CODE-name``."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", words)[:120] or "model"


def code(words: str) -> str:
    """A sentence of a check's page: ``x`` in double back-ticks becomes code."""
    return re.sub(r"``(.+?)``", r"<code>\1</code>", esc(words))


def counted(n: int, word: str) -> str:
    return f"{n:,} {word}{'' if n == 1 else 's'}"
