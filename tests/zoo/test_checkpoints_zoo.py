"""A written checkpoint is one that transformers loads: no missing and no unexpected key, ties tied, the bits of build."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from _shim import library

import initium

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
