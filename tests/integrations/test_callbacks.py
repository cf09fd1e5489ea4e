"""The callbacks, in the real trainers: they stop or warn before the first step, and leave resumed runs and good models alone."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from initium._errors import ArgumentError, ModelError

sys.path.insert(0, str(Path(__file__).parent.parent))
from zoo._shim import library


def lightning() -> Any:
    for name in ("lightning", "pytorch_lightning"):
        if importlib.util.find_spec(name) is not None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                if importlib.util.find_spec("torchvision") is not None:
                    library("torchvision")  # torchmetrics imports it
                found = library(name)
                return found.pytorch if name == "lightning" else found
    return pytest.skip("lightning is not installed")


def module(pl: Any, broken: bool) -> Any:
    class Net(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(8, 8)
            if broken:
                nn.init.constant_(self.layer.weight, 0.1)  # every unit the same
            self.head = nn.Linear(8, 3)
            self.example_input_array = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
            self.steps = 0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(torch.tanh(self.layer(x)))

        def training_step(self, batch: Any, _: int) -> torch.Tensor:
            self.steps += 1
            return self(batch[0]).square().mean()

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=0.1)

    torch.manual_seed(0)
    return Net()


def fit(pl: Any, net: Any, callback: Any, folder: Path, **options: Any) -> Any:
    data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.randn(8, 8)), batch_size=4)
    silent = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"lightning|pytorch_lightning|torch\..*")
        warnings.filterwarnings(
            "ignore", message=r"(?s).*(num_workers|logging interval|lr_scheduler|LeafSpec|isinstance\(treespec)"
        )
        trainer = pl.Trainer(max_steps=1, callbacks=[callback], default_root_dir=folder, **silent)
        trainer.fit(net, data, **options)
    return trainer


def test_lightning_stops_before_the_first_step_or_warns(tmp_path: Path) -> None:
    pl = lightning()
    from initium.integrations.lightning import AuditCallback

    net = module(pl, broken=True)
    with pytest.raises(ModelError, match=r"(?s)not ready to be trained.*layer\.weight"):
        fit(pl, net, AuditCallback(), tmp_path)
    assert net.steps == 0
    warned = AuditCallback("warn")
    with pytest.warns(UserWarning, match="not ready to be trained"):
        trainer = fit(pl, net, warned, tmp_path)
    assert net.steps == 1
    assert warned.report is not None
    assert not warned.report.ok
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    resumed = AuditCallback()
    fit(pl, module(pl, broken=True), resumed, tmp_path, ckpt_path=str(tmp_path / "last.ckpt"), **trusted(pl))
    assert resumed.report is None
    good = AuditCallback()
    fit(pl, module(pl, broken=False), good, tmp_path)
    assert good.report is not None
    assert good.report.ok
    assert good.report.measured.layers  # it ran on example_input_array


def trusted(pl: Any) -> dict[str, Any]:
    """From 2.6 on fit has weights_only; our file holds plain tensors."""
    import inspect

    return {"weights_only": False} if "weights_only" in inspect.signature(pl.Trainer.fit).parameters else {}


def test_transformers_trainer_stops_before_the_first_step_or_warns(tmp_path: Path) -> None:
    transformers = library("transformers")
    library("accelerate")
    from initium.integrations.trainer import AuditCallback

    def train(broken: bool, callback: Any) -> Any:
        config = transformers.BertConfig(
            vocab_size=40,
            hidden_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=64,
            max_position_embeddings=16,
        )
        torch.manual_seed(0)
        model = transformers.BertForSequenceClassification(config)
        if broken:
            nn.init.constant_(model.bert.encoder.layer[0].intermediate.dense.weight, 0.1)
        rows = [{"input_ids": torch.arange(8), "labels": torch.tensor(i % 2)} for i in range(4)]
        arguments = transformers.TrainingArguments(
            str(tmp_path), max_steps=1, report_to=[], use_cpu=True, disable_tqdm=True, save_strategy="no", logging_strategy="no"
        )
        trainer = transformers.Trainer(model, arguments, train_dataset=rows, callbacks=[callback])
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=r".*pin_memory.*")
            trainer.train()
        return trainer

    with pytest.raises(ModelError, match=r"(?s)not ready to be trained.*intermediate\.dense\.weight"):
        train(True, AuditCallback())
    warned = AuditCallback("warn")
    with pytest.warns(UserWarning, match="not ready to be trained"):
        assert train(True, warned).state.global_step == 1
    good = AuditCallback()
    assert train(False, good).state.global_step == 1
    assert good.report is not None
    assert good.report.ok, str(good.report)


def test_an_action_that_is_none() -> None:
    from initium.integrations._before_training import checked_action

    with pytest.raises(ArgumentError, match="action is 'raise' or 'warn', not 'stop'"):
        checked_action("stop")


def test_the_library_imports_no_integration() -> None:
    code = (
        "import sys, initium; initium.audit, initium.plan; from initium._audit.render import html, sarif;"
        "print([n for n in sys.modules if n.startswith(('initium.integrations', 'lightning', 'transformers', 'pytest'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
