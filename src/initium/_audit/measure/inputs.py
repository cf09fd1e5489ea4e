"""An input for a model that was given none: from what the model says of itself, the likeliest first.

Images are low-frequency noise, not white: white noise is averaged away by pooling, and then all inputs look alike.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BATCH = 2
_SIZES = (64, 224, 32, 28, 128, 299)


class Inputs(NamedTuple):
    """What a forward pass is called with, and where that comes from."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    how: str


def given(inputs: Any) -> Inputs:
    """The user's own: a tensor, a tuple of arguments, a mapping of keywords, or a callable that makes one of these."""
    if callable(inputs) and not isinstance(inputs, (Tensor, Mapping)):
        inputs = inputs()
    if isinstance(inputs, Mapping):
        return Inputs((), dict(inputs), "inputs=")
    if isinstance(inputs, (tuple, list)):
        return Inputs(tuple(inputs), {}, "inputs=")
    return Inputs((inputs,), {}, "inputs=")


def candidates(model: nn.Module) -> Iterator[Inputs]:
    """Inputs to try, in order."""
    generator = torch.Generator().manual_seed(0)
    for source in (_example_input_array, _dummy_inputs, _default_cfg, _of_config, _by_image_size, _first_layer):
        try:
            yield from source(model, generator)
        except Exception:  # a model's attributes may be anything: the next source is tried
            continue


