"""Fans by hand: each row names why the number is what it is."""

from __future__ import annotations

import pytest
from torch import nn

from initium._errors import ArgumentError
from initium._fans import BARE, DENSE, EMBEDDING, TRANSPOSED, Layout
from initium._layouts.registry import layouts_of


def fans(m: nn.Module, name: str = "weight") -> list[tuple[int, int]]:
    """(fan_in, fan_out) of each logical weight in a module's tensor."""
    layout = layouts_of(m)[name]
    return [layout.fans(shape) for shape in layout.block_shapes(tuple(m.get_parameter(name).shape))]


@pytest.mark.parametrize(
    ("m", "name", "expected"),
    [
        pytest.param(nn.Linear(3, 5), "weight", [(3, 5)], id="linear"),
        pytest.param(nn.Conv1d(3, 5, 7), "weight", [(3 * 7, 5 * 7)], id="conv1d: channels times taps"),
        pytest.param(nn.Conv2d(3, 5, (2, 4)), "weight", [(3 * 8, 5 * 8)], id="conv2d"),
        pytest.param(nn.Conv3d(3, 5, 2), "weight", [(3 * 8, 5 * 8)], id="conv3d"),
        pytest.param(
            nn.Conv2d(8, 12, 3, groups=4), "weight", [(2 * 9, 3 * 9)], id="groups: each output sees 2, each input feeds 3"
        ),
        pytest.param(nn.Conv2d(64, 64, 3, groups=64), "weight", [(9, 9)], id="depthwise: one in, one out (torch says 576)"),
        pytest.param(nn.Conv2d(64, 128, 3, groups=64), "weight", [(9, 18)], id="depthwise with a multiplier of 2"),
        pytest.param(nn.ConvTranspose2d(64, 16, 4), "weight", [(64 * 16, 16 * 16)], id="transposed: torch swaps these"),
        pytest.param(
            nn.ConvTranspose1d(8, 12, 3, groups=4), "weight", [(2 * 3, 3 * 3)], id="transposed groups: inputs are stacked"
        ),
        pytest.param(nn.ConvTranspose3d(6, 6, 2, groups=6), "weight", [(8, 8)], id="transposed depthwise"),
        pytest.param(nn.Bilinear(3, 4, 5), "weight", [(12, 5)], id="bilinear: sums 3 · 4 products"),
        pytest.param(nn.Embedding(1000, 16), "weight", [(1, 16)], id="embedding: a lookup sums one row, not the vocabulary"),
        pytest.param(nn.EmbeddingBag(1000, 16), "weight", [(1, 16)], id="embedding bag"),
        pytest.param(nn.MultiheadAttention(8, 2), "in_proj_weight", [(8, 8)] * 3, id="packed q, k, v: three square matrices"),
        pytest.param(nn.MultiheadAttention(8, 2, kdim=5, vdim=6), "q_proj_weight", [(8, 8)], id="separate q"),
        pytest.param(nn.MultiheadAttention(8, 2, kdim=5, vdim=6), "k_proj_weight", [(5, 8)], id="separate k"),
        pytest.param(nn.MultiheadAttention(8, 2, kdim=5, vdim=6), "v_proj_weight", [(6, 8)], id="separate v"),
        pytest.param(nn.LSTM(3, 5), "weight_ih_l0", [(3, 5)] * 4, id="lstm: four gates"),
        pytest.param(
            nn.LSTM(3, 5, 2, bidirectional=True), "weight_ih_l1_reverse", [(10, 5)] * 4, id="lstm: layer 1 sees both ways"
        ),
        pytest.param(nn.LSTM(3, 5, proj_size=2), "weight_hh_l0", [(2, 5)] * 4, id="lstm: the state is projected to 2"),
        pytest.param(nn.LSTM(3, 5, proj_size=2), "weight_hr_l0", [(5, 2)], id="lstm: the projection"),
        pytest.param(nn.GRU(3, 5), "weight_hh_l0", [(5, 5)] * 3, id="gru: three gates"),
        pytest.param(nn.RNN(3, 5), "weight_ih_l0", [(3, 5)], id="rnn: one matrix"),
        pytest.param(nn.LSTMCell(3, 5), "weight_ih", [(3, 5)] * 4, id="lstm cell"),
        pytest.param(nn.GRUCell(3, 5), "weight_hh", [(5, 5)] * 3, id="gru cell"),
        pytest.param(nn.RNNCell(3, 5), "weight_hh", [(5, 5)], id="rnn cell"),
    ],
)
def test_fans_follow_the_module(m: nn.Module, name: str, expected: list[tuple[int, int]]) -> None:
    assert fans(m, name) == expected


