"""The table of what ``initium audit`` finds in released models: ``python tools/audit_table.py run`` (resumable), then ``… table``.

Each model is audited as its constructor leaves it without a download: torchvision's and timm's as they are,
transformers' from their default configurations made small in depth and vocabulary. ``run`` appends a line of JSON a model to
``benchmarks/results/audit_models.jsonl`` and leaves out what stands there; ``table`` prints Markdown.
"""

from __future__ import annotations

import gc
import json
import random
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "benchmarks" / "results" / "audit_models.jsonl"
MOST = 60_000_000  # parameters
LIMIT = 60  # seconds a model
SMALL = {"num_hidden_layers": 2, "n_layer": 2, "num_layers": 2, "encoder_layers": 2, "decoder_layers": 2, "vocab_size": 512}


def names() -> list[str]:
    """Which models: every torchvision backbone, the smallest of each module file of timm, base classes of transformers."""
    sys.path.insert(0, str(ROOT / "src"))
    from initium._models import with_torchvision

    torchvision = with_torchvision(lambda: __import__("torchvision"))
    found = [f"torchvision:{name}" for name in torchvision.models.list_models(module=torchvision.models)]
    found += ["torchvision:fcn_resnet50", "torchvision:deeplabv3_resnet50", "torchvision:lraspp_mobilenet_v3_large"]
    timm = with_torchvision(lambda: __import__("timm"))
    for module in timm.list_modules():
        found += [f"timm:{name}" for name in sorted(timm.list_models(module=module), key=_size_word)[:1]]
    transformers = with_torchvision(lambda: __import__("transformers"))
    found += [f"hf:{name}" for name in sorted(transformers.CONFIG_MAPPING)]
    random.Random(0).shuffle(found)
    found.sort(key=lambda name: name.startswith("hf:"))
    return found


def _size_word(name: str) -> tuple[int, int, str]:
    words = (
        "test",
        "atto",
        "femto",
        "pico",
        "nano",
        "xxs",
        "xxtiny",
        "xs",
        "xtiny",
        "tiny",
        "small",
        "_s",
        "18",
        "26",
        "050",
        "b0",
        "0",
    )
    return next((i for i, word in enumerate(words) if word in name), len(words)), len(name), name


def one(name: str) -> dict[str, Any]:
    """Audit one model."""
    import time

    import torch

    import initium
    from initium._models import build_model, model_callable

    torch.set_num_threads(1)
    arguments: dict[str, Any] = {}
    if name.startswith("hf:"):
        import transformers

        config = transformers.CONFIG_MAPPING[name[3:]]()
        arguments = {key: value for key, value in SMALL.items() if isinstance(getattr(config, key, None), int)}
    try:
        size = sum(p.numel() for p in build_model(name, arguments, meta=True).parameters())
    except initium.InitiumError:  # some constructors read what they have just computed, which meta does not hold
        size = counted(lambda: build_model(name, arguments))
    if size > MOST:
        return {"model": name, "left_out": f"over {MOST:,} parameters"}
    start = time.perf_counter()
    report = initium.audit(model_callable(name, arguments), label=name)
    return {
        "model": name,
        "parameters": size,
        "seconds": round(time.perf_counter() - start, 1),
        "findings": [[f.code, f.severity, f.name, f.message, f.source] for f in report.findings],
        "passed": len(report.passed),
        "not_run": sorted({r.reason for r in report.not_run}),
        "ran": bool(report.measured.inputs),
    }


class TooLarge(BaseException):
    """Raised through a constructor, which may catch exceptions."""


def counted(make: Callable[[], nn.Module]) -> int:
    """The parameters of a model that is built, as far as MOST; one that has more is not built to its end."""
    sizes: list[int] = []

    def note(module: nn.Module, name: str, tensor: Tensor | None) -> None:
        sizes.append(0 if tensor is None else tensor.numel())
        if sum(sizes) > 2 * MOST:  # some are counted twice: moved, tied, put in another's place
            raise TooLarge

    handle = register_module_parameter_registration_hook(note)
    try:
        return sum(p.numel() for p in make().parameters())
    except TooLarge:
        return MOST + 1
    finally:
        handle.remove()


def run(least: int = 0, most: int | None = None) -> None:
    """Audit what is not in the file yet; each model has a time limit, and may fail."""
    done = {row["model"] for row in rows()}
    signal.signal(signal.SIGALRM, _late)
    for name in names()[least:most]:
        if name in done:
            continue
        signal.alarm(LIMIT)
        try:
            said = one(name)
        except Exception as error:  # a model may raise anything
            said = {"model": name, "failed": f"{type(error).__name__}: {str(error).splitlines()[:1]}"}
        finally:
            signal.alarm(0)
            gc.collect()
        with FILE.open("a", encoding="utf-8") as file:
            file.write(json.dumps(said) + "\n")


def _late(*_: object) -> None:
    raise TimeoutError(f"over {LIMIT} s")


def rows() -> list[dict[str, Any]]:
    """What the file holds."""
    return [json.loads(line) for line in FILE.read_text("utf-8").splitlines()] if FILE.exists() else []


def table() -> str:
    """Every error and warning: model, code, tensor, what, where."""
    audited = [row for row in rows() if "findings" in row]
    counts = Counter(finding[0] for row in audited for finding in row["findings"])
    lines = [
        f"{len(audited)} models audited, {sum(row['ran'] for row in audited)} of them run forward and backward; "
        f"{len(rows()) - len(audited)} more could not be built from their default configuration, or are too large or too slow for the table.",
        "",
        "Findings by check: " + ", ".join(f"{code} ×{n}" for code, n in sorted(counts.items())) + ".",
        "",
        "| model | finding | tensor | what | where |",
        "| --- | --- | --- | --- | --- |",
    ]
    for row in audited:
        for code, severity, name, message, source in row["findings"]:
            if severity == "error":
                cells = (f"`{row['model']}`", code, f"`{name}`" if name else "", message, f"`{source}`" if source else "")
                lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    if sys.argv[1:2] == ["run"]:
        run(*map(int, sys.argv[2:4]))
    else:
        print(table())
