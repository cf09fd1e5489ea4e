"""The pictures of the recipes: on a small network, the signal (or the gradient) through depth, beside what another start gives."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import probes
import svg
import torch
from figures_initializers import Figure
from torch import nn

import initium

Knobs = tuple[tuple[str, object], ...]


class Shown(NamedTuple):
    """What a recipe is shown on: a network of ``probes``, the starts beside it (``recipe@network`` on another one), what is measured,
    the recipe's knobs, and over how many seeds."""

    network: str
    beside: tuple[str, ...]
    what: str = "signal"
    knobs: Knobs = ()
    seeds: int = 1


NETWORKS = {
    "relu": "30 dense layers of 128 ReLU units",
    "leaky": "50 dense layers of 128 leaky ReLU units of slope 0.4305",
    "tanh": "30 dense layers of 128 tanh units",
    "linear": "30 linear layers of width 64",
    "selu": "30 dense layers of 128 SELU units",
    "narrow": "200 dense layers of 32 ReLU units",
    "deep-tanh": "300 dense layers of 64 tanh units",
    "conv": "16 convolutions of 24 channels with ReLU",
    "depthwise": "12 depthwise 3 × 3 convolutions of 24 channels with ReLU",
    "sines": "12 layers of 256 sines",
    "resnet": "16 residual blocks of two convolutions with batch norm",
    "convnext": "16 ConvNeXt blocks of width 32",
    "adm": "16 residual blocks of a U-net, group norms and SiLU",
    "edm": "16 residual blocks of a U-net, group norms and SiLU",
    "residual": "32 residual blocks of two dense layers, without norms",
    "scalars": "32 residual blocks with a scalar α, without norms",
    "decoder": "a pre-norm decoder of 24 layers, width 64",
    "gated": "a pre-norm decoder of 24 layers with gated feed-forward nets, width 64",
    "vision": "a pre-norm encoder of 12 layers on patches, width 64",
    "unscaled": "a pre-norm decoder of 12 layers whose attention does not divide by √d_kv",
    "sub-ln": "a transformer of 24 layers with two norms in every branch",
    "post-norm α": "a post-norm transformer of 24 layers with α = 48^¼ on the stream",
    "post-norm": "without α",
    "no-norms": "a transformer of 24 layers without norms",
    "lstm": "an LSTM of 64 units",
    "relu-rnn": "an RNN of 64 ReLU units",
}
MEASURES = {
    "signal": ("layer", "rms of the signal"),
    "gradient": ("layer", "rms of the gradient"),
    "lags": ("steps back", "rms of the last state's gradient in the input"),
}
SHOWN = {
    "adm": Shown("adm", ("torch",)),
    "stable-diffusion": Shown("adm", ("torch",)),
    "ddpmpp": Shown("edm", ("torch",)),
    "edm-adm": Shown("edm", ("torch",)),
    "bert": Shown("decoder", ("gpt2", "torch")),
    "bn-zero-gamma": Shown("resnet", ("he",)),
    "chrono": Shown("lstm", ("forget-bias", "torch"), "lags", (("t_max", 200),)),
    "clip": Shown("vision", ("clip-openai", "torch")),
    "clip-openai": Shown("vision", ("clip", "torch")),
    "deepnorm": Shown("post-norm α", ("xavier@post-norm",), "gradient"),
    "depth-scaled": Shown("decoder", ("gpt2-residual", "llama")),
    "edge-of-chaos": Shown("deep-tanh", ("xavier", "torch"), "gradient", (("orthogonal", True),)),
    "fixup": Shown("residual", ("he", "xavier")),
    "forget-bias": Shown("lstm", ("torch",), "lags"),
    "gpt2": Shown("decoder", ("llama", "torch")),
    "gpt2-residual": Shown("decoder", ("llama", "torch")),
    "he": Shown("relu", ("xavier", "torch")),
    "irnn": Shown("relu-rnn", ("he", "torch"), "lags"),
    "layerscale": Shown("convnext", ("torch",)),
    "lecun": Shown("selu", ("he", "torch")),
    "llama": Shown("gated", ("torchtitan-llama3", "torch")),
    "megatron": Shown("decoder", ("llama", "torch")),
    "mimetic": Shown("vision", ("timm-vit",)),
    "mixtral": Shown("gated", ("torchtitan-llama3", "torch")),
    "nanogpt": Shown("decoder", ("llama", "torch")),
    "normal": Shown("relu", ("he",)),
    "olmo-mitchell": Shown("gated", ("olmo-normal", "torch")),
    "olmo-normal": Shown("gated", ("olmo-mitchell", "torch")),
    "orthogonal": Shown("linear", ("lecun", "torch")),
    "random-walk": Shown("narrow", ("he",), "gradient", (), 4),
    "resnet-2015": Shown("conv", ("xavier-all", "torch")),
    "rezero": Shown("scalars", ("he", "xavier")),
    "selu": Shown("selu", ("he", "torch")),
    "siren": Shown("sines", ("torch",)),
    "skipinit": Shown("scalars", ("he", "xavier")),
    "mpt": Shown("decoder", ("llama", "torch")),
    "nanochat": Shown("decoder", ("gpt2", "torch")),
    "olmo-core": Shown("gated", ("olmo-normal", "torch")),
    "subln": Shown("sub-ln", ("xavier", "torch")),
    "small": Shown("decoder", ("wang", "xavier")),
    "t-fixup": Shown("no-norms", ("xavier",), "signal", (("kind", "one stack"),)),
    "t5": Shown("unscaled", ("torch",)),
    "timm-convnext": Shown("convnext", ("torch",)),
    "timm-efficientnet": Shown("depthwise", ("torchvision-efficientnet", "torch")),
    "timm-resnet": Shown("resnet", ("torchvision-resnet",)),
    "timm-vit": Shown("vision", ("timm-vit-jax", "torch")),
    "timm-vit-jax": Shown("vision", ("timm-vit", "torch")),
    "timm-vit-jax-nlhb": Shown("vision", ("timm-vit", "torch")),
    "timm-vit-moco": Shown("vision", ("timm-vit", "torch")),
    "deit": Shown("vision", ("vit", "torch")),
    "dinov2": Shown("vision", ("vit", "torch")),
    "switch-transformers": Shown("unscaled", ("torch",)),
    "timm-beit": Shown("vision", ("timm-vit", "torch")),
    "torch": Shown("relu", ("he",)),
    "torchtitan-llama3": Shown("gated", ("llama", "torch")),
    "torchtitan-qwen3": Shown("gated", ("torchtitan-llama3", "torch")),
    "ds-init": Shown("post-norm", ("xavier",), "gradient"),
    "tat": Shown("leaky", ("he", "torch")),
    "torchvision-convnext": Shown("convnext", ("torch",)),
    "torchvision-densenet": Shown("conv", ("torch",)),
    "torchvision-efficientnet": Shown("depthwise", ("timm-efficientnet", "torch")),
    "torchvision-mobilenet": Shown("depthwise", ("timm-efficientnet", "torch")),
    "torchvision-regnet": Shown("depthwise", ("timm-efficientnet", "torch")),
    "torchvision-resnet": Shown("resnet", ("bn-zero-gamma",)),
    "torchvision-swin": Shown("vision", ("torch",)),
    "torchvision-vgg": Shown("conv", ("torch",)),
    "torchvision-vit": Shown("vision", ("timm-vit", "torch")),
    "vit": Shown("vision", ("torch",)),
    "wang": Shown("decoder", ("small", "xavier")),
    "whisper": Shown("vision", ("torch",)),
    "xavier": Shown("tanh", ("normal", "torch")),
    "xavier-all": Shown("conv", ("resnet-2015", "torch")),
    "zero": Shown("residual", ("he", "xavier")),
}


