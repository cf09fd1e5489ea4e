"""The plan's table: golden screens, exact widths, and counts that can be worked out again from the screen."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

import initium
from initium._table import clipped, columns, plan_table, wrapped


def small_resnet() -> nn.Module:
    """The names of a ResNet: a stem, two stages of two blocks, a shortcut with a norm of its own, a head."""

    def block(channels_in: int, channels: int) -> nn.Module:
        one = nn.Module()
        one.conv1, one.bn1 = nn.Conv2d(channels_in, channels, 3, bias=False), nn.BatchNorm2d(channels)
        one.conv2, one.bn2 = nn.Conv2d(channels, channels, 3, bias=False), nn.BatchNorm2d(channels)
        if channels_in != channels:
            one.downsample = nn.Sequential(nn.Conv2d(channels_in, channels, 1, bias=False), nn.BatchNorm2d(channels))
        return one

    model = nn.Module()
    model.conv1, model.bn1 = nn.Conv2d(3, 8, 7, bias=False), nn.BatchNorm2d(8)
    model.layer1 = nn.Sequential(block(8, 8), block(8, 8))
    model.layer2 = nn.Sequential(block(8, 16), block(16, 16))
    model.fc = nn.Linear(16, 10)
    return model


def test_equal_layers_share_a_line_and_the_counts_add_up() -> None:
    plan = initium.plan(small_resnet(), "he", seed=0)
    lines = plan.table(140).splitlines()
    body = lines[3:-1]
    assert [line.split("  ")[0] for line in body] == [
        "conv1.weight",
        "bn1.weight",
        "bn1.bias",
        "**.running_mean ×10",
        "**.running_var ×10",
        "**.num_batches_tracked ×10",
        "layer1.{0,1}.conv{1,2}.weight ×4",
        "layer{1,2}.{0,1}.bn{1,2}.weight ×8",
        "layer{1,2}.{0,1}.bn{1,2}.bias ×8",
        "layer2.0.conv1.weight",
        "layer2.{0,1}.conv2.weight ×2",
        "layer2.1.conv1.weight",
        "layer2.0.downsample.0.weight",
        "layer2.0.downsample.1.weight",
        "layer2.0.downsample.1.bias",
        "fc.weight",
        "fc.bias",
    ]
    shown = sum(int(found[1]) if (found := re.search(r" ×(\d+)  ", line)) else 1 for line in body)
    assert shown == len(plan)
    assert f"· {len(plan)} tensors ·" in lines[0]
    norms = next(line for line in body if line.startswith("layer{1,2}.{0,1}.bn{1,2}.weight"))
    assert norms.split()[2] == "8…16"


def test_golden_screen() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Embedding(4, 8))
    model.add_module("out", nn.Linear(8, 4, bias=False))
    model.out.weight = model[3].weight
    screen = initium.plan(model, "he", seed=0).table(104)
    assert screen == GOLDEN, f"\n{screen}"


GOLDEN = """\
recipe he · seed 0 · stream 1 · 11 tensors · 209 elements
tensor                 shape  gets                        fan in → out  std  rule
───────────────────────────────────────────────────────────────────────────────────────────────────────
{0,1}.weight ×2        8×8    kaiming_normal: N(0, 0.5²)  8 → 8         0.5  he[1] role=weight (over 1)
{0,1}.bias ×2          8      0                                              he[2] role=bias (over 1)
2.weight               8      1                                              he[0] '**'
2.bias                 8      0                                              he[0] '**'
2.running_mean         8      0                                              buffer: its class's own
2.running_var          8      1                                              buffer: its class's own
2.num_batches_tracked  ()     0                                              buffer: its class's own
3.weight               4×8    kept                                           he[0] '**'
out.weight             4×8    tied to 3.weight
2 drawn (128) · 7 constant (49) · 1 kept (32) · 1 tied (32)
1 tensor is kept as constructed: the seed does not fix that (initium.build does)
out.weight: shadowed: he[1] role=weight"""


@pytest.mark.parametrize("width", [1, 10, 20, 30, 40, 60, 72, 80, 100, 120, 200])
@pytest.mark.parametrize("recipe", ["he", "orthogonal"])
def test_no_line_is_wider_than_asked(width: int, recipe: str) -> None:
    table = initium.plan(small_resnet(), recipe, seed=0).table(width)
    assert max(map(len, table.splitlines())) <= width


def test_a_title_never_claims_more_than_there_is() -> None:
    """Blocks 0, 1 and 3 with w1 and w2, where 3 lacks w2: {0,1,3}.w{1,2} would name six."""
    model = nn.ModuleList(nn.Module() for _ in range(4))
    for i, names in enumerate([("w1", "w2"), ("w1", "w2"), (), ("w1",)]):
        for name in names:
            setattr(model[i], name, nn.Linear(4, 4, bias=False))
    lines = initium.plan(model, "he", seed=0).table(120).splitlines()[3:-1]
    assert [line.split("  ")[0] for line in lines] == ["{0,1,3}.w1.weight ×3", "{0,1}.w2.weight ×2"]


def test_a_thousand_layers_are_a_few_lines() -> None:
    model = nn.Sequential(*(nn.Linear(2, 2) for _ in range(1000)))
    assert len(initium.plan(model, "he", seed=0).table(100).splitlines()) == 6


def test_a_plan_of_nothing_and_one_of_kept_tensors() -> None:
    assert initium.plan(nn.ReLU(), initium.Recipe([]), seed=0).table(80) == "plan · seed 0 · stream 1 · 0 tensors · 0 elements"
    text = initium.plan(nn.Embedding(3, 2), "he", seed=0).table(200)
    assert "1 tensor is kept as constructed: the seed does not fix that (initium.build does)" in text


def test_html_is_escaped() -> None:
    model = nn.Module()
    model.add_module("<b>", nn.Linear(2, 2))
    page = initium.plan(model, "he", seed=0)._repr_html_()
    assert "&lt;b&gt;" in page
    assert "<b>" not in page


def test_columns_give_way_last_first_and_are_left_out_at_the_end() -> None:
    table = [("name", "value", "why"), ("a" * 30, "1", "b" * 30)]
    assert columns(table, 200)[2] == f"{'a' * 30}  1      {'b' * 30}"
    assert columns(table, 64)[2] == f"{'a' * 30}  1      {clipped('b' * 30, 25)}"
    assert columns(table, 60)[2] == f"{'a' * 30}  1      {clipped('b' * 30, 21)}"
    assert columns(table, 50)[2] == f"{clipped('a' * 30, 25)}  1      {clipped('b' * 30, 16)}"
    assert columns(table, 50, spare=1)[2] == f"{'a' * 30}  {clipped('b' * 30, 18)}"
    assert [line.split() for line in columns(table, 8)] == [["name"], ["────────"[:8]], ["aaaa…aaa"]]


def test_clipping_and_wrapping() -> None:
    assert [clipped("abcdef", width) for width in (7, 6, 5, 2, 1, 0)] == ["abcdef", "abcdef", "ab…ef", "a…", "…", ""]
    assert wrapped(["one two three", "x"], 8) == ["one two", "three", "x"]


def test_a_captured_plan_says_which_line_of_code_and_what_it_overrode() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(8, 8)
            nn.init.normal_(self.layer.weight, std=0.02)

    line = Net.__init__.__code__.co_firstlineno + 3
    text = plan_table(initium.capture(Net, seed=0)[1], 120)
    (said,) = [row for row in text.splitlines() if row.startswith("layer.weight")]
    assert said.split("  ")[-1].strip() == f"test_table.py:{line} (over 1)"
    assert "N(0, 0.02²)" in said
    assert "normal(" not in said
