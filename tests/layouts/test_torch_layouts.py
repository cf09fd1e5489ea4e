"""Every torch.nn class that owns tensors is known, and its own defaults are torch's numbers, measured on torch's own builds."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import nn

from initium import _laws as laws
from initium._inventory import inventory
from initium._layouts.registry import layouts_of
from initium._programs import Blocks
from initium._torch_defaults import speaks_below, torch_default

# Large enough for tight bands, odd enough that a swapped size shows.
BUILDS: dict[str, Callable[[], nn.Module]] = {
    "Linear": lambda: nn.Linear(60, 700),
    "Bilinear": lambda: nn.Bilinear(30, 20, 90),
    "Conv1d": lambda: nn.Conv1d(30, 500, 5),
    "Conv2d": lambda: nn.Conv2d(30, 90, (3, 5)),
    "Conv2d groups": lambda: nn.Conv2d(40, 400, 3, groups=10),
    "Conv3d": lambda: nn.Conv3d(10, 90, 3),
    "ConvTranspose1d": lambda: nn.ConvTranspose1d(90, 500, 5),
    "ConvTranspose2d": lambda: nn.ConvTranspose2d(64, 16, 4),
    "ConvTranspose2d groups": lambda: nn.ConvTranspose2d(60, 300, 3, groups=6),
    "ConvTranspose3d": lambda: nn.ConvTranspose3d(30, 40, 3),
    "Embedding": lambda: nn.Embedding(300, 50, padding_idx=-3),
    "EmbeddingBag": lambda: nn.EmbeddingBag(300, 50, padding_idx=2),
    "MultiheadAttention": lambda: nn.MultiheadAttention(128, 4, add_bias_kv=True),
    "MultiheadAttention kdim": lambda: nn.MultiheadAttention(128, 4, kdim=70, vdim=40),
    "RNN": lambda: nn.RNN(30, 90, 2, bidirectional=True),
    "LSTM": lambda: nn.LSTM(30, 90, 2, bidirectional=True, proj_size=20),
    "GRU": lambda: nn.GRU(30, 90, bias=False),
    "RNNCell": lambda: nn.RNNCell(30, 200),
    "LSTMCell": lambda: nn.LSTMCell(30, 90),
    "GRUCell": lambda: nn.GRUCell(30, 90),
    "BatchNorm1d": lambda: nn.BatchNorm1d(8),
    "BatchNorm2d": lambda: nn.BatchNorm2d(8),
    "BatchNorm3d": lambda: nn.BatchNorm3d(8),
    "SyncBatchNorm": lambda: nn.SyncBatchNorm(8),
    "InstanceNorm1d": lambda: nn.InstanceNorm1d(8, affine=True, track_running_stats=True),
    "InstanceNorm2d": lambda: nn.InstanceNorm2d(8, affine=True),
    "InstanceNorm3d": lambda: nn.InstanceNorm3d(8, affine=True),
    "LayerNorm": lambda: nn.LayerNorm((4, 8)),
    "GroupNorm": lambda: nn.GroupNorm(2, 8),
    "RMSNorm": lambda: nn.RMSNorm(8),
    "PReLU": lambda: nn.PReLU(4, init=0.4),
    "AdaptiveLogSoftmaxWithLoss": lambda: nn.AdaptiveLogSoftmaxWithLoss(96, 400, [50, 200]),
    "TransformerEncoderLayer": lambda: nn.TransformerEncoderLayer(64, 4, 128),
    "TransformerDecoderLayer": lambda: nn.TransformerDecoderLayer(64, 4, 128),
    "Transformer": lambda: nn.Transformer(64, 4, 1, 1, 128, batch_first=True),
}
GIVEN: dict[str, Callable[[], nn.Module]] = {  # tensors that the user hands in
    "CrossEntropyLoss": lambda: nn.CrossEntropyLoss(weight=torch.ones(4)),
    "NLLLoss": lambda: nn.NLLLoss(weight=torch.ones(4)),
    "BCELoss": lambda: nn.BCELoss(weight=torch.ones(4)),
    "BCEWithLogitsLoss": lambda: nn.BCEWithLogitsLoss(weight=torch.ones(4), pos_weight=torch.ones(4)),
    "MultiLabelSoftMarginLoss": lambda: nn.MultiLabelSoftMarginLoss(weight=torch.ones(4)),
    "MultiMarginLoss": lambda: nn.MultiMarginLoss(weight=torch.ones(4)),
    "FractionalMaxPool2d": lambda: nn.FractionalMaxPool2d(2, 3, _random_samples=torch.ones(1, 1, 2)),
    "FractionalMaxPool3d": lambda: nn.FractionalMaxPool3d(2, 3, _random_samples=torch.ones(1, 1, 3)),
}
if hasattr(nn, "LinearCrossEntropyLoss"):  # newer torch
    GIVEN["LinearCrossEntropyLoss"] = lambda: nn.LinearCrossEntropyLoss(4, 4, weight=torch.ones(4))
# Classes that own no tensor, or whose tensors the user gives: containers, functions, losses without weights, base classes.
WITHOUT = {
    "Container", "Module", "ModuleDict", "ModuleList", "Sequential", "ParameterDict", "ParameterList", "Transformer",
    "TransformerEncoder", "TransformerDecoder", "TransformerEncoderLayer", "TransformerDecoderLayer",
    "AdaptiveLogSoftmaxWithLoss", "RNNBase", "RNNCellBase", "NLLLoss2d",
}  # fmt: skip


def owning_classes() -> list[str]:
    """The torch.nn classes whose constructor, or whose base's, makes a parameter or a buffer."""
    words = {"Parameter", "UninitializedParameter", "register_parameter", "register_buffer", "Buffer", "UninitializedBuffer"}
    found = []
    for name, cls in vars(nn).items():
        if isinstance(cls, type) and issubclass(cls, nn.Module) and name not in WITHOUT:
            codes = [getattr(b.__dict__.get("__init__"), "__code__", None) for b in cls.__mro__ if b is not nn.Module]
            if any(words & set(code.co_names) for code in codes if code is not None):
                found.append(name)
    return sorted(found)


