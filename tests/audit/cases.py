"""The models on the checks' own pages: each is run as it stands there."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

import initium
from initium._audit.registry import Check, checks


def namespace(one: Check, title: str) -> dict[str, Any]:
    """What a page's example defines: ``Model``, perhaps ``inputs`` and ``level``."""
    found: dict[str, Any] = {
        "__name__": "case",
        "torch": torch,
        "nn": nn,
        "init": nn.init,
        "initium": initium,
        "F": nn.functional,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        exec(compile(one.section(title), f"<{one.code} {title}>", "exec"), found)
    return found


def audited(one: Check, title: str) -> initium.Report:
    """The audit of a page's example, by every check that is not a preview, and this one."""
    found = namespace(one, title)
    chosen = [code for code, other in checks().items() if not other.preview or other is one]
    return initium.audit(found["Model"], found.get("inputs"), level=found.get("level"), select=chosen)
