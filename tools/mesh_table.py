"""The table of mesh invariance: models × ways to shard × numbers of processes, each compared to the bit with one process.

python tools/mesh_table.py                          all of it, as Markdown
python tools/mesh_table.py --processes 4 --own      the models that need no other library, on 4 processes
python tools/mesh_table.py --models Llama,T5        some models

A cell is right when every tensor on every rank has the bits that torch's own sharding cuts from the whole, the plans made before and
after sharding are equal, and the fingerprints of the ranks' parts add up to that of the whole.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torch.multiprocessing as mp

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "tests" / "sharded"), str(ROOT / "src")]


def rank_main(rank: int, processes: int, names: list[str], folder: str) -> None:
    """One process: every model on every mesh; the first writes down what all of them found."""
    import torch.distributed as dist
    from mesh_cases import LAYOUTS, check
    from mesh_models import MODELS
    from torch.distributed.device_mesh import init_device_mesh

    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=processes)
    meshes = {}
    lines = []
    for name in names:
        for layout, (shape_of, parallelise) in LAYOUTS.items():
            shape = shape_of(processes)
            if shape not in meshes:
                meshes[shape] = init_device_mesh("cpu", shape, mesh_dim_names=("a", "b", "c")[: len(shape)])
            wrong, part, whole = check(MODELS[name], parallelise, meshes[shape])
            found: list[tuple[list[str], int, int]] = [([], 0, 0)] * processes
            dist.all_gather_object(found, (wrong, int(part), int(whole)))
            problems = [f"rank {r}: {', '.join(w[:3])}" for r, (w, _, _) in enumerate(found) if w]
            if sum(p for _, p, _ in found) % 2**128 != whole:
                problems.append("fingerprint")
            lines.append(f"{name}\t{layout}\t{'; '.join(problems) or 'equal'}")
    beside = [f"{what}\t\t{'equal' if right else 'NOT EQUAL'}" for what, right in several(meshes)]
    if rank == 0:
        Path(folder, "found").write_text("\n".join([*lines, *beside]), "utf-8")
    dist.barrier()
    dist.destroy_process_group()


def several(meshes: dict[tuple[int, ...], Any]) -> Iterator[tuple[str, bool]]:
    """What only several processes can show: (what, whether it is so on all of them)."""
    import torch.distributed as dist
    from mesh_cases import RULES, fsdp
    from mesh_models import TinyGPT, mlp
    from torch import Tensor, nn
    from torch.distributed.tensor import Shard, distribute_tensor

    import initium

    rank, processes, mesh = dist.get_rank(), dist.get_world_size(), meshes[dist.get_world_size(),]

    def agreed(what: str, right: bool) -> tuple[str, bool]:
        found = [False] * processes
        dist.all_gather_object(found, right)
        return what, all(found)

    torch.manual_seed(5)
    whole = initium.init.normal_(torch.empty(9, 7))
    torch.manual_seed(5 + rank)
    drawn = initium.init.normal_(distribute_tensor(torch.zeros(9, 7), mesh, [Shard(0)]))
    assert isinstance(drawn, Tensor)
    yield agreed("drop-ins agree though the ranks' generators do not", torch.equal(drawn.full_tensor(), whole))

    torch.manual_seed(5 + rank // 2)  # what data parallelism seeds alike
    pair = next((m[m.mesh_dim_names[1]] for m in meshes.values() if m.ndim == 2 and m.shape[1] == processes), mesh)
    drawn = initium.init.normal_(distribute_tensor(torch.zeros(9, 7), pair, [Shard(1)]))
    yield agreed("drop-ins agree on a part of the mesh", torch.equal(drawn.full_tensor(), whole))

    model, alone = TinyGPT(), TinyGPT()
    initium.initialize(alone, RULES, seed=2)
    fsdp(model, mesh)
    plan = initium.initialize(model, RULES, seed=2)
    print_of_all = initium.fingerprint(model, plan=plan, group=dist.group.WORLD)
    yield agreed("fingerprint over a group", print_of_all == initium.fingerprint(alone))

    replicas = nn.parallel.DistributedDataParallel(mlp())
    initium.initialize(replicas, RULES, seed=2)
    counted = initium.fingerprint(replicas, group=dist.group.WORLD)
    yield agreed("DDP's group counts once", counted == initium.fingerprint(replicas.module))


def run(processes: int, names: list[str]) -> dict[tuple[str, str], str]:
    """(model, layout) -> "equal", or what is not."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory() as folder:
        mp.spawn(rank_main, (processes, names, folder), nprocs=processes)
        rows = [line.split("\t") for line in Path(folder, "found").read_text("utf-8").splitlines()]
    return {(model, layout): what for model, layout, what in rows}


def main() -> int:
    from mesh_cases import LAYOUTS
    from mesh_models import MODELS, OWN

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", default="1,2,4", help="numbers of processes, with commas")
    parser.add_argument("--models", default="", help="names of models, with commas")
    parser.add_argument("--own", action="store_true", help="only the models that need no other library")
    said = parser.parse_args()
    names = said.models.split(",") if said.models else list(OWN if said.own else MODELS)
    counts = [int(n) for n in said.processes.split(",")]
    found = {n: run(n, names) for n in counts}
    print(f"| on {', '.join(map(str, counts))} processes | " + " | ".join(names) + " |")
    print("|---|" + "---|" * len(names))
    for layout in LAYOUTS:
        cells = []
        for name in names:
            wrong = [f"{n}: {found[n][name, layout]}" for n in counts if found[n][name, layout] != "equal"]
            cells.append("; ".join(wrong) or "equal")
        print(f"| {layout} | " + " | ".join(cells) + " |")
    for what in sorted({model for cells in found.values() for model, layout in cells if not layout}):
        wrong = [str(n) for n in counts if found[n][what, ""] != "equal"]
        print(f"\n{what}: {'NOT EQUAL on ' + ', '.join(wrong) if wrong else 'equal'}")
    total = sum(bool(layout) for cells in found.values() for _, layout in cells)
    right = sum(what == "equal" for cells in found.values() for (_, layout), what in cells.items() if layout)
    print(f"\n{right} of {total} equal to the bit; torch {torch.__version__}")
    return 0 if all(what == "equal" for cells in found.values() for what in cells.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
