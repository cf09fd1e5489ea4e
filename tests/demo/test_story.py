"""The demo run once, and what it must show: these are claims about training, not about the wording."""

from __future__ import annotations

import io
import math
import time
from pathlib import Path

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

import initium
from initium.demo import Story, run
from initium.demo.digits import digits
from initium.demo.network import PlainNet


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Story, str]:
    """The whole demo, run once: the findings and the text."""
    text, before = io.StringIO(), time.process_time()
    story = run(tmp_path_factory.mktemp("demo") / "weights.safetensors", console=Console(file=text, width=80, highlight=False))
    assert time.process_time() - before < 60, "the demo takes less than a minute"
    return story, text.getvalue()


def test_zeros_and_torchs_default_stay_at_chance(told: tuple[Story, str]) -> None:
    for name in ("zeros", "torch's default"):
        run = told[0].runs[name]
        assert run.accuracy < 0.2, name
        assert abs(run.losses[-1] - math.log(10)) < 0.05, name


def test_a_standard_normal_explodes(told: tuple[Story, str]) -> None:
    run = told[0].runs["N(0, 1)"]
    assert not run.finite or run.worst > 1e6
    assert run.signal > 1e6


def test_he_learns(told: tuple[Story, str]) -> None:
    run = told[0].runs["he"]
    assert run.accuracy >= 0.90
    assert told[0].winner is run
    assert run.signal > 1e-3


def test_the_depth_is_what_loses_the_signal(told: tuple[Story, str]) -> None:
    runs = told[0].runs
    assert runs["zeros"].signal == 0
    assert runs["torch's default"].signal < 1e-6


def test_the_text_tells_all_of_it(told: tuple[Story, str]) -> None:
    story, text = told
    assert text.count("tensor([[") == 4
    assert "that is luck too" in " ".join(text.split())
    for name in story.runs:
        assert name in text
    assert "at chance" in text
    assert "explodes" in text
    assert "recipe he · seed 0" in text
    assert str(story.file) in text
    assert "…" not in text.split("2. One network")[1].split("Signal:")[0], "the table of results fits 80 columns"


def test_the_file_holds_the_winners_weights(told: tuple[Story, str]) -> None:
    story, _ = told
    net = PlainNet()
    net.load_state_dict(load_file(story.file), strict=True)
    data = digits()
    with torch.no_grad():
        right = (net(data.test_images).argmax(1) == data.test_labels).float().mean()
    assert abs(float(right) - story.winner.accuracy) < 0.01


def test_the_plan_is_the_winners_start(told: tuple[Story, str]) -> None:
    plan = told[0].plan
    assert plan["convs.5.weight"].std == pytest.approx(math.sqrt(2 / 144))
    assert plan["convs.5.bias"].kind == "constant"
    assert len(plan) == 42


def test_it_leaves_torchs_generator_and_threads_as_they_were(told: tuple[Story, str], monkeypatch: pytest.MonkeyPatch) -> None:
    from initium.demo import story

    monkeypatch.setattr(story, "STARTS", {"he": story.STARTS["he"], "torch's default": story.STARTS["torch's default"]})
    monkeypatch.setattr(story, "train", lambda name, net, data: told[0].runs[name])
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    threads = torch.get_num_threads()
    run(told[0].file, console=Console(file=io.StringIO()))
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == threads


def test_a_missing_folder_is_refused_before_the_training(tmp_path: Path) -> None:
    with pytest.raises(initium.InitiumError, match="there is no folder"):
        run(tmp_path / "nowhere" / "weights.safetensors")
    with pytest.raises(initium.InitiumError, match="is a folder: say the file's name"):
        run(tmp_path)
