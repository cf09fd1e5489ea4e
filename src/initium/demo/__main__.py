"""``python -m initium.demo``: the same as ``initium demo``."""

from __future__ import annotations

from . import run

run()
