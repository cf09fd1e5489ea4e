"""Small networks on which recipes are shown, and what is measured of them: the signal through depth, or the gradient.

Everything is drawn by initium from fixed seeds and worked out in fp64, so that the pictures are the same everywhere.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import initium

Unit = Callable[[Tensor], Tensor]


def given(*shape: int, seed: int = 0) -> Tensor:
    """N(0, 1) inputs in fp64."""
    return initium.Normal()(*shape, generator=torch.Generator().manual_seed(seed)).double()


def through(blocks: Iterable[Unit], x: Tensor) -> list[Tensor]:
    """What goes in, whose gradient can be asked for, and what each block makes of it."""
    seen = [x.requires_grad_()]
    for block in blocks:
        seen.append(block(seen[-1]))
    return seen


def rms(x: Tensor) -> float:
    return float(x.square().mean().sqrt())


class Plain(nn.Module):
    """Linear layers or convolutions in a row, with a unit after each; no norms, no shortcuts."""

    def __init__(self, depth: int, width: int, unit: Unit, conv: bool = False, depthwise: bool = False) -> None:
        super().__init__()
        groups = width if depthwise else 1
        self.layers = nn.ModuleList(
            nn.Conv2d(width, width, 3, padding=1, groups=groups) if conv else nn.Linear(width, width) for _ in range(depth)
        )
        self.unit, self.shape = unit, (8, width, 12, 12) if conv else (256, width)

    def signal(self) -> list[Tensor]:
        return through([lambda x, layer=layer: self.unit(layer(x)) for layer in self.layers], given(*self.shape))


class Sines(Plain):
    """A SIREN on coordinates; what each hidden sine sees, divided by nothing."""

    def __init__(self, depth: int = 12, width: int = 256) -> None:
        super().__init__(depth, width, torch.sin)
        self.layers[0] = nn.Linear(2, width)

    def signal(self) -> list[Tensor]:
        x = torch.erf(given(256, 2) / 2**0.5)  # uniform in [−1, 1]
        seen = []
        for layer in self.layers:
            before = 30 * F.linear(x, layer.weight)
            seen.append(before)
            x = before.sin()
        return seen[1:]


class Branch(nn.Module):
    """x + α · branch(x), by kind: plain, batch norm, or ConvNeXt's; α is a scalar or a scale for each channel where there is one."""

    def __init__(self, width: int, kind: str) -> None:
        super().__init__()
        self.kind = kind
        if kind == "conv":
            self.conv1, self.conv2 = (nn.Conv2d(width, width, 3, padding=1, bias=False) for _ in range(2))
            self.bn1, self.bn2 = nn.BatchNorm2d(width), nn.BatchNorm2d(width)
        elif kind == "next":
            self.conv = nn.Conv2d(width, width, 7, padding=3, groups=width)
            self.norm, self.pwconv1, self.pwconv2 = (
                nn.LayerNorm(width),
                nn.Linear(width, 4 * width),
                nn.Linear(4 * width, width),
            )
            self.gamma = nn.Parameter(torch.ones(width))
        else:
            self.fc1, self.fc2 = nn.Linear(width, width), nn.Linear(width, width)
            if kind == "scalar":
                self.alpha = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        if self.kind == "conv":
            return x + self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))  # type: ignore[no-any-return]
        if self.kind == "next":
            y = self.norm(self.conv(x).permute(0, 2, 3, 1))
            return x + (self.gamma * self.pwconv2(F.gelu(self.pwconv1(y)))).permute(0, 3, 1, 2)
        y = self.fc2(self.fc1(x).relu())
        return x + (self.alpha * y if self.kind == "scalar" else y)  # type: ignore[no-any-return]


class Residual(nn.Module):
    """A stack of residual blocks; the stream after each."""

    def __init__(self, depth: int, width: int, kind: str) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Branch(width, kind) for _ in range(depth))
        self.head = nn.Linear(width, 10)
        self.shape = (8, width, 12, 12) if kind in ("conv", "next") else (256, width)

    def signal(self) -> list[Tensor]:
        return through(self.blocks, given(*self.shape))