def figure(name: str) -> Figure:
    """The picture of a recipe.

    Raises:
        KeyError: nobody has said what the recipe is shown on: a line in ``SHOWN``, or a function in ``SPECIAL``.
    """
    return SPECIAL[name]() if name in SPECIAL else _curves(name, SHOWN[name])


def _curves(name: str, shown: Shown) -> Figure:
    lines = [svg.Curve(name, probes.measured(shown.network, name, shown.what, shown.knobs, shown.seeds), True)]
    told = []
    for other in shown.beside:
        recipe, _, network = other.partition("@")
        told.append(f"{recipe}, {NETWORKS[network]}" if network else recipe)
        values = probes.measured(network or shown.network, recipe, shown.what, (), shown.seeds)
        lines.append(svg.Curve(told[-1], values))
    along, up = MEASURES[shown.what]
    said = "".join(f", {knob}={value}" for knob, value in shown.knobs)
    more = {"gradient": "; the loss is at the right end"}.get(shown.what, "")
    more += "; before each sine, by the weights alone" if shown.network == "sines" else ""
    more += f"; geometric mean of {shown.seeds} seeds" if shown.seeds > 1 else ""
    what = NETWORKS[shown.network]
    title = f"{what[0].upper()}{what[1:]}: {name}{said}, and beside it {' and '.join(told)}{more}."
    return Figure(svg.curves(lines, title, along, up), title)


