"""A written checkpoint is one that transformers loads: no missing and no unexpected key, ties tied, the bits of build."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from _shim import library
from click.testing import CliRunner

import initium
from initium.cli import main

sys.path.insert(0, str(Path(__file__).parents[1] / "sharded"))
from mesh_models import _GPT2, _LLM, _T5

CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "Llama": ("LlamaForCausalLM", "LlamaConfig", _LLM),
    "Llama tied": ("LlamaForCausalLM", "LlamaConfig", {**_LLM, "tie_word_embeddings": True}),
    "GPT-2": ("GPT2LMHeadModel", "GPT2Config", _GPT2),
    "T5": ("T5ForConditionalGeneration", "T5Config", _T5),
    "Mixtral": ("MixtralForCausalLM", "MixtralConfig", {**_LLM, "num_local_experts": 3}),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_from_pretrained_finds_what_it_expects(tmp_path: Path, name: str, dtype: torch.dtype) -> None:
    transformers = library("transformers")
    model_class, config_class, sizes = CASES[name]
    make, config = getattr(transformers, model_class), getattr(transformers, config_class)(**sizes)
    _, plan = initium.capture(make, config, seed=0)
    folder = plan.write(tmp_path / "x", dtype=dtype, max_shard_size="20kB")
    assert (folder / "model.safetensors.index.json").is_file()
    config.save_pretrained(folder)
    loaded, info = make.from_pretrained(folder, dtype=dtype, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    built = initium.build(make, config, seed=0, dtype=dtype)
    for key, tensor in built.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], tensor), key
    tied = ("lm_head.weight", "model.embed_tokens.weight"), ("lm_head.weight", "transformer.wte.weight")
    for a, b in tied:
        if config.tie_word_embeddings and a in built.state_dict() and b in built.state_dict():
            assert loaded.get_parameter(a) is loaded.get_parameter(b)


@pytest.mark.parametrize("options", [[], ["--dtype", "bfloat16"], ["--max-shard-size", "20kB"], ["--recipe", "normal"]])
def test_a_folder_that_the_command_line_wrote_loads_as_it_is(tmp_path: Path, options: list[str]) -> None:
    """The configuration goes beside the weights; one that is there stays."""
    transformers = library("transformers")
    config = transformers.LlamaConfig(**_LLM)
    (tmp_path / "tiny.json").write_text(config.to_json_string())
    command = ["write", f"hf:{tmp_path / 'tiny.json'}", "-o", str(tmp_path / "x"), *options]
    found = CliRunner().invoke(main, command)
    assert found.exit_code == 0, found.output
    loaded, info = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "x", output_loading_info=True, dtype="auto")
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert type(loaded) is transformers.LlamaForCausalLM
    assert loaded.dtype == (torch.bfloat16 if "bfloat16" in options else torch.float32)
    if "normal" not in options:
        built = initium.build(transformers.LlamaForCausalLM, config, seed=0, dtype=loaded.dtype)
        assert all(torch.equal(a, b) for a, b in zip(loaded.state_dict().values(), built.state_dict().values(), strict=True))
    (tmp_path / "x" / "config.json").write_text(said := (tmp_path / "x" / "config.json").read_text() + "\n")
    assert CliRunner().invoke(main, [*command, "--force"]).exit_code == 0
    assert (tmp_path / "x" / "config.json").read_text() == said
