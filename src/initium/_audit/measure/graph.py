"""What the graph of a backward pass says of the forward pass that made it: how each weight was used, and what the functions between the
modules did. It stands there already, so that reading it costs a walk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from torch import Tensor

_MOST = 200_000  # nodes
_PRODUCTS = {
    "Mm": (0, 1),
    "Addmm": (1, 2),
    "Bmm": (0, 1),
    "Baddbmm": (1, 2),
    "Mv": (0, 1),
    "Convolution": (0, 1),
    "Linear": (0, 1),
}
_SHAPES = ("View", "UnsafeView", "ReshapeAlias", "AsStrided", "Expand", "Unsqueeze", "Squeeze", "Clone", "ToCopy", "Alias")
_TURNS = ("T", "Transpose")
_MEETS = ("Add", "Sub", "Cat", "Stack", "Index", "Where", "Lerp", "Addcmul", "Copy")


class Rectified(NamedTuple):
    """What one ``relu`` put out.

    Args:
        after: name of the weight whose layer it follows, or "".
        units, dead: its channels, and those that are 0 everywhere.
        positions: samples × places.
    """

    after: str
    units: int
    dead: int
    positions: int


@dataclass
class Uses:
    """How the forward pass used its weights.

    Args:
        read: whether there was a graph, and it was walked.
        factors: names of the parameters that are a factor of a matrix product or convolution as they are, not scaled before it.
        in_out: those that are read (in, out): ``x @ weight``.
        feeding: names of scales whose outcome meets no sum and no other signal before the next product: all that it takes is scaled.
        shuffled: names of weights whose outcome pixel_shuffle takes: its rows lie side by side in the plane.
        rectified: each ``relu``, module or function, in order.
    """

    read: bool = False
    factors: set[str] = field(default_factory=set)
    in_out: set[str] = field(default_factory=set)
    feeding: set[str] = field(default_factory=set)
    shuffled: set[str] = field(default_factory=set)
    rectified: list[Rectified] = field(default_factory=list)


def uses_of(outputs: list[Tensor], parameters: Mapping[str, Tensor], scales: set[str]) -> Uses:
    """Read the graph above some outputs, before a backward pass frees it.

    Args:
        parameters: name -> parameter.
        scales: names of the parameters of which it is asked whether they feed products alone.
    """
    names = {id(one): name for name, one in parameters.items()}
    consumers: dict[Any, list[tuple[Any, int]]] = {}
    nodes = _nodes([one.grad_fn for one in outputs if one.grad_fn is not None], consumers)
    found = Uses()
    if len(nodes) >= _MOST:
        return found
    found.read = True
    for node in sorted(nodes, key=lambda one: one._sequence_nr()):
        kind = _kind(node)
        if kind in _PRODUCTS:
            for side, place in enumerate(_PRODUCTS[kind]):
                _factor(node, kind, side, place, names, found)
        elif kind == "Relu":
            _rectifier(node, names, found)
        elif kind == "PixelShuffle":
            found.shuffled.add(_above(node, names)[1])
        elif kind == "AccumulateGrad" and names.get(id(node.variable)) in scales and _only_feeds(node, consumers):
            found.feeding.add(names[id(node.variable)])
    return found


def _kind(node: Any) -> str:
    return type(node).__name__.partition("Backward")[0]


def _nodes(roots: list[Any], consumers: dict[Any, list[tuple[Any, int]]]) -> list[Any]:
    seen, open_ = set(roots), list(roots)
    for node in roots:
        consumers.setdefault(node, [])
    while open_ and len(seen) < _MOST:
        node = open_.pop()
        for place, (parent, _) in enumerate(node.next_functions):
            if parent is not None:
                consumers.setdefault(parent, []).append((node, place))
                if parent not in seen:
                    seen.add(parent)
                    open_.append(parent)
    return list(seen)


def _leaf(node: Any) -> tuple[Any, int, bool]:
    """Follow an operand back through views: (where that ends, how often it was turned, whether axes were permuted)."""
    turns, permuted = 0, False
    while node is not None and (_kind(node) in _SHAPES or _kind(node) in _TURNS or _kind(node) == "Permute"):
        turns += _kind(node) in _TURNS
        permuted = permuted or _kind(node) == "Permute"
        node = node.next_functions[0][0]
    return node, turns, permuted


def _factor(node: Any, kind: str, side: int, place: int, names: Mapping[int, str], found: Uses) -> None:
    leaf, turns, permuted = _leaf(node.next_functions[place][0])
    if leaf is None or _kind(leaf) != "AccumulateGrad" or id(leaf.variable) not in names:
        return
    name = names[id(leaf.variable)]
    found.factors.add(name)
    if kind in ("Mm", "Addmm", "Bmm") and leaf.variable.dim() == 2 and not permuted and (side + turns) % 2 == 1:
        found.in_out.add(name)


def _rectifier(node: Any, names: Mapping[int, str], found: Uses) -> None:
    try:
        out = node._saved_result.detach()
    except RuntimeError:  # written over since
        return
    product, after = _above(node, names)
    channels = 1 if out.dim() > 3 or (product == "Convolution" and out.dim() > 1) else out.dim() - 1
    rest = [axis for axis in range(out.dim()) if axis != channels]
    if rest and out.numel():
        dead = int((out.amax(rest) == 0).sum())
        found.rectified.append(Rectified(after, out.shape[channels], dead, out.numel() // max(out.shape[channels], 1)))


def _above(node: Any, names: Mapping[int, str]) -> tuple[str, str]:
    """The kind of the nearest product that a node takes from, and the name of its weight; "" for what is not there."""
    for _ in range(64):
        node = node.next_functions[0][0] if node.next_functions else None
        if node is None:
            break
        if _kind(node) in _PRODUCTS:
            leaves = [_leaf(node.next_functions[place][0])[0] for place in _PRODUCTS[_kind(node)]]
            weights = [names.get(id(one.variable), "") for one in leaves if one is not None and _kind(one) == "AccumulateGrad"]
            return _kind(node), next((name for name in weights if name), "")
    return "", ""


def _only_feeds(node: Any, consumers: dict[Any, list[tuple[Any, int]]]) -> bool:
    """Whether all that comes of a leaf goes into products, and meets nothing else on the way."""
    fed, seen, open_ = False, {node}, [node]
    while open_:
        after = consumers.get(open_.pop(), [])
        if not after:
            return False  # it comes out
        for consumer, _ in after:
            kind = _kind(consumer)
            if kind in _PRODUCTS or kind.startswith("ScaledDotProduct"):
                fed = True
            elif kind.startswith(_MEETS):
                return False
            elif consumer not in seen:
                seen.add(consumer)
                open_.append(consumer)
    return fed