def _normal(net: nn.Module, recipe: str, name: str, std: float, what: str) -> Figure:
    """Weights of one tensor over N(0, std²)."""
    values = initium.plan(net, recipe, seed=0).values(name).double().tolist()
    title = f"{len(values):,} weights of {what}: N(0, {std:g}²), the line."
    density = lambda x: math.exp(-((x / std) ** 2) / 2) / (std * math.sqrt(2 * math.pi))  # noqa: E731
    return Figure(svg.histogram(values, title, density), title)


def _dcgan() -> Figure:
    return _normal(nn.ConvTranspose2d(32, 16, 4), "dcgan", "weight", 0.02, "a transposed convolution of 32 × 16 × 4 × 4")


def _cyclegan() -> Figure:
    return _normal(nn.Conv2d(32, 32, 3), "cyclegan", "weight", 0.02, "a convolution of 32 × 32 × 3 × 3")


def _stylegan2() -> Figure:
    net = nn.ModuleDict({"affine": nn.Linear(64, 64)})
    return _normal(net, "stylegan2", "affine.weight", 1.0, "a layer of 64 × 64, which divides by √64 as it runs")


def _lora() -> Figure:
    net = nn.ModuleDict({"lora_A": nn.Linear(512, 8, bias=False), "lora_B": nn.Linear(8, 512, bias=False)})
    values = initium.plan(net, "lora", seed=0).values("lora_A.weight").double().tolist()
    title = "4,096 weights of A, 8 × 512: U(±1 / √512), the line. Those of B are 0."
    end = 512**-0.5
    return Figure(svg.histogram(values, title, lambda x: 0.5 / end, (-end, end)), title)


def _controlnet() -> Figure:
    lines = []
    for name in ("controlnet", "torch"):
        net = nn.ModuleDict({"controlnet_down_blocks": nn.ModuleList(nn.Conv2d(16, 16, 1) for _ in range(12))})
        initium.initialize(net, name, seed=0)
        x = probes.given(8, 16, 12, 12)
        added = [probes.rms(conv.double()(x).detach()) for conv in net["controlnet_down_blocks"]]
        lines.append(svg.Curve(name, added, name == "controlnet"))
    title = "What 12 zero convolutions add to the frozen network: nothing, and beside it torch's own start."
    return Figure(svg.curves(lines, title, "convolution", "rms of what is added", first=1), title)


def _dit() -> Figure:
    """Twelve blocks x + gate · f(x), gates by the modulation: the recipe's are 0."""
    lines = []
    for name in ("dit", "torch"):
        x = probes.given(64, 32)
        seen, condition = [1.0], probes.given(64, 32, seed=1)
        for layer in range(12):
            net = nn.ModuleDict({"adaLN_modulation": nn.Sequential(nn.SiLU(), nn.Linear(32, 32)), "fc": nn.Linear(32, 32)})
            initium.initialize(net, name, seed=layer)
            net.double()
            with torch.no_grad():
                x0 = x if layer == 0 else x0  # noqa: F821
                x = x + net["adaLN_modulation"](condition) * net["fc"](x)
            seen.append(probes.rms(x - x0))
        lines.append(svg.Curve(name, [0.0, *seen[1:]], name == "dit"))
    title = "How far 12 gated blocks move their input: dit not at all, torch's own start at once."
    return Figure(svg.curves(lines, title, "layer", "rms of what was added"), title)


