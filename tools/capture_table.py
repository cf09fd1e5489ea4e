"""Capture everything, compare what is small enough, and write the tables of docs/capture.md.

    python tools/capture_table.py everything [GLOB …]    capture every model of timm, torchvision and transformers at full default size
    python tools/capture_table.py alike [GLOB …]         build small ones the ordinary way too, and compare by law
    python tools/capture_table.py table                  write the tables from the results
    python tools/capture_table.py sample                 a dozen of both kinds, for CI: exit 1 if one is not as it should be

Results go to benchmarks/results/capture/*.jsonl as they come, so a run that was stopped goes on where it was; with GLOBs those models are done anew.
Each model has a process of its own, which is ended after MINUTES, or above MEMORY: one that grows too large takes nothing with it. As many
run at once as there are cores.
"""

from __future__ import annotations

import contextlib
import fnmatch
import gc
import json
import math
import os
import resource
import select
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

import initium
from initium._models import with_torchvision

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "capture"))
RESULTS = ROOT / "benchmarks" / "results" / "capture"
PAGE = ROOT / "docs" / "capture.md"
MINUTES = 3
MEMORY = 4 << 30  # bytes of one model's process
SMALL = 40_000_000  # parameters up to which a model is built the ordinary way

SAMPLE = [
    *("torchvision:resnet18", "torchvision:densenet121", "torchvision:swin_t"),
    *("timm:vit_tiny_patch16_224", "timm:levit_128s", "timm:convnext_atto"),
    *("hf:gpt2", "hf:mamba", "hf:t5", "hf:wav2vec2", "hf:mixtral", "hf:bart"),
]


# --- models


def everything() -> list[str]:
    """Every model of the three libraries: ``torchvision:NAME``, ``timm:NAME``, ``transformers:CLASS``."""
    import timm
    import torchvision

    classes = _classes()
    names = [f"torchvision:{name}" for name in torchvision.models.list_models()]
    return [*names, *(f"timm:{name}" for name in timm.list_models()), *(f"transformers:{name}" for name in classes)]


def _classes() -> list[str]:
    """The classes of transformers that are models, found by importing all of them, once, before any process forks."""
    import transformers

    found = []
    for name in dir(transformers):
        if name.endswith("PreTrainedModel") or name.startswith(("TF", "Flax", "_")):
            continue
        with contextlib.suppress(Exception):
            thing = getattr(transformers, name)
            if isinstance(thing, type) and issubclass(thing, transformers.PreTrainedModel) and thing.config_class is not None:
                found.append(name)
    return found


def alike_models() -> list[str]:
    """Those that are compared by law: all of torchvision, each fourth of timm, every model type of transformers, shrunk."""
    import timm
    import torchvision
    import transformers

    _classes()
    names = [f"torchvision:{name}" for name in torchvision.models.list_models() if "quantized" not in name]
    return [
        *(f"hf:{name}" for name in transformers.CONFIG_MAPPING),
        *names,
        *(f"timm:{name}" for name in timm.list_models()[::4]),
    ]


def maker(name: str) -> Callable[[], torch.nn.Module]:
    """What makes a model; its library is imported before it is called."""
    library, _, what = name.partition(":")
    if library == "torchvision":
        import torchvision

        knobs = dict.fromkeys(
            ["weights", *(["weights_backbone"] if "weights_backbone" in _parameters(torchvision, what) else [])]
        )
        return lambda: torchvision.models.get_model(what, **knobs)  # type: ignore[no-any-return]
    if library == "timm":
        import timm

        return lambda: timm.create_model(what, pretrained=False)  # type: ignore[no-any-return]
    import transformers

    if library == "transformers":
        cls = getattr(transformers, what)
        return lambda: cls(cls.config_class())  # type: ignore[no-any-return]
    config = shrunk(transformers.CONFIG_MAPPING[what])
    return lambda: transformers.AutoModel.from_config(config)  # type: ignore[no-any-return]


def _parameters(torchvision: Any, name: str) -> Any:
    import inspect

    return inspect.signature(torchvision.models.get_model_builder(name)).parameters


