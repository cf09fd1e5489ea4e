"""The table of what ``initium audit`` finds in released models: ``python tools/audit_table.py run`` (resumable), then ``… table``.

Each model is audited as its constructor leaves it without a download: torchvision's and timm's as they are,
transformers' from their default configurations made small in depth and vocabulary. ``run`` appends a line of JSON a model to
``benchmarks/results/audit_models.jsonl`` and leaves out what stands there; ``table`` prints Markdown.
"""

from __future__ import annotations

import gc
import json
import random
import re
import signal
import sys
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
            reason = re.sub(
                r"[^\s'\"]*/site-packages/", "", str(error).partition("\n")[0]
            )  # results name no place of this machine
            said = {"model": name, "failed": f"{type(error).__name__}: {reason}"}
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
    """How many were audited, every error (model, code, tensor, what, where), and the warnings by check."""
    known = rows()
    audited = [row for row in known if "findings" in row]
    models: dict[tuple[str, str], set[str]] = {}
    for row in audited:
        for code, severity, *_ in row["findings"]:
            models.setdefault((severity, code), set()).add(row["model"])
    heavy = {name for (severity, _), named in models.items() if severity != "info" for name in named}
    errors = [(row["model"], *finding) for row in audited for finding in row["findings"] if finding[1] == "error"]
    warned = sorted(code for severity, code in models if severity == "warning")
    return "\n".join(
        [
            f"{len(audited)} models audited, {sum(row['ran'] for row in audited)} of them run forward and backward; "
            f"{sum('left_out' in row for row in known)} more have over {MOST:,} parameters, and "
            f"{sum('failed' in row for row in known)} could not be built from their default configuration, or took longer than {LIMIT} s.",
            "",
            f"{len(audited) - len(heavy)} have neither an error nor a warning. "
            + "; ".join(f"{code} in {len(models[severity, code])} ({severity})" for severity, code in sorted(models))
            + ".",
            "",
            "Every error:",
            "",
            *_markdown("model", "finding", "tensor", "what", "where", lines=_by_line(errors)),
            "",
            "Warnings, an example each:",
            "",
            *_markdown("finding", "models", "for example", "what", "where", lines=[_example(audited, code) for code in warned]),
        ]
    )


def _by_line(errors: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """One line of the table for a line of code that is guilty of several."""
    found: dict[tuple[str, str, str], list[tuple[str, ...]]] = {}
    for model, code, _, name, message, source in errors:
        found.setdefault((model, code, source), []).append((name, message))
    lines = []
    for (model, code, source), named in sorted(found.items()):
        more = f" and {len(named) - 1} more" if len(named) > 1 else ""
        lines.append((f"`{model}`", code, f"`{named[0][0]}`{more}", named[0][1], f"`{source}`"))
    return lines


def _example(audited: list[dict[str, Any]], code: str) -> tuple[str, ...]:
    found = [(row["model"], one) for row in audited for one in row["findings"] if one[0] == code and one[1] == "warning"]
    model, (_, _, name, message, source) = found[0]
    where = f"`{source}`" if source else ""
    return code, str(len({name for name, _ in found})), f"`{model}`: `{name}`", message, where


def _markdown(*head: str, lines: list[tuple[str, ...]]) -> list[str]:
    cells = [head, tuple("---" for _ in head), *lines]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in cells]


if __name__ == "__main__":
    if sys.argv[1:2] == ["run"]:
        run(*map(int, sys.argv[2:4]))
    else:
        print(table())