@pytest.mark.parametrize("name", owning_classes())
def test_every_class_that_owns_tensors_is_built_below(name: str) -> None:
    known = {key.split()[0] for key in (*BUILDS, *GIVEN)}
    assert name in known or (name.startswith("Lazy") and name.removeprefix("Lazy") in known), (
        f"torch.nn.{name} has no layout test"
    )


@pytest.mark.parametrize("build", [*BUILDS.values(), *GIVEN.values()], ids=[*BUILDS, *GIVEN])
def test_every_tensor_has_a_layout(build: Callable[[], nn.Module]) -> None:
    for m in build().modules():
        for local, tensor in [*m._parameters.items(), *m._buffers.items()]:
            if tensor is not None:
                layout = layouts_of(m)[local]
                if layout.role == "weight":
                    assert all(min(layout.fans(block)) > 0 for block in layout.block_shapes(tuple(tensor.shape)))


@pytest.mark.parametrize("build", BUILDS.values(), ids=BUILDS)
def test_the_defaults_are_torchs(build: Callable[[], nn.Module]) -> None:
    """Constants equal; uniform: inside the bounds, and the largest close to them; normal: std within 6 standard errors.

    Seed fixed. A uniform of n values stays below (1 − 25/n) of its bound with probability e⁻²⁵; a wrong fan fails here.
    """
    torch.manual_seed(0)
    model = build()
    speakers = [(name, m) for name, m in model.named_modules() if speaks_below(m)]
    for slot in inventory(model).slots:
        # what an ancestor does afterwards counts; the outermost is the last
        above = [(f"{name}." if name else "", m) for name, m in speakers]
        said = [torch_default(m, slot.name.removeprefix(name)) for name, m in above if slot.name.startswith(name)]
        initializer = next((found for found in said if found is not None), None) or torch_default(slot.module, slot.local)
        assert initializer is not None, slot.name
        program = initializer.program(slot.shape, slot.layout)
        values = slot.tensor.detach().double()
        parts: list[tuple[torch.Tensor, object]] = [(values, program)]
        if isinstance(program, Blocks):
            parts = list(zip(values.split([size for size, _ in program.parts]), (law for _, law in program.parts), strict=True))
        for part, law in parts:
            assert_follows(part.flatten(), law, slot.name)