def _policy(recipe: str, actor: str, critic: str) -> Figure:
    """Probabilities of six actions over a thousand observations."""
    lines = []
    for name in (recipe, "torch"):
        net = nn.ModuleDict({"body": nn.Linear(8, 64), actor: nn.Linear(64, 6), critic: nn.Linear(64, 1)})
        initium.initialize(net, name, seed=0)
        net.double()
        with torch.no_grad():
            chances = net[actor](net["body"](probes.given(1000, 8)).tanh()).softmax(1).sort(1).values.mean(0)
        lines.append(svg.Curve(name, chances.tolist(), name == recipe))
    title = (
        f"Six actions by their probability, from the least to the most likely, mean of 1,000 observations: 1 / 6 with {recipe}."
    )
    return Figure(svg.curves(lines, title, "action, by rank", "probability", first=1), title)


def _steps(recipe: str, knobs: Knobs, net: nn.Module, name: str, what: str) -> Figure:
    """Step sizes over the logarithm, by a softplus of the bias or by the logarithm itself."""
    values = initium.plan(net, initium.recipe(recipe, **dict(knobs)), seed=0).values(name).double()
    steps = values.exp() if name.startswith("log") else (values.exp() + 1).log()
    title = f"log₁₀ of 4,096 step sizes Δ = {what}: uniform from 0.001 to 0.1, the line."
    return Figure(svg.histogram(steps.log10().tolist(), title, lambda x: 0.5 if -3 <= x <= -1 else 0.0, (-3.2, -0.8)), title)


def _bare(**shapes: tuple[int, ...]) -> nn.Module:
    net = nn.Module()
    for name, shape in shapes.items():
        net.register_parameter(name, nn.Parameter(torch.zeros(shape)))
    return net


def _mamba() -> Figure:
    net = _bare(A_log=(4096, 4), D=(4096,))
    net.dt_proj = nn.Linear(4, 4096)
    return _steps("mamba", (), net, "dt_proj.bias", "softplus(dt_proj.bias)")


def _predictor(recipe: str, net: nn.Module, name: str) -> Figure:
    return _normal(net, recipe, name, 0.01, f"{name.removesuffix('.weight')}")


def _retinanet() -> Figure:
    """The probability of an object at 4,096 places, at the start."""
    lines = []
    for name in ("torchvision-retinanet", "torch"):
        head = nn.ModuleDict({"classification_head": nn.ModuleDict({"cls_logits": nn.Conv2d(64, 9, 3)})})
        initium.initialize(head, name, seed=0)
        with torch.no_grad():
            found = (
                head.double()["classification_head"]["cls_logits"](probes.given(8, 64, 24, 24))
                .sigmoid()
                .flatten()
                .sort()
                .values
            )
        lines.append(svg.Curve(name, found[:: len(found) // 60].tolist(), name != "torch"))
    title = "The probability of an object at each of 34,848 anchors, sorted: 0.01 at the start, and beside it torch's own."
    return Figure(svg.curves(lines, title, "anchors, sorted, in sixtieths", "probability"), title)


SPECIAL: dict[str, Callable[[], Figure]] = {
    "cleanrl": lambda: _policy("cleanrl", "actor", "critic"),
    "controlnet": _controlnet,
    "cyclegan": _cyclegan,
    "dcgan": _dcgan,
    "dit": _dit,
    "lora": _lora,
    "detectron2": lambda: _predictor("detectron2", nn.ModuleDict({"rpn_head": nn.Conv2d(32, 32, 3)}), "rpn_head.weight"),
    "mamba": _mamba,
    "mamba2": lambda: _steps("mamba2", (), _bare(A_log=(4096,), D=(4096,), dt_bias=(4096,)), "dt_bias", "softplus(dt_bias)"),
    "s4d": lambda: _steps("s4d", (), _bare(log_A_real=(4096, 2), log_dt=(4096,)), "log_dt", "e^log_dt"),
    "torchvision-faster-rcnn": lambda: _predictor(
        "torchvision-faster-rcnn", nn.ModuleDict({"rpn": nn.ModuleDict({"head": nn.Conv2d(32, 32, 3)})}), "rpn.head.weight"
    ),
    "torchvision-retinanet": _retinanet,
    "sb3": lambda: _policy("sb3", "action_net", "value_net"),
    "stylegan2": _stylegan2,
}