_KNOBS = {
    "hidden_size": 64, "d_model": 64, "n_embd": 64, "dim": 64, "embed_dim": 64, "intermediate_size": 96, "d_ff": 96, "encoder_ffn_dim": 96,
    "decoder_ffn_dim": 96, "ffn_dim": 96, "num_hidden_layers": 2, "n_layer": 2, "n_layers": 2, "num_layers": 2, "encoder_layers": 2,
    "decoder_layers": 2, "num_attention_heads": 4, "n_head": 4, "n_heads": 4, "num_heads": 4, "encoder_attention_heads": 4,
    "decoder_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 128, "d_kv": 16, "head_dim": 16, "max_position_embeddings": 64,
    "num_local_experts": 2, "num_experts": 2, "n_routed_experts": 4, "moe_intermediate_size": 32, "state_size": 8,
    "word_embed_proj_dim": 64, "embedding_size": 32,
}  # fmt: skip


def shrunk(kind: Any) -> Any:
    """The configuration with small sizes, where it still makes a model; else its default, which is tried on meta first."""
    import transformers

    default = kind()
    small = {name: value for name, value in _KNOBS.items() if isinstance(getattr(default, name, None), int)}
    without_head = {name: value for name, value in small.items() if name != "head_dim"}
    layers = {name: value for name, value in small.items() if "layer" in name}
    for knobs in (small, without_head, layers, {}):
        with contextlib.suppress(Exception):
            config = kind(**knobs)
            for special in ("pad_token_id", "bos_token_id", "eos_token_id"):
                if isinstance(getattr(config, special, None), int):
                    setattr(config, special, 0)
            if hasattr(config, "use_timm_backbone"):
                config.use_timm_backbone = False
            with torch.device("meta"):
                transformers.AutoModel.from_config(config)
            return config
    return default


# --- one model


def captured(name: str) -> dict[str, Any]:
    """What capture makes of a model at its full size."""
    make = maker(name)
    if name.startswith("transformers:"):
        with contextlib.suppress(Exception):
            make.__closure__[0].cell_contents.config_class()  # type: ignore[index, union-attr]
    begin = time.perf_counter()
    _, plan = initium.capture(make, seed=0)
    seconds = time.perf_counter() - begin
    entries = [entry for entry in plan.values() if entry.kind not in ("tied", "derived") or entry.program is not None]
    lost = [entry for entry in entries if entry.kind == "undefined"]
    total = sum(math.prod(entry.shape) for entry in entries)
    undefined = sum(math.prod(entry.shape) for entry in lost)
    return {
        "elements": total,
        "undefined": undefined,
        "lost": [f"{entry.name} ({entry.source})" for entry in lost[:3]],
        "seconds": round(seconds, 3),
        "rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
        "reads": next((note for note in plan.notes if "reads values" in note), ""),
    }


def compared(name: str) -> dict[str, Any]:
    """How a model that is built by the engine differs from one that is built the ordinary way."""
    from alike import differences

    make = maker(name)
    begin = time.perf_counter()
    skeleton, plan = initium.capture(make, seed=0)
    size = sum(p.numel() for p in skeleton.parameters())
    if size > SMALL:
        return {"elements": size, "skipped": "too large to be built twice here"}
    del skeleton
    gc.collect()
    recipe = None
    lost = [entry.name for entry in plan.values() if entry.kind == "undefined"]
    if lost:
        recipe = [initium.Rule(f"re:^{'|'.join(map(_escaped, lost))}$", initium.Constant(0), buffers=True)]
    torch.manual_seed(1)
    times = [time.perf_counter()]
    ordinary = make()
    times.append(time.perf_counter())
    built = initium.build(make, seed=0, recipe=recipe)
    times.append(time.perf_counter())
    found = [one for one in differences(ordinary, built, plan) if not any(one.startswith(f"{key} ") for key in lost)]
    return {
        "elements": size,
        "tensors": len(plan),
        "undefined": lost[:3],
        "differences": found[:5],
        "seconds": round(time.perf_counter() - begin, 2),
        "ordinary": round(times[1] - times[0], 3),
        "built": round(times[2] - times[1], 3),
    }


def _escaped(name: str) -> str:
    import re

    return re.escape(name)