class UNetBlock(nn.Module):
    """x + conv₁ silu(norm conv₀ silu(norm x)), by the names of guided diffusion or of EDM."""

    def __init__(self, width: int, edm: bool) -> None:
        super().__init__()
        first, last = (nn.Conv2d(width, width, 3, padding=1) for _ in range(2))
        norms = [nn.GroupNorm(4, width) for _ in range(2)]
        if edm:
            self.norm0, self.conv0, self.norm1, self.conv1 = norms[0], first, norms[1], last
        else:
            self.in_layers = nn.Sequential(norms[0], nn.SiLU(), first)
            self.out_layers = nn.Sequential(norms[1], nn.SiLU(), nn.Dropout(0.0), last)
        self.edm = edm

    def forward(self, x: Tensor) -> Tensor:
        if self.edm:
            return x + self.conv1(F.silu(self.norm1(self.conv0(F.silu(self.norm0(x))))))  # type: ignore[no-any-return]
        return x + self.out_layers(self.in_layers(x))  # type: ignore[no-any-return]


class UNet(nn.Module):
    """The residual blocks of a U-net, without its stages."""

    def __init__(self, depth: int, width: int, edm: bool) -> None:
        super().__init__()
        self.blocks, self.shape = nn.ModuleList(UNetBlock(width, edm) for _ in range(depth)), (8, width, 12, 12)

    def signal(self) -> list[Tensor]:
        return through(self.blocks, given(*self.shape))


class Attention(nn.Module):
    """Causal or full multi-head attention with four maps of their own."""

    def __init__(self, width: int, causal: bool, scaled: bool = True, sub: bool = False) -> None:
        super().__init__()
        self.inner = nn.LayerNorm(width) if sub else nn.Identity()
        self.num_heads, self.causal, self.scaled = 4, causal, scaled
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (f(x).unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for f in (self.q_proj, self.k_proj, self.v_proj))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal, scale=None if self.scaled else 1.0)
        return self.out_proj(self.inner(y.transpose(1, 2).flatten(2)))  # type: ignore[no-any-return]


class MLP(nn.Module):
    """fc1, GELU, fc2; with a gate SwiGLU's three; with SubLN's norm before the last."""

    def __init__(self, width: int, gated: bool, sub: bool = False) -> None:
        super().__init__()
        self.inner = nn.LayerNorm(4 * width) if sub else nn.Identity()
        if gated:
            self.gate_proj, self.up_proj, self.down_proj = (
                nn.Linear(width, 3 * width),
                nn.Linear(width, 3 * width),
                nn.Linear(3 * width, width),
            )
        else:
            self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.gated = gated

    def forward(self, x: Tensor) -> Tensor:
        if self.gated:
            return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))  # type: ignore[no-any-return]
        return self.fc2(self.inner(F.gelu(self.fc1(x))))  # type: ignore[no-any-return]


class TransformerBlock(nn.Module):
    """Pre-norm, SubLN, post-norm with α on the stream, or no norms."""

    def __init__(self, width: int, norms: str, gated: bool, causal: bool, scaled: bool, alpha: float) -> None:
        super().__init__()
        sub = norms == "sub"
        self.attn, self.mlp = Attention(width, causal, scaled, sub), MLP(width, gated, sub)
        self.norms, self.alpha = norms, alpha
        self.norm1, self.norm2 = (nn.LayerNorm(width) if norms != "none" else nn.Identity() for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        if self.norms == "post":
            x = self.norm1(self.alpha * x + self.attn(x))
            return self.norm2(self.alpha * x + self.mlp(x))  # type: ignore[no-any-return]
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))  # type: ignore[no-any-return]


class Transformer(nn.Module):
    """An embedding (or patches), blocks, a norm and a head; the stream after each block."""

    def __init__(
        self,
        depth: int = 24,
        width: int = 64,
        norms: str = "pre",
        gated: bool = False,
        patches: bool = False,
        scaled: bool = True,
        alpha: float = 1.0,
    ) -> None:
        super().__init__()
        self.embed: nn.Module = nn.Linear(48, width) if patches else nn.Embedding(256, width)
        self.layers = nn.ModuleList(TransformerBlock(width, norms, gated, not patches, scaled, alpha) for _ in range(depth))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 10)
        self.patches = patches

    def signal(self) -> list[Tensor]:
        x = self.embed(given(4, 24, 48) if self.patches else (given(4, 24).abs() * 1e4).long() % 256)
        seen = [x]
        for layer in self.layers:
            x = layer(x)
            seen.append(x)
        return seen


