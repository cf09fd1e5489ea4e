"""The table of the ways to shard a model, and what became of each: played on this machine, one rank after the other.

python tools/ways_to_shard.py          as Markdown, in some seconds; exit code 1 where something is not as it should be

torch's fake process group moves nothing between ranks, so what comes out right came from the rank alone.
"""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
from torch.distributed.tensor import DTensor, Partial, Placement, Replicate, Shard, distribute_tensor
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, SequenceParallel, parallelize_module
from torch.distributed.tensor.placement_types import _StridedShard

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests" / "sharded"), str(ROOT / "src")]

from fake_ranks import NoCollectives, fake_rank  # noqa: E402
from mesh_cases import RULES, check, distribute, fsdp, local_of, on_meta, tensors_of  # noqa: E402
from mesh_models import Experts, TinyGPT, computed, mlp  # noqa: E402

import initium  # noqa: E402

Parallelise = Callable[[nn.Module, DeviceMesh], None]


def equal(make: Callable[[], nn.Module], parallelise: Parallelise, *meshes: tuple[int, ...]) -> str:
    """Every rank of each mesh against what torch cuts from the model of one process, plans and fingerprints too."""
    ranks = 0
    for shape in meshes:
        parts, whole = 0, 0
        for rank in range(math.prod(shape)):
            with fake_rank(rank, *shape) as mesh, NoCollectives():
                wrong, part, whole = check(make, parallelise, mesh)
                if wrong:
                    return f"NOT EQUAL on rank {rank} of {shape}: {', '.join(wrong[:3])}"
            parts, ranks = parts + part, ranks + 1
        if parts % 2**128 != whole:
            return f"the fingerprints of {shape} do not add up"
    return f"equal on {ranks} ranks"


def by(*placements: Placement) -> Parallelise:
    return lambda model, mesh: distribute(model, mesh, placements)


def tensor_parallel(model: nn.Module, mesh: DeviceMesh) -> None:
    for block in model.h:  # type: ignore[union-attr]
        styles = {"ln": SequenceParallel(), "mlp": ColwiseParallel(), "c_proj": RowwiseParallel()}
        parallelize_module(block, mesh, styles, src_data_rank=None)


def both(model: nn.Module, mesh: DeviceMesh) -> None:
    names = mesh.mesh_dim_names or ()
    tensor_parallel(model, mesh[names[-1]])
    fsdp(model, mesh[names[:-1]] if len(names) > 2 else mesh[names[0]])


def by_expert(model: nn.Module, mesh: DeviceMesh) -> None:
    for name in ("w1", "w2"):
        cut = distribute_tensor(getattr(model, name).detach(), mesh, [Shard(1), Shard(0)], src_data_rank=None)
        setattr(model, name, nn.Parameter(cut))


def alike(part: nn.Module, whole: nn.Module, name_of: Callable[[str], str]) -> str:
    values = tensors_of(whole)
    wrong = [name for name, tensor in tensors_of(part).items() if not torch.equal(tensor, values[name_of(name)])]
    return f"NOT EQUAL: {', '.join(wrong[:3])}" if wrong else f"equal in {len(tensors_of(part))} tensors"


def stages(said: dict[str, object], name_of: Callable[[str], str]) -> str:
    """The third and fourth block of four."""
    whole = TinyGPT(depth=4)
    plan = initium.initialize(whole, RULES, seed=3)
    part = nn.Module()
    blocks = on_meta(lambda: TinyGPT(depth=4)).h[2:]
    part.h = nn.ModuleList(blocks) if "rename" in said else nn.ModuleDict({str(i): b for i, b in enumerate(blocks, 2)})
    plan.apply(part.to_empty(device="cpu"), part=True, **said)  # type: ignore[arg-type]
    return alike(part, whole, name_of)


def later(name: str) -> str:
    _, number, rest = name.split(".", 2)
    return f"h.{int(number) + 2}.{rest}"


def wrapped() -> str:
    whole, model = TinyGPT(), TinyGPT()
    plan = initium.initialize(whole, RULES, seed=3)
    model.h[0] = torch.compile(checkpoint_wrapper(model.h[0]), backend="eager")  # type: ignore[assignment]
    plan.apply(model)
    return alike(model, whole, lambda name: name.replace("_orig_mod.", "").replace("_checkpoint_wrapped_module.", ""))


def ddp() -> str:
    with fake_rank(1, 2):
        model = nn.parallel.DistributedDataParallel(mlp())
        whole = mlp()
        initium.initialize(model, RULES, seed=3)
        initium.initialize(whole, RULES, seed=3)
        return alike(model.module, whole, lambda name: name)