def ordinary(name: str) -> dict[str, Any]:
    """Whether the constructor works without capture: on meta, and as it is where that finds nothing and there is the memory."""
    with torch.device("meta"):
        model = maker(name)()
    if sum(p.numel() * p.element_size() for p in model.parameters()) < MEMORY // 2:
        maker(name)()
    return {}


# --- processes


def in_a_process(do: Callable[..., dict[str, Any]], *args: str) -> dict[str, Any]:
    """Run in a copy of this process, ended where it takes too long or too much memory; an exception is the result's ``error``."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        torch.set_num_threads(1)
        try:
            result = do(*args)
        except BaseException as error:
            lines = traceback.extract_tb(error.__traceback__)
            at = f"{lines[-1].filename.rpartition('site-packages/')[2].removeprefix(f'{ROOT}/')}:{lines[-1].lineno}"
            result = {"error": f"{type(error).__name__}: {error}"[:400], "at": at}
        with os.fdopen(writing, "w") as pipe:
            json.dump(result, pipe)
        os._exit(0)
    os.close(writing)
    text, stopped, begin = b"", "", time.monotonic()
    while True:
        if select.select([reading], [], [], 0.1)[0]:
            chunk = os.read(reading, 1 << 16)
            if not chunk:
                break
            text += chunk
        if _resident(child) > MEMORY:
            stopped = f"more than {MEMORY >> 30} GB of memory"
        if time.monotonic() - begin > 60 * MINUTES:
            stopped = f"more than {MINUTES} minutes"
        if stopped:
            os.kill(child, signal.SIGKILL)
            break
    os.close(reading)
    os.waitpid(child, 0)
    return json.loads(text) if text and not stopped else {"error": stopped or "the process died", "at": ""}


def _resident(process: int) -> int:
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * resource.getpagesize()
    return 0


def run(kind: str, names: list[str], do: Callable[[str], dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Do all that is not done yet, and keep what comes out."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    with (RESULTS / f"{kind}.jsonl").open("a") as file:
        for name in names:
            result = in_a_process(do, name)
            if "error" in result and "memory" not in result["error"]:
                alone = in_a_process(ordinary, name)
                result["alone"] = alone.get("error", "")
            file.write(json.dumps({"name": name, **result}) + "\n")
            file.flush()
            yield name, result


def shared_out(names: list[str]) -> tuple[list[str], list[int]]:
    """This process's share of the names, and the processes that have the others': every n-th each, on n cores."""
    cores, others = len(os.sched_getaffinity(0)), []
    for core in range(1, cores):
        process = os.fork()
        if not process:
            return names[core::cores], []
        others.append(process)
    return names[::cores], others


def results(kind: str) -> dict[str, dict[str, Any]]:
    """The last result of each model."""
    path = RESULTS / f"{kind}.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return {one["name"]: one for one in map(json.loads, lines)}


def main() -> int:
    warnings.simplefilter("ignore")
    os.environ.update(TRANSFORMERS_VERBOSITY="error", HF_HUB_OFFLINE="1")
    with_torchvision(lambda: [__import__(name) for name in ("torchvision", "timm", "transformers")])
    what, *globs = sys.argv[1:] or ["--help"]
    if what == "table":
        from capture_page import write_page

        write_page(PAGE, results("everything"), results("alike"))
        return 0
    kinds: dict[str, tuple[Callable[[], list[str]], Callable[[str], dict[str, Any]]]]
    kinds = {"everything": (everything, captured), "alike": (alike_models, compared), "sample": (lambda: SAMPLE, compared)}
    if what not in kinds:
        print(__doc__)
        return 2
    names, do = kinds[what][0](), kinds[what][1]
    if globs:
        names = [name for name in names if any(fnmatch.fnmatch(name, glob) for glob in globs)]
    elif what != "sample":
        done = results(what)
        names = [name for name in names if name not in done]
    share, others = shared_out(names) if what != "sample" else (names, [])
    bad = 0
    for name, result in run(what, share, do):
        wrong = result.get("error") or result.get("differences") or result.get("undefined")
        bad += bool(wrong)
        print(f"{name:<60} {result.get('seconds', ''):>8} {wrong or 'as it should be'}", flush=True)
    for process in others:
        os.waitpid(process, 0)
    return bool(bad) if what == "sample" else 0


if __name__ == "__main__":
    sys.exit(main())