class Recurrent(nn.Module):
    """A recurrent layer read over a sequence; ``lags`` says how much of an input is left in the state after so many steps."""

    def __init__(self, kind: type[nn.Module], width: int = 64, **knobs: object) -> None:
        super().__init__()
        self.rnn, self.steps = kind(8, width, **knobs), 160

    def signal(self) -> list[Tensor]:
        raise NotImplementedError("a recurrent layer is shown by its lags")

    def lags(self) -> list[float]:
        x = given(self.steps, 4, 8).requires_grad_()
        out, _ = self.rnn(x)
        (grad,) = torch.autograd.grad((out[-1] * given(4, out.shape[-1], seed=1)).sum(), x)
        return [rms(step) for step in grad.flip(0)]


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "relu": lambda: Plain(30, 128, torch.relu),
    "leaky": lambda: Plain(50, 128, lambda x: F.leaky_relu(x, 0.430522949)),
    "tanh": lambda: Plain(30, 128, torch.tanh),
    "linear": lambda: Plain(30, 64, lambda x: x),
    "selu": lambda: Plain(30, 128, F.selu),
    "narrow": lambda: Plain(200, 32, torch.relu),
    "deep-tanh": lambda: Plain(300, 64, torch.tanh),
    "conv": lambda: Plain(16, 24, torch.relu, conv=True),
    "depthwise": lambda: Plain(12, 24, torch.relu, conv=True, depthwise=True),
    "sines": Sines,
    "resnet": lambda: Residual(16, 16, "conv"),
    "convnext": lambda: Residual(16, 32, "next"),
    "adm": lambda: UNet(16, 16, edm=False),
    "edm": lambda: UNet(16, 16, edm=True),
    "residual": lambda: Residual(32, 64, "plain"),
    "scalars": lambda: Residual(32, 64, "scalar"),
    "decoder": Transformer,
    "gated": lambda: Transformer(gated=True),
    "vision": lambda: Transformer(patches=True, depth=12),
    "unscaled": lambda: Transformer(scaled=False, depth=12),
    "sub-ln": lambda: Transformer(norms="sub"),
    "post-norm α": lambda: Transformer(norms="post", alpha=48**0.25),
    "post-norm": lambda: Transformer(norms="post"),
    "no-norms": lambda: Transformer(norms="none"),
    "lstm": lambda: Recurrent(nn.LSTM),
    "relu-rnn": lambda: Recurrent(nn.RNN, nonlinearity="relu"),
}


def started(network: str, recipe: str, knobs: tuple[tuple[str, object], ...] = (), seed: int = 0) -> nn.Module:
    """The network from a recipe, over torch's own laws, in fp64."""
    net = NETWORKS[network]()
    initium.initialize(net, "torch", seed=seed)
    initium.initialize(net, initium.recipe(recipe, **dict(knobs)), seed=seed)
    return net.double()


@functools.cache
def measured(network: str, recipe: str, what: str, knobs: tuple[tuple[str, object], ...] = (), seeds: int = 1) -> list[float]:
    """``signal``: the rms of what comes out of each layer; ``gradient``: of the gradient that reaches it; ``lags``: see ``Recurrent``.

    Over several seeds, their geometric mean.
    """
    logs = [
        torch.tensor(_once(started(network, recipe, knobs, seed), what), dtype=torch.float64).log() for seed in range(seeds)
    ]
    return torch.stack(logs).mean(0).exp().tolist()  # type: ignore[no-any-return]


def _once(net: nn.Module, what: str) -> list[float]:
    if what == "lags":
        return net.lags()  # type: ignore[operator, no-any-return]
    seen = net.signal()  # type: ignore[operator]
    if what == "signal":
        return [rms(x.detach()) for x in seen]
    loss = (seen[-1] * given(*seen[-1].shape, seed=1)).sum()
    return [rms(grad) for grad in torch.autograd.grad(loss, seen)]