def computed_whole() -> str:
    torch.manual_seed(0)
    whole = computed()
    plan = initium.initialize(whole, [*RULES[:-1], initium.Rule("3.weight", initium.Orthogonal())], seed=3)
    values = tensors_of(whole)
    for rank in range(4):
        with fake_rank(rank, 4) as mesh:
            torch.manual_seed(0)
            model = computed()
            fully_shard(model, mesh=mesh)
            with NoCollectives():
                notes = plan.apply(model).notes
            for name, tensor in tensors_of(model).items():
                cut = distribute_tensor(values[name].detach(), mesh, [Shard(0)], src_data_rank=None)
                if isinstance(tensor, DTensor) and not torch.equal(local_of(tensor), local_of(cut)):
                    return f"NOT EQUAL: {name}"
    return f"equal on 4 ranks; “{notes[0]}”"


def dropin() -> str:
    torch.manual_seed(5)
    whole = initium.init.normal_(torch.empty(9, 7))
    for rank in range(4):
        with fake_rank(rank, 2, 2) as mesh:
            torch.manual_seed(5)
            cut = distribute_tensor(torch.zeros(9, 7), mesh, [Shard(0), Shard(1)], src_data_rank=None)
            wanted = distribute_tensor(whole, mesh, [Shard(0), Shard(1)], src_data_rank=None)
            if not torch.equal(local_of(initium.init.normal_(cut)), local_of(wanted)):
                return f"NOT EQUAL on rank {rank}"
    return "equal on 4 ranks; they agree on the key by a broadcast of 8 bytes"


def refused(do: Callable[[DeviceMesh], object]) -> str:
    with fake_rank(1, 2) as mesh:
        try:
            do(mesh)
        except initium.InitiumError as error:
            return f"refused: “{error}”"
    return "NOT REFUSED"


def partial(mesh: DeviceMesh) -> object:
    model = nn.Linear(3, 2)
    model.weight = nn.Parameter(DTensor.from_local(torch.zeros(2, 3), mesh, [Partial()], run_check=False))
    return initium.initialize(model, "he", seed=0)


def sliced(mesh: DeviceMesh) -> object:
    return initium.init.normal_(distribute_tensor(torch.zeros(8, 3), mesh, [Shard(0)], src_data_rank=None)[:4])


def fsdp1(mesh: DeviceMesh) -> object:
    return initium.initialize(FullyShardedDataParallel(nn.Linear(6, 4), device_id=torch.device("cpu")), "he", seed=0)


def zero3(mesh: DeviceMesh) -> object:
    model = nn.Linear(3, 2)
    for parameter in model.parameters():
        parameter.ds_numel, parameter.data = parameter.numel(), torch.empty(0)  # type: ignore[attr-defined]
    return initium.initialize(model, "he", seed=0)


def rows() -> Iterator[tuple[str, str]]:
    strided = by(_StridedShard(0, split_factor=2), Shard(0))
    yield "DTensor: `Shard(0)`; more ranks than rows", equal(TinyGPT, by(Shard(0)), (3,), (32,))
    yield (
        "`Shard(-1)`, `Shard(1)` × `Shard(0)`, on meshes of 1 and 2 dimensions",
        equal(TinyGPT, by(Shard(-1), Shard(0)), (2, 3)),
    )
    yield "`Shard` × `Replicate` × `Shard` of one dimension", equal(mlp, by(Shard(0), Replicate(), Shard(0)), (2, 2, 2))
    yield "`_StridedShard` × `Shard`", equal(mlp, strided, (2, 2))
    yield "`fully_shard` (FSDP2) on each block and on the whole, then `to_empty`", equal(TinyGPT, fsdp, (2,), (5,))
    yield "HSDP", equal(TinyGPT, fsdp, (2, 3))
    yield (
        "`parallelize_module`: `ColwiseParallel`, `RowwiseParallel`, `SequenceParallel`",
        equal(TinyGPT, tensor_parallel, (2,), (3,)),
    )
    yield (
        "`fully_shard` over `parallelize_module`, of sizes that neither divides",
        equal(TinyGPT, both, (3, 2), (2, 3), (2, 2, 2)),
    )
    yield "stacked experts cut by expert, each of them by rows", equal(Experts, by_expert, (2, 3))
    yield "a pipeline stage: `plan.apply(stage, part=True)`", stages({}, lambda name: name)
    yield "a stage that counts from 0 again: `rename=`", stages({"rename": later}, later)
    yield "`torch.compile` and activation checkpointing", wrapped()
    yield "DDP", ddp()
    yield "`orthogonal`, weight_norm, spectral_norm", computed_whole()
    yield "`initium.init.normal_(dtensor)` and its sisters", dropin()
    yield "a `Partial` placement", refused(partial)
    yield "a slice of a DTensor, which torch copies", refused(sliced)
    yield "FSDP1, by every function", refused(fsdp1)
    yield "DeepSpeed ZeRO-3, by every function", refused(zero3)


def main() -> int:
    warnings.simplefilter("ignore")
    found = list(rows())
    print("| How a model is sharded | What came of it |\n|---|---|")
    for way, what in found:
        print(f"| {way} | {' '.join(what.split())} |")
    return any(word in what for _, what in found for word in ("NOT", "do not add up"))


if __name__ == "__main__":
    sys.exit(main())