def image(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Noise with power at all scales, about 1/f, mean 0 and std 1 in each channel: (batch, channels, *size)."""
    size = shape[2:]
    total = torch.zeros(shape)
    mode = {1: "linear", 2: "bilinear", 3: "trilinear"}[len(size)]
    cells = 2
    while cells <= max(size):
        grid = tuple(min(cells, side) for side in size)
        coarse = torch.randn((*shape[:2], *grid), generator=generator)
        total += F.interpolate(coarse, size=size, mode=mode, align_corners=False)
        cells *= 2
    flat = total.flatten(2)
    flat = (flat - flat.mean(-1, keepdim=True)) / flat.std(-1, keepdim=True).clamp_min(1e-6)
    return flat.reshape(shape)


def _example_input_array(model: nn.Module, generator: torch.Generator) -> Iterator[Inputs]:
    example = getattr(model, "example_input_array", None)
    if example is not None:
        yield given(example)._replace(how="example_input_array")


def _dummy_inputs(model: nn.Module, generator: torch.Generator) -> Iterator[Inputs]:
    """transformers' dummy_inputs, where a class has its own (the general one is ids below 7 for any model)."""
    own = next((base for base in type(model).__mro__ if "dummy_inputs" in base.__dict__), None)
    if own is not None and own.__name__ != "PreTrainedModel":
        found = model.dummy_inputs
        if isinstance(found, Mapping) and found:
            yield Inputs((), dict(found), "dummy_inputs")


def _default_cfg(model: nn.Module, generator: torch.Generator) -> Iterator[Inputs]:
    cfg: Any = getattr(model, "pretrained_cfg", None) or getattr(model, "default_cfg", None)
    size = cfg.get("input_size") if isinstance(cfg, Mapping) else None
    if size:
        least = cfg.get("min_input_size")
        if least and not cfg.get("fixed_input_size"):
            yield Inputs((image((BATCH, *least), generator),), {}, "default_cfg['min_input_size']")
        yield Inputs((image((BATCH, *size), generator),), {}, "default_cfg['input_size']")


def _of_config(model: nn.Module, generator: torch.Generator) -> Iterator[Inputs]:
    """By a transformers configuration: vocab_size, image_size, num_channels, num_mel_bins, …"""
    config = getattr(model, "config", None)
    if config is None or not hasattr(model, "main_input_name"):
        return
    names = inspect.signature(model.forward).parameters
    main = model.main_input_name
    made: dict[str, Any] = {}
    text = config.get_text_config() if hasattr(config, "get_text_config") else config
    vocabulary: Any = getattr(text, "vocab_size", None)
    length = min(int(getattr(text, "max_position_embeddings", 64) or 64) // 2, 32) or 1

    def ids() -> Tensor:
        return torch.randint(3 if vocabulary > 8 else 0, vocabulary, (BATCH, max(length, 2)), generator=generator)

    vision = getattr(config, "vision_config", config)
    if "input_ids" in names and vocabulary and main != "pixel_values":
        made["input_ids"] = ids()
    if main == "pixel_values" or ("pixel_values" in names and hasattr(config, "vision_config")):
        side = getattr(vision, "image_size", None) or 224
        sides = tuple(side) if isinstance(side, (list, tuple)) else (side, side)
        channels = getattr(vision, "num_channels", None) or 3
        made["pixel_values"] = image((BATCH, channels, *sides), generator)
    if main == "input_values":
        made["input_values"] = torch.randn((BATCH, 8000), generator=generator)
    if main == "input_features":
        bins = getattr(config, "num_mel_bins", None) or getattr(config, "feat_size", None) or 80
        frames = 2 * (getattr(config, "max_source_positions", None) or 128)
        made["input_features"] = torch.randn((BATCH, bins, frames), generator=generator)
    if (getattr(config, "is_encoder_decoder", False) or "decoder_input_ids" in names) and vocabulary:
        made["decoder_input_ids"] = ids()
    if not made:
        return
    if "use_cache" in names:
        made["use_cache"] = False
    yield Inputs((), made, "the configuration")
    if "input_features" in made:
        yield Inputs((), {**made, "input_features": made["input_features"].transpose(1, 2)}, "the configuration")
    if "input_values" in made:
        yield Inputs((), {**made, "input_values": made["input_values"][:, None]}, "the configuration")


def _by_image_size(model: nn.Module, generator: torch.Generator) -> Iterator[Inputs]:
    side = getattr(model, "image_size", None)
    first = _first(model)
    if side and isinstance(first, nn.Conv2d):
        sides = tuple(side) if isinstance(side, (list, tuple)) else (side, side)
        yield Inputs((image((BATCH, first.in_channels, *sides), generator),), {}, "image_size")


def _first(model: nn.Module) -> nn.Module | None:
    kinds = (nn.modules.conv._ConvNd, nn.Linear, nn.Embedding, nn.EmbeddingBag, nn.RNNBase, nn.MultiheadAttention)
    return next((m for m in model.modules() if isinstance(m, kinds)), None)


def _first_layer(model: nn.Module, generator: torch.Generator) -> Iterator[Inputs]:
    """By the first layer with weights: an image for a convolution, rows for a Linear, ids for an Embedding."""
    first = _first(model)
    makers: list[Callable[[], Tensor]] = []
    more = max(_required(model) - 1, 0)
    if isinstance(first, nn.modules.conv._ConvNd) and not first.transposed:
        dims, channels = len(first.kernel_size), first.in_channels
        sizes = {1: (1024, 64, 16000), 2: _SIZES, 3: (16, 32, 112)}[dims]
        makers = [lambda side=side: image((BATCH, channels, *[side] * dims), generator) for side in sizes]  # type: ignore[misc]
    elif isinstance(first, nn.modules.conv._ConvNd):
        dims, channels = len(first.kernel_size), first.in_channels
        makers = [lambda side=side: torch.randn((BATCH, channels, *[side] * dims), generator=generator) for side in (1, 4, 16)]  # type: ignore[misc]
    elif isinstance(first, nn.Linear):
        makers = [
            lambda: torch.randn((64, first.in_features), generator=generator),
            lambda: torch.randn((BATCH, 16, first.in_features), generator=generator),
        ]
        side = round((first.in_features / 3) ** 0.5), round(first.in_features**0.5)
        for channels, edge in ((3, side[0]), (1, side[1])):  # pixels that are flattened inside
            if channels * edge * edge == first.in_features:
                makers.append(lambda c=channels, e=edge: image((BATCH, c, e, e), generator))  # type: ignore[misc]
    elif isinstance(first, (nn.Embedding, nn.EmbeddingBag)):
        makers = [lambda: torch.randint(0, first.num_embeddings, (BATCH, 16), generator=generator)]
    elif isinstance(first, nn.RNNBase):
        makers = [lambda: torch.randn((BATCH, 16, first.input_size), generator=generator)]
    elif isinstance(first, nn.MultiheadAttention):
        makers = [lambda: torch.randn((BATCH, 16, first.embed_dim), generator=generator)]
    for make in makers:
        yield Inputs((make(), *(make() for _ in range(more))), {}, f"the first layer, {type(first).__name__}")


def _required(model: nn.Module) -> int:
    parameters = inspect.signature(model.forward).parameters.values()
    return sum(p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)
