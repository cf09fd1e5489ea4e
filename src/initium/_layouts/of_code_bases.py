"""Layouts of code bases that train language models and are no libraries: torchtitan's and OLMo-core's experts."""

from __future__ import annotations

from typing import Any

from .._fans import Layout
from .registry import NOTHING, Layouts, module

_LINEAR = Layout("weight", (1,), (2,), (0,))  # (experts, out, in)
_MATMUL = Layout("weight", (2,), (1,), (0,))  # (experts, in, out)
# (hidden, model) in all three: gate and up are used as Linear weights, down as x @ w2
_DROPLESS = {"w1": _LINEAR, "w3": _LINEAR, "w2": _MATMUL}


@module("GroupedExperts")
def _torchtitan(m: Any) -> Layouts:
    # w1 and w3 are (experts, hidden, model), w2 is (experts, model, hidden); later versions append the axes' names: w1_EFD
    words = [
        name for name, tensor in m._parameters.items() if name.partition("_")[0] in ("w1", "w2", "w3") and tensor.dim() == 3
    ]
    return dict.fromkeys(words, _LINEAR) if len(words) == 3 else NOTHING


@module("MoEMLP")
def _olmo_core(m: Any) -> Layouts:
    return _three(m, dict.fromkeys(("w1", "w2", "w3"), _MATMUL))


@module("DroplessMoEMLP")
def _olmo_core_dropless(m: Any) -> Layouts:
    return _three(m, _DROPLESS)


def _three(m: Any, layouts: Layouts) -> Layouts:
    found = (m._parameters.get(name) for name in layouts)
    return layouts if all(tensor is not None and tensor.dim() == 3 for tensor in found) else NOTHING
