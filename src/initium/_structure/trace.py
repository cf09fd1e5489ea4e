"""Residual branches by an fx trace of a block: an addition of which one side is the stream and the other a branch with weights.

Nothing is computed: torch.fx runs the block's ``forward`` on symbols. Every node knows which weights lie between it and the
stream; the stream starts as the block's input and goes on at each residual addition.
"""

from __future__ import annotations

import inspect
import operator
import warnings
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import fx, nn

_ADDS = {operator.add, operator.iadd, torch.add, "add", "add_"}
_LINEAR = {F.linear, F.conv1d, F.conv2d, F.conv3d, torch.matmul, operator.matmul, F.bilinear}


class Branch(NamedTuple):
    """One residual branch, tensors by their names relative to the block.

    Args:
        ends: the weights whose output is added to the stream; those of a module that could not be looked into end in a dot.
        inner: the branch's other weights, in order.
        norm: the scale of the norm between the end and the addition, or None.
    """

    ends: tuple[str, ...]
    inner: tuple[str, ...]
    norm: str | None


def branches_of(block: nn.Module) -> tuple[Branch, ...] | None:
    """The residual branches of a block in the order of their additions; None where fx cannot trace it."""
    for shut in (False, True):
        graph = _graph(block, shut)
        if graph is not None:
            return _Reading(block, graph).branches()
    return None


def likeness(block: nn.Module) -> object:
    """What two blocks share whose traces are the same: classes, shapes, and every attribute that their forward may look at."""
    return tuple(
        (name, type(module), _shapes(module._parameters), _shapes(module._buffers), _attributes(module))
        for name, module in block.named_modules()
    )


def _shapes(tensors: dict[str, Any]) -> tuple[Any, ...]:
    return tuple((name, None if tensor is None else tensor.shape) for name, tensor in tensors.items())


def _attributes(module: nn.Module) -> tuple[Any, ...]:
    plain = (bool, int, float, str, type(None))
    held = ((name, value) for name, value in module.__dict__.items() if not name.startswith("_"))
    return tuple((name, value if isinstance(value, plain) else id(value)) for name, value in held)


class _Tracer(fx.Tracer):
    """Looks into modules that hold modules with parameters; everything else stands for itself."""

    def __init__(self, root: nn.Module, shut: bool) -> None:
        super().__init__()
        self._whole = root
        self._shut = shut

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        if isinstance(m, (nn.Sequential, nn.ModuleList, nn.ModuleDict)):
            return False
        if self._shut or m.__module__.startswith("torch.nn."):
            return True
        return not any(next(child.parameters(), None) is not None for child in m.children())


def _graph(block: nn.Module, shut: bool) -> fx.Graph | None:
    parameters = list(inspect.signature(block.forward).parameters.values())
    fixed = {p.name: p.default for p in parameters[1:] if p.default is not inspect.Parameter.empty}  # the first is the input
    if type(block).forward is nn.TransformerEncoderLayer.forward:
        return None  # its fast path asks for values
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _Tracer(block, shut).trace(block, concrete_args=fixed)
    except Exception:  # whatever a user's forward raises on symbols: it cannot be traced, and names or the user must say
        return None


@dataclass
class _Reading:
    block: nn.Module
    graph: fx.Graph
    weights: dict[fx.Node, tuple[str, ...]] = field(default_factory=dict)  # between the stream and a node
    own: dict[fx.Node, str] = field(default_factory=dict)
    norms: dict[fx.Node, str] = field(default_factory=dict)
    fed: set[fx.Node] = field(default_factory=set)  # nodes that depend on the input

    def branches(self) -> tuple[Branch, ...]:
        found: list[Branch] = []
        stream: fx.Node | None = None
        for node in self.graph.nodes:
            if node.op == "placeholder":
                stream = stream or node
                self.weights[node] = ()
                if node is stream:
                    self.fed.add(node)
                continue
            self._look(node)
            inputs = node.all_input_nodes
            if any(i in self.fed for i in inputs):
                self.fed.add(node)
            weights = tuple(dict.fromkeys(w for i in inputs for w in self.weights[i]))
            if node in self.own and node.op != "get_attr":
                weights = (*(w for w in weights if w != self.own[node]), self.own[node])
            branch = self._residual(node)
            if branch is not None:
                found.append(branch)
                weights = ()
            self.weights[node] = weights
        return tuple(found)

    def _look(self, node: fx.Node) -> None:
        """Whether a node is a weight's map, or a norm."""
        if node.op == "get_attr":
            value = _attribute(self.block, str(node.target))
            if isinstance(value, nn.Parameter) and value.dim() >= 2:
                self.own[node] = str(node.target)
        elif node.op == "call_function" and node.target in _LINEAR:
            maps = [self.own[i] for i in node.all_input_nodes if i in self.own and i.op == "get_attr"]
            if maps:
                self.own[node] = maps[-1]
        elif node.op == "call_module":
            module = self.block.get_submodule(str(node.target))
            if isinstance(module, nn.MultiheadAttention):
                self.own[node] = f"{node.target}.out_proj.weight"
            elif any(True for child in module.children() if next(child.parameters(), None) is not None):
                self.own[node] = f"{node.target}."  # shut
            else:
                weight = module._parameters.get("weight")
                if weight is not None and weight.dim() >= 2:
                    self.own[node] = f"{node.target}.weight"
                elif weight is not None and "Norm" in type(module).__name__:
                    self.norms[node] = f"{node.target}.weight"

    def _residual(self, node: fx.Node) -> Branch | None:
        if node.target not in _ADDS or len(node.args) < 2:
            return None
        sides = [side for side in node.args[:2] if isinstance(side, fx.Node) and side in self.fed]
        if len(sides) < 2:
            return None
        few, many = sorted(sides, key=lambda side: len(self.weights[side]))
        skipped, taken = self.weights[few], self.weights[many]
        projected = len(skipped) == 1 and len(taken) > 1 and skipped[0] not in taken  # a 1×1 convolution on the shortcut
        if not taken or (skipped and not projected):
            return None
        ends, norm = self._ends(many)
        return Branch(ends, tuple(w for w in taken if w not in ends), norm) if ends else None

    def _ends(self, node: fx.Node) -> tuple[tuple[str, ...], str | None]:
        """The last weights before a node, those left out that another end leads to: a gate on a branch is not its end."""
        nodes: list[fx.Node] = []
        norm: str | None = None
        todo, seen = [node], set()
        while todo:
            here = todo.pop()
            if here in seen or not self.weights.get(here):
                continue
            seen.add(here)
            if here in self.own:
                nodes.append(here)
                continue
            norm = norm or self.norms.get(here)
            todo.extend(i for i in here.all_input_nodes if i in self.fed)
        last = [
            n
            for n in nodes
            if not any(self.own[o] in self.weights[n] for o in nodes if o is not n and self.own[o] != self.own[n])
        ]
        return tuple(dict.fromkeys(self.own[n] for n in reversed(last))), norm


def _attribute(module: nn.Module, target: str) -> Any:
    value: Any = module
    for part in target.split("."):
        value = getattr(value, part, None)
    return value
