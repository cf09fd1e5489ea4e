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
from pathlib import Path

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
    if rank == 0:
        Path(folder, "found").write_text("\n".join(lines), "utf-8")
    dist.barrier()
    dist.destroy_process_group()


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
    total = sum(len(cells) for cells in found.values())
    right = sum(what == "equal" for cells in found.values() for what in cells.values())
    print(f"\n{right} of {total} equal to the bit; torch {torch.__version__}")
    return 0 if right == total else 1


if __name__ == "__main__":
    sys.exit(main())
