"""What goes on within a forward pass beyond each layer's size: attention and routing, seen at the operators, tokens and channels."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules import module as nn_module
from torch.utils._python_dispatch import TorchDispatchMode

_CHANNELS_FIRST = (nn.modules.conv._ConvNd, nn.modules.batchnorm._NormBase, nn.GroupNorm)
_HEADS, _QUERIES = 4, 64  # that are looked at, of the first sample


class Attention(NamedTuple):
    """One attention.

    Args:
        name: of the module it ran in.
        spread: std of a query's logits over the keys that it may see.
        entropy: of its probabilities ÷ the entropy of looking everywhere alike; both means over queries with four keys or more.
        keys: of the longest row.
    """

    name: str
    spread: float
    entropy: float
    keys: int


class Routing(NamedTuple):
    """One choice of k experts among many: the module it ran in, tokens, and for how many of them each expert was chosen."""

    name: str
    chosen: int
    tokens: int
    counts: tuple[int, ...]


class Tokens(NamedTuple):
    """How alike the tokens of a sample are behind a layer of a class: the mean cosine between them."""

    name: str
    kind: str
    cosine: float


class Channels(NamedTuple):
    """Channels of a convolution or normalisation that are constant, and not 0, over samples and places."""

    name: str
    units: int
    flat: int
    positions: int


@dataclass
class Within(TorchDispatchMode):
    """Observes a forward pass; what runs is what always runs."""

    names: dict[nn.Module, str]
    attentions: list[Attention] = field(default_factory=list)
    routings: list[Routing] = field(default_factory=list)
    tokens: list[Tokens] = field(default_factory=list)
    channels: list[Channels] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._running: list[nn.Module] = []
        self._router: tuple[str, int] = "", 0  # the last module that calls itself one, and the width of what it put out

    __hash__ = object.__hash__

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        with contextlib.suppress(RuntimeError, IndexError, TypeError):  # what has another shape is not looked at
            self._look(func._schema.name.partition("::")[2], args, kwargs, result)
        return result

    def _look(self, op: str, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        if op in ("_softmax", "_safe_softmax"):
            scores = args[0]
            if scores.dim() >= 3 and args[1] in (-1, scores.dim() - 1):
                self._attended(scores.flatten(0, -3)[:_HEADS, :_QUERIES])
        elif op.startswith("_scaled_dot_product") and "backward" not in op and args[0].dim() == 4:
            self._attended(_scores(op, args, kwargs))
        elif op == "topk" and args[0].dim() >= 2:
            self._routed(args[0], args[1], result[1])

    def _attended(self, scores: Tensor) -> None:
        scores = scores.detach().float()
        allowed = (scores > -1e4) & scores.isfinite()
        keys = allowed.sum(-1)
        rows = keys >= 4
        if not bool(rows.any()):
            return
        scores, allowed, keys = scores[rows], allowed[rows], keys[rows]
        p = scores.masked_fill(~allowed, -math.inf).softmax(-1)
        entropy = -(p * p.clamp_min(1e-30).log()).sum(-1) / keys.log()
        scores = scores.masked_fill(~allowed, 0.0)
        mean = scores.sum(-1, keepdim=True) / keys[:, None]
        spread = (((scores - mean) * allowed).square().sum(-1) / keys).sqrt()
        self.attentions.append(Attention(self._name(), float(spread.mean()), float(entropy.mean()), int(keys.max())))

    def _routed(self, scores: Tensor, k: int, chosen: Tensor) -> None:
        experts = scores.shape[-1]
        words = f"{self._name()} {type(self._running[-1]).__name__ if self._running else ''}"
        router, width = self._router
        if k < experts <= 512 and (_routes(words) or width == experts):
            counts = torch.bincount(chosen.detach().flatten(), minlength=experts).tolist()
            name = self._name() if _routes(words) else router
            self.routings.append(Routing(name, k, scores.numel() // experts, tuple(counts)))

    def _passed(self, module: nn.Module, out: Tensor) -> None:
        by_channel = isinstance(module, _CHANNELS_FIRST)
        if out.dim() >= 2 and _routes(self.names[module].rpartition(".")[2]):
            self._router = self.names[module], out.shape[-1]
        if module._modules and not isinstance(module, nn.MultiheadAttention):
            return
        if out.dim() == 3 and not by_channel and out.shape[1] >= 4:
            directions = nn.functional.normalize(out[0].float(), dim=-1)
            n = len(directions)
            self.tokens.append(
                Tokens(self.names[module], type(module).__name__, (float(directions.sum(0).square().sum()) - n) / (n * (n - 1)))
            )
        if by_channel and out.dim() >= 2:
            rest = [axis for axis in range(out.dim()) if axis != 1]
            low, high = out.amin(rest), out.amax(rest)
            flat = int(((low == high) & (low != 0)).sum())
            self.channels.append(Channels(self.names[module], out.shape[1], flat, out.numel() // out.shape[1]))

    def _name(self) -> str:
        return self.names.get(self._running[-1], "") if self._running else ""

    @contextlib.contextmanager
    def following(self) -> Iterator[None]:
        """Under observation inside, with the running module known; torch's fused encoder layers, which show no attention, are off."""

        def begins(module: nn.Module, args: Any) -> None:
            self._running.append(module)

        def ends(module: nn.Module, args: Any, output: Any) -> None:
            if self._running:
                self._running.pop()
            first = output[0] if isinstance(output, tuple) and output else output
            if isinstance(first, Tensor) and first.is_floating_point() and first.numel() and module in self.names:
                self._passed(module, first.detach())

        hooks = [
            nn_module.register_module_forward_pre_hook(begins),
            nn_module.register_module_forward_hook(ends, always_call=True),
        ]
        fused = torch.backends.mha.get_fastpath_enabled()
        torch.backends.mha.set_fastpath_enabled(False)
        try:
            with self:
                yield
        finally:
            torch.backends.mha.set_fastpath_enabled(fused)
            for hook in hooks:
                hook.remove()


def _routes(words: str) -> bool:
    return any(word in words.lower() for word in ("router", "gate", "moe", "expert"))


def _scores(op: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    """The logits of a fused attention's first sample: a few heads and queries."""
    q, k = args[0].detach()[0, :_HEADS].float(), args[1].detach()[0].float()
    k = k[:_HEADS] if k.shape[0] >= q.shape[0] else k[:1].expand(q.shape[0], -1, -1)  # fewer key heads than query heads
    queries = q.shape[-2]
    q = q[:, :_QUERIES]
    scale = kwargs.get("scale") or q.shape[-1] ** -0.5
    scores: Tensor = q @ k.transpose(-1, -2) * scale
    mask = kwargs.get("attn_mask")
    if mask is None:
        mask = next((one for one in args[3:] if isinstance(one, Tensor)), None)
    if mask is not None:
        mask = mask.detach()[0] if mask.dim() == 4 else mask.detach()
        mask = mask[..., : scores.shape[-2], :]
        mask = mask[:1] if mask.dim() == 3 else mask
        scores = scores.masked_fill(~mask, -math.inf) if mask.dtype == torch.bool else scores + mask.float()
    if any(one is True for one in (*args[3:], kwargs.get("is_causal"))) and mask is None:
        rows = torch.arange(scores.shape[-2], device=q.device)[:, None] + max(k.shape[-2] - queries, 0)
        scores = scores.masked_fill(torch.arange(k.shape[-2], device=q.device) > rows, -math.inf)
    return scores
