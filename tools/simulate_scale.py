"""Two models that no machine holds, each at full size, on 16,384 ranks: 40 of those ranks are drawn here, whole, and checked.

python tools/simulate_scale.py [--ranks 40]

The mesh is 16 pipeline stages × 128 of fully_shard × 8 of tensor parallelism (Llama 405 B) or of expert parallelism (DeepSeek-V3, 671 B).
What a rank holds comes from the code that ``plan.apply`` uses on a real mesh. Of every tensor of a rank, elements at its start, its end
and in between are compared with ``plan.values``, which draws them alone.
"""

from __future__ import annotations

import argparse
import math
import random
import resource
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch.distributed.tensor import Placement, Replicate, Shard
from torch.distributed.tensor.placement_types import _StridedShard

import initium
from initium._entry import Row
from initium._execute import Batch
from initium._regions import Region
from initium._sharded.placed import _region

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "zoo"))
STAGES, DATA, TENSOR = 16, 128, 8

LLAMA = {  # the dense 405 B configuration as it was published
    "hidden_size": 16384,
    "intermediate_size": 53248,
    "num_hidden_layers": 126,
    "num_attention_heads": 128,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
}
MODELS = {
    "Llama 405 B": ("LlamaForCausalLM", "LlamaConfig", LLAMA),
    "DeepSeek-V3 671 B": ("DeepseekV3ForCausalLM", "DeepseekV3Config", {}),
}


def stage_of(name: str, layers: int) -> int:
    words = name.split(".")
    if "layers" in words:
        return int(words[words.index("layers") + 1]) * STAGES // layers
    return 0 if "embed_tokens" in name else STAGES - 1


def placements_of(name: str, shape: tuple[int, ...]) -> list[Placement]:
    """On the mesh (fully_shard, tensor or expert parallel)."""
    if ".experts." in name:
        return [Shard(1), Shard(0)]  # each rank of eight has 32 experts, cut by their rows
    if len(shape) < 2 or "kv_a" in name or "q_a" in name or ".gate.weight" in name or "shared_experts" in name:
        return [Shard(0), Replicate()]
    if any(part in name for part in ("o_proj", "down_proj")):
        return [Shard(0), Shard(1)]
    return [_StridedShard(0, split_factor=TENSOR), Shard(0)]


def rank_rows(plan: initium.Plan, layers: int, rank: int) -> list[tuple[Row, Region]]:
    """What a rank holds."""
    stage, data, tensor = rank // (DATA * TENSOR), rank // TENSOR % DATA, rank % TENSOR
    found = []
    for row in plan.rows():
        if row.is_buffer or stage_of(row.name, layers) != stage or row.decision.kind == "tied":
            continue
        shape = row.decision.shape
        region = _region(shape, (DATA, TENSOR), (data, tensor), placements_of(row.name, shape), None)
        assert isinstance(region, Region), region
        found.append((row, region))
    return found


def flat_of(region: Region, place: int) -> int:
    """The flat index in the whole of a flat local index."""
    local, flat = region.local_shape, 0
    index = []
    for size in reversed(local):
        place, i = divmod(place, size)
        index.append(i)
    for size, runs, i in zip(region.shape, region.runs, reversed(index), strict=True):
        for start, length in runs:  # noqa: B007
            if i < length:
                break
            i -= length
        flat = flat * size + start + i
    return flat


def draw(plan: initium.Plan, rows: list[tuple[Row, Region]], chance: random.Random) -> tuple[int, float, int]:
    """(bytes in bf16, seconds to draw them, elements that were compared) of a rank."""
    nbytes, seconds, compared = 0, 0.0, 0
    for row, region in rows:
        local = torch.empty(region.local_shape, dtype=torch.bfloat16)
        nbytes += 2 * local.numel()
        begin = time.perf_counter()
        batch = Batch()
        assert row.decision.program is not None
        batch.add(local, row.decision.program, plan.key_of(row.name), region)
        batch.run()
        seconds += time.perf_counter() - begin
        flat = local.view(-1)
        places = {0, flat.numel() - 1, *(chance.randrange(flat.numel()) for _ in range(6))} if flat.numel() else set()
        for place in places:
            at = flat_of(region, place)
            if plan.values(row.name, at, at + 1).bfloat16().item() != flat[place].item():
                raise SystemExit(f"{row.name}: element {at} differs")
            compared += 1
    return nbytes, seconds, compared


def main() -> None:
    from _shim import library

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ranks", type=int, default=40, help="drawn of each model")
    said = parser.parse_args()
    transformers: Any = library("transformers")
    torch.set_num_threads(2)
    world = STAGES * DATA * TENSOR
    for title, (model_class, config_class, sizes) in MODELS.items():
        config = getattr(transformers, config_class)(**sizes)
        begin = time.perf_counter()
        _, plan = initium.capture(getattr(transformers, model_class), config, seed=0)
        captured = time.perf_counter() - begin
        numel = sum(math.prod(row.decision.shape) for row in plan.rows() if not row.is_buffer and row.decision.kind != "tied")
        print(f"{title}: {numel / 1e9:.1f} G parameters, {len(plan)} tensors, captured in {captured:.1f} s")
        layers = config.num_hidden_layers
        for rank in (0, world - 1):
            rank_rows(plan, layers, rank)  # warm
        chance = random.Random(0)
        found = [draw(plan, rank_rows(plan, layers, rank), chance) for rank in chance.sample(range(world), said.ranks)]
        sizes_mb, seconds = [n / 1e6 for n, _, _ in found], [s for _, s, _ in found]
        print(
            f"  {said.ranks} of {world:,} ranks: {min(sizes_mb):.0f} … {max(sizes_mb):.0f} MB of bfloat16 each, drawn in "
            f"{statistics.median(seconds):.2f} s (median; longest {max(seconds):.2f} s); {sum(c for *_, c in found):,} elements compared, all equal"
        )
    print(f"peak memory of this process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GB")


if __name__ == "__main__":
    main()
