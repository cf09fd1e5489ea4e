"""MODEL of three libraries, as the command line of a user has them: planned, written, and loaded again strictly."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

CONFIG = {
    "model_type": "gpt2",
    "architectures": ["GPT2LMHeadModel"],
    "n_layer": 2,
    "n_embd": 64,
    "n_head": 2,
    "vocab_size": 100,
}

LOAD = """
import sys
from safetensors.torch import load_file
from initium._models import build_model
model = build_model(sys.argv[1], seed=1)
model.load_state_dict(load_file(sys.argv[2]), strict=True)
print(sum(p.numel() for p in model.parameters()))
"""


def initium(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "initium", *arguments], capture_output=True, text=True, cwd=folder)


def needs(library: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(importlib.util.find_spec(library) is None, reason=f"{library} is not installed")


@pytest.mark.parametrize(
    ("model", "recipe", "parameters", "options"),
    [
        pytest.param("torchvision:resnet18", "he", 11_689_512, [], marks=needs("torchvision")),
        pytest.param("timm:vit_tiny_patch16_224", "xavier", 5_717_416, ["--dtype", "bfloat16"], marks=needs("timm")),
        pytest.param("hf:config.json", "xavier", 172_032, [], marks=needs("transformers")),
    ],
)
def test_a_model_is_planned_written_and_loaded_strictly(
    tmp_path: Path, model: str, recipe: str, parameters: int, options: list[str]
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    planned = initium(tmp_path, "plan", model, "--recipe", recipe)
    assert planned.returncode == 0, planned.stderr
    assert planned.stdout.startswith(f"recipe {recipe} · seed 0")
    assert len(planned.stdout.splitlines()) < 60
    wrote = initium(tmp_path, "write", model, "--recipe", recipe, "-o", "x.safetensors", *options)
    assert wrote.returncode == 0, wrote.stderr
    loaded = subprocess.run(
        [sys.executable, "-c", LOAD, model, "x.safetensors"], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert loaded.returncode == 0, loaded.stderr
    assert int(loaded.stdout.splitlines()[-1]) == parameters
    same = initium(tmp_path, "diff", "x.safetensors", model, "--recipe", recipe, "--sample", "100")
    assert same.returncode == 0, same.stdout + same.stderr


@pytest.mark.parametrize(
    ("model", "message"),
    [
        pytest.param(
            "torchvision:resnet5", "torchvision has no model 'resnet5'. Did you mean 'resnet50'?", marks=needs("torchvision")
        ),
        pytest.param("timm:vit_base_patch16_22", "Did you mean 'vit_base_patch16_224'?", marks=needs("timm")),
        pytest.param(
            "hf:gpt3",
            "transformers has no model type 'gpt3', and there is no such file. Did you mean",
            marks=needs("transformers"),
        ),
        pytest.param("hf:none.json", "none.json: there is no such file", marks=needs("transformers")),
        pytest.param("hf:bad.json", "bad.json:1:1: not JSON", marks=needs("transformers")),
        pytest.param(
            "hf:other.json",
            "has no model_type that transformers knows: 'gtp2'. Did you mean 'gpt2'?",
            marks=needs("transformers"),
        ),
        pytest.param("hf:class.json", "transformers has no class 'GPT2LMHead'", marks=needs("transformers")),
    ],
)
def test_unknown_models_are_a_sentence_with_the_nearest_name(tmp_path: Path, model: str, message: str) -> None:
    (tmp_path / "bad.json").write_text("model_type: gpt2")
    (tmp_path / "other.json").write_text('{"model_type": "gtp2"}')
    (tmp_path / "class.json").write_text('{"model_type": "gpt2", "architectures": ["GPT2LMHead"]}')
    found = initium(tmp_path, "plan", model, "--recipe", "he")
    assert found.returncode == 2
    assert message in found.stderr
    assert "Traceback" not in found.stderr


@needs("transformers")
def test_a_configuration_is_changed_by_arg(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    shown = initium(tmp_path, "plan", "hf:.", "--recipe", "he", "--arg", "n_layer=1", "--json")
    assert shown.returncode == 0, shown.stderr
    assert not any(".h.1." in entry["name"] for entry in json.loads(shown.stdout)["entries"])
    unknown = initium(tmp_path, "plan", "hf:.", "--recipe", "he", "--arg", "n_layers=1")
    assert unknown.returncode == 2
    assert "the configuration of gpt2 has no 'n_layers'. Did you mean 'n_layer'?" in unknown.stderr
