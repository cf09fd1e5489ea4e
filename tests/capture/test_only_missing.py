"""Only what is missing: loaders bring what they have, a plan gives the rest, and nothing loaded is touched."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import initium
from initium import InitiumError
from initium.integrations.safetensors import load


class Net(nn.Module):
    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.embed = nn.Embedding(20, 16)
        self.blocks = nn.ModuleList(nn.Linear(16, 16) for _ in range(3))
        self.norm = nn.BatchNorm1d(16)
        self.out = nn.Linear(16, 20, bias=False)
        self.out.weight = self.embed.weight
        self.head = nn.Linear(16, classes)


def hashes(tensors: dict[str, Tensor]) -> dict[str, str]:
    return {name: hashlib.sha256(t.detach().contiguous().numpy().tobytes()).hexdigest() for name, t in tensors.items()}


@pytest.fixture
def checkpoint() -> dict[str, Tensor]:
    torch.manual_seed(3)
    state = {name: torch.randn(t.shape) if t.is_floating_point() else t for name, t in Net().state_dict().items()}
    return {name: t for name, t in state.items() if not name.startswith(("head", "blocks.2", "out"))}


def test_the_result_of_load_state_dict_says_what_is_missing(checkpoint: dict[str, Tensor]) -> None:
    model = Net()
    result = model.load_state_dict(checkpoint, strict=False)
    assert "out.weight" in result.missing_keys, "tied to embed.weight, which was loaded"
    before = hashes(model.state_dict())
    plan = initium.capture(Net, seed=0)[1]
    plan.apply(model, only=result)
    after = hashes(model.state_dict())
    assert {name for name in before if before[name] != after[name]} == {
        "head.weight",
        "head.bias",
        "blocks.2.weight",
        "blocks.2.bias",
    }
    assert torch.equal(model.head.weight.flatten(), plan.values("head.weight"))
    assert torch.equal(model.embed.weight, checkpoint["embed.weight"])
    recipes = initium.initialize(Net(), "xavier", seed=0, only=result)
    assert recipes["head.weight"].kind == "drawn"


def test_a_tied_tensor_that_is_missing_under_all_its_names_is_drawn(checkpoint: dict[str, Tensor]) -> None:
    model, plan = Net(), initium.capture(Net, seed=0)[1]
    del checkpoint["embed.weight"]
    plan.apply(model, only=model.load_state_dict(checkpoint, strict=False))
    assert torch.equal(model.embed.weight.flatten(), plan.values("embed.weight"))
    assert model.out.weight is model.embed.weight


def test_all_loaded_changes_nothing() -> None:
    model, plan = Net(), initium.capture(Net, seed=0)[1]
    before = hashes(model.state_dict())
    plan.apply(model, only=model.load_state_dict(model.state_dict(), strict=False))
    assert hashes(model.state_dict()) == before


def test_resetting_a_part_gives_the_same_values_and_another_seed_others() -> None:
    model, plan = initium.build(Net, seed=0), initium.capture(Net, seed=0)[1]
    first = hashes(model.state_dict())
    with torch.no_grad():
        for p in model.parameters():
            p.add_(1)
    trained = hashes(model.state_dict())
    plan.apply(model, only="blocks.1.**")
    part = {"blocks.1.weight", "blocks.1.bias"}
    assert hashes(model.state_dict()) == {name: first[name] if name in part else trained[name] for name in first}
    plan.reseed(1).apply(model, only="blocks.1.**")
    now = hashes(model.state_dict())
    assert all(now[name] not in (first[name], trained[name]) for name in part)
    plan.apply(model, only=["blocks.1.weight", "blocks.1.b*"])
    assert hashes(model.state_dict())["blocks.1.weight"] == first["blocks.1.weight"]
    with pytest.raises(InitiumError, match="only='blocks.7.\\*\\*' matches no tensor"):
        plan.apply(model, only="blocks.7.**")


@pytest.mark.parametrize("shards", [1, 2])
def test_a_safetensors_folder(tmp_path: Path, checkpoint: dict[str, Tensor], shards: int) -> None:
    names = list(checkpoint)
    for shard in range(shards):
        save_file({name: checkpoint[name] for name in names[shard::shards]}, tmp_path / f"model-{shard}.safetensors")
    save_file({}, tmp_path / "other.safetensors") if shards == 1 else None
    (tmp_path / "other.safetensors").unlink(missing_ok=True)
    checkpoint["head.weight"] = torch.randn(3, 16)
    save_file({"head.weight": checkpoint["head.weight"], "gone": torch.ones(1)}, tmp_path / "more.safetensors")
    model, plan = Net(), initium.capture(Net, seed=0)[1]
    missing = load(model, tmp_path, plan)
    assert "head.weight" in missing.missing_keys, "its shape is another"
    assert missing.unexpected_keys == ["gone"]
    assert torch.equal(model.head.weight.flatten(), plan.values("head.weight"))
    loaded = hashes({name: t for name, t in checkpoint.items() if name != "head.weight"})
    assert {name: hashes(model.state_dict())[name] for name in loaded} == loaded


@pytest.mark.filterwarnings("ignore")
def test_transformers_from_pretrained(tmp_path: Path) -> None:
    import sys

    sys.path.insert(0, str(Path(__file__).parent.parent / "zoo"))
    from _shim import library

    transformers = library("transformers")
    from initium.integrations.transformers import from_pretrained

    small = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48, "vocab_size": 64}
    transformers.BertForMaskedLM(transformers.BertConfig(**small)).save_pretrained(tmp_path)
    from safetensors.torch import load_file

    stored = load_file(tmp_path / "model.safetensors")
    cls = transformers.AutoModelForSequenceClassification
    model = from_pretrained(cls, tmp_path, seed=0, num_labels=5)
    assert type(model) is transformers.BertForSequenceClassification
    plan = initium.capture(lambda: transformers.BertForSequenceClassification(model.config), seed=0)[1]
    state = model.state_dict()
    shared = {name: t for name, t in stored.items() if name in state}
    assert len(shared) > 30
    assert hashes({name: state[name] for name in shared}) == hashes(shared)
    for name in set(state) - set(shared):
        assert torch.equal(state[name].flatten(), plan.values(name)), name
    again = from_pretrained(cls, tmp_path, seed=0, num_labels=5)
    assert hashes(again.state_dict()) == hashes(state)
    model.save_pretrained(tmp_path / "five")
    other = from_pretrained(cls, tmp_path / "five", seed=1, num_labels=7, ignore_mismatched_sizes=True)
    assert other.classifier.weight.shape == (7, 32)
    kept = {name: t for name, t in state.items() if not name.startswith("classifier")}
    assert hashes({name: other.state_dict()[name] for name in kept}) == hashes(kept)
    seven = initium.capture(lambda: transformers.BertForSequenceClassification(other.config), seed=1)[1]
    assert torch.equal(other.classifier.weight.flatten(), seven.values("classifier.weight"))