def assert_follows(values: torch.Tensor, law: object, name: str) -> None:
    n = values.numel()
    if isinstance(law, laws.Constant):
        assert bool((values == float(torch.tensor(law.value))).all()), name  # rounded once to the parameter's fp32
    elif isinstance(law, laws.Uniform):
        top = float(values.abs().max())
        assert -law.low == law.high, name
        assert law.high * (1 - 25 / n) <= top <= law.high * (1 + 1e-6), (name, top, law.high)
        assert abs(float(values.mean())) < 6 * law.std / math.sqrt(n), name
    else:
        assert isinstance(law, laws.Normal), name
        assert float(values.std()) == pytest.approx(law.std, rel=6 / math.sqrt(2 * n)), name


@pytest.mark.parametrize(
    ("m", "name", "bound"),
    [
        (nn.ConvTranspose2d(64, 16, 4), "weight", 0.0625),  # 1/√(16·16): torch's fan is of the outputs
        (nn.MultiheadAttention(64, 4), "in_proj_weight", math.sqrt(6 / 256)),  # one (192, 64) matrix, 0.153093
        (nn.Bilinear(16, 9, 5), "bias", 0.25),
    ],
)
def test_bounds_by_hand(m: nn.Module, name: str, bound: float) -> None:
    law = torch_default(m, name).law_for((), None)  # type: ignore[union-attr, arg-type]
    assert (law.value if isinstance(law, laws.Constant) else law.high) == pytest.approx(bound, rel=1e-12)


def test_attention_zeroes_the_bias_of_its_out_proj() -> None:
    mha = nn.MultiheadAttention(8, 2)
    assert torch_default(mha, "out_proj.bias") == torch_default(mha.out_proj, "bias") == torch_default(mha, "in_proj_bias")
    assert str(torch_default(mha.out_proj, "bias")) == "0"


def test_absent_tensors_and_unknown_modules_have_no_default() -> None:
    assert torch_default(nn.Linear(2, 2, bias=False), "bias") is None
    assert torch_default(nn.Linear(2, 2), "other") is None
    assert torch_default(nn.Sequential(nn.Linear(2, 2)), "0.weight") is None


def test_a_subclass_counts_while_it_leaves_the_initialisation_alone() -> None:
    class Plain(nn.Linear):
        def __init__(self, inputs: int, outputs: int) -> None:
            super().__init__(inputs, outputs)
            self.scale = inputs**-0.5

    class Resets(nn.Linear):
        def reset_parameters(self) -> None:
            nn.init.zeros_(self.weight)

    class Writes(nn.Linear):
        def __init__(self, inputs: int, outputs: int) -> None:
            super().__init__(inputs, outputs)
            nn.init.orthogonal_(self.weight)

    assert torch_default(Plain(4, 4), "weight") == torch_default(nn.Linear(4, 4), "weight")
    assert torch_default(Resets(4, 4), "weight") is None
    assert torch_default(Writes(4, 4), "weight") is None


def test_a_parametrised_weight_keeps_its_classes_default() -> None:
    m = nn.utils.parametrizations.weight_norm(nn.Linear(16, 4))
    assert torch_default(m, "weight") == torch_default(nn.Linear(16, 4), "weight")