@pytest.mark.parametrize(
    ("layout", "shape", "expected"),
    [
        pytest.param(Layout("weight", (1,), (2,), (0,)), (8, 5, 3), [(3, 5)], id="experts (E, out, in): E counts in neither"),
        pytest.param(Layout("weight", (2,), (1,), (0,)), (8, 3, 5), [(3, 5)], id="experts (E, in, out)"),
        pytest.param(
            Layout("weight", (1,), (2,), (0,), blocks=(5, 5), block_axis=1), (8, 10, 3), [(3, 5)] * 2, id="experts' gate and up"
        ),
        pytest.param(
            Layout("weight", blocks=(8, 2, 2)), (12, 6), [(6, 8), (6, 2), (6, 2)], id="grouped queries: k and v are narrow"
        ),
        pytest.param(
            Layout("weight", blocks=(6, 6, 6), repeats=3), (18, 6), [(6, 6)] * 3, id="by heads: the same fans in turns"
        ),
        pytest.param(
            Layout("weight", (1,), (0,), blocks=(4, 4), block_axis=1), (3, 8), [(3, 4)] * 2, id="(in, out): packed along axis 1"
        ),
        pytest.param(Layout("weight", (1, 2), (0,)), (6, 2, 4), [(6, 8)], id="heads as axes: outputs are both"),
        pytest.param(
            Layout("weight", (), (1,), (0,), said=(27, 36)), (4, 108), [(27, 36)], id="a flattened weight says its fans"
        ),
        pytest.param(TRANSPOSED, (3, 5), [(3, 5)], id="x @ w"),
        pytest.param(BARE, (5, 3), [(3, 5)], id="a bare matrix is read as torch does"),
    ],
)
def test_layouts_say_fans(layout: Layout, shape: tuple[int, ...], expected: list[tuple[int, int]]) -> None:
    assert [layout.fans(block) for block in layout.block_shapes(shape)] == expected


def test_pieces_take_turns_along_the_axis() -> None:
    assert list(Layout("weight", blocks=(4, 2), repeats=2).pieces()) == [(0, 2), (1, 1), (0, 2), (1, 1)]
    assert list(Layout("weight", blocks=(4, 2)).pieces()) == [(0, 4), (1, 2)]


@pytest.mark.parametrize(
    ("layout", "said", "expected"),
    [
        pytest.param(DENSE, {"in_axes": (0,)}, ((0,), (1,), ()), id="only the inputs: the outputs move over"),
        pytest.param(DENSE, {"out_axes": (-2,)}, ((0,), (1,), ()), id="only the outputs, from the end"),
        pytest.param(DENSE, {"in_axes": (0,), "out_axes": (1,)}, ((0,), (1,), ()), id="both"),
        pytest.param(DENSE, {"in_axes": (1, 2)}, ((1, 2), (0,), ()), id="two input axes"),
        pytest.param(TRANSPOSED, {"in_axes": (1,)}, ((1,), (0,), ()), id="a module's axes give way"),
        pytest.param(BARE, {"batch_axes": (0,)}, ((2,), (1,), (0,)), id="only the stack: the rest as in torch"),
        pytest.param(BARE, {"batch_axes": (0,), "in_axes": (1,)}, ((1,), (2,), (0,)), id="a stack of (in, out)"),
        pytest.param(EMBEDDING, {"in_axes": (1,), "out_axes": (0,)}, ((1,), (0,), ()), id="an embedding used as a matrix"),
    ],
)
def test_axes_that_the_user_says(layout: Layout, said: dict[str, tuple[int, ...]], expected: object) -> None:
    new = layout.with_axes(**{"in_axes": None, "out_axes": None, "batch_axes": None, **said}, ndim=3)
    assert (new.in_axes, new.out_axes, new.batch_axes) == expected
    assert new.role == "weight"


def test_nothing_said_is_the_same_object() -> None:
    assert DENSE.with_axes(None, None, None, 2) is DENSE


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Layout(role="kernel"), "role is one of weight, bias, norm"),
        (lambda: Layout(in_axes=(0,)), "either an output, an input or a batch axis"),
        (lambda: Layout(in_axes=(-1,)), "counts its axes from 0"),
        (lambda: Layout(groups=0), "groups and repeats are at least 1"),
        (lambda: Layout(blocks=(3, 3), block_names=("q",)), r"2 blocks \(3, 3\) need as many names"),
        (lambda: Layout(blocks=(3, 3), repeats=2), "cannot take 2 equal turns"),
        (lambda: DENSE.fans((3,)), "has no fan"),
        (lambda: Layout(out_axes=(2,)).fans((3, 4)), "has no axis 2"),
        (lambda: Layout(blocks=(3, 3)).block_shapes((5, 2)), "do not add up to axis 0"),
        (lambda: DENSE.with_axes((2,), None, None, 2), "axis 2 is out of range for a tensor of 2 dimensions"),
    ],
)
def test_contradictions_get_a_sentence(make: object, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        make()  # type: ignore[operator]
