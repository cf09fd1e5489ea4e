"""The ways people shard a model, each rank in turn on a fake process group, whose collectives do nothing: equal to one process."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from fake_ranks import NoCollectives, fake_rank
from mesh_cases import LAYOUTS, RULES, check, differing, fsdp, local_of, on_meta, tensors_of
from mesh_models import OWN, Experts, TinyGPT, computed, mlp
from safetensors.torch import load_file
from torch import nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, SequenceParallel, parallelize_module

import initium
from initium import Orthogonal, Rule
from initium._errors import PlanError, WriteError
from initium._measure.fingerprint import Fingerprint, fingerprint

init = initium.init


def forbidden(make: Callable[[], nn.Module], parallelise: Callable[[nn.Module, DeviceMesh], None], *mesh_shape: int) -> None:
    """Each rank, without a collective: the bits of the whole, and parts of the fingerprint that add up."""
    total, whole = Fingerprint(), Fingerprint()
    for rank in range(math.prod(mesh_shape)):
        with fake_rank(rank, *mesh_shape) as mesh, NoCollectives():
            wrong, part, whole = check(make, parallelise, mesh)
            assert not wrong, (rank, wrong)
            total += part
    assert total == whole


@pytest.mark.parametrize(("layout", "name"), list(zip(LAYOUTS, ["tied GPT", "Mamba-like"] * 6, strict=True)))
def test_every_layout_on_four_ranks(name: str, layout: str) -> None:
    shape_of, parallelise = LAYOUTS[layout]
    forbidden(OWN[name], parallelise, *shape_of(4))


@pytest.mark.parametrize(("name", "layout"), [("LSTM", "FSDP2"), ("MLP", "HSDP × TP"), ("experts", "HSDP × TP")])
def test_more_ranks_than_rows(name: str, layout: str) -> None:
    """Eight ranks and axes of 3 to 7: most parts are empty."""
    _, parallelise = LAYOUTS[layout]
    forbidden(OWN[name], parallelise, *((8,) if layout == "FSDP2" else (2, 2, 2)))


def tensor_parallel(model: nn.Module, mesh: DeviceMesh) -> None:
    plan = {"ln": SequenceParallel(), "mlp": ColwiseParallel(), "c_proj": RowwiseParallel()}
    for block in model.h:  # type: ignore[union-attr]
        parallelize_module(block, mesh, plan, src_data_rank=None)


def test_parallelize_module_alone_and_under_fully_shard() -> None:
    forbidden(TinyGPT, tensor_parallel, 2)

    def both(model: nn.Module, mesh: DeviceMesh) -> None:
        names = mesh.mesh_dim_names
        assert names is not None
        tensor_parallel(model, mesh[names[-1]])
        fsdp(model, mesh[names[:-1]] if len(names) > 2 else mesh[names[0]])

    forbidden(TinyGPT, both, 2, 2)
    forbidden(TinyGPT, both, 2, 2, 2)


def test_a_tie_that_tensor_parallelism_breaks_keeps_its_values_and_is_noted() -> None:
    whole = TinyGPT()
    plan = initium.initialize(whole, RULES, seed=3)
    with fake_rank(1, 2) as mesh:
        model = on_meta(TinyGPT)
        parallelize_module(model, mesh, {"wte": RowwiseParallel(input_layouts=Replicate())})
        model.to_empty(device="cpu")
        with NoCollectives():
            applied = plan.apply(model)
        cut = distribute_tensor(whole.wte.weight.detach(), mesh, [Shard(0)], src_data_rank=None)
        assert torch.equal(local_of(model.wte.weight), cut._local_tensor)
        assert torch.equal(model.lm_head.weight, whole.wte.weight)
        assert "has the values of wte.weight, but is another tensor here" in applied["lm_head.weight"].note


def test_expert_parallel_with_each_expert_sharded_over_the_rest() -> None:
    def parallelise(model: nn.Module, mesh: DeviceMesh) -> None:
        for name in ("w1", "w2"):
            whole = getattr(model, name).detach()
            setattr(model, name, nn.Parameter(distribute_tensor(whole, mesh, [Shard(1), Shard(0)], src_data_rank=None)))

    forbidden(Experts, parallelise, 2, 3)


@pytest.mark.parametrize("rank", range(4))
def test_computed_weights_have_the_originals_of_one_process(rank: int) -> None:
    """weight_norm and spectral_norm under FSDP: torch would gather; each rank computes them whole, one at a time."""
    rules = [*RULES[:-1], Rule("3.weight", Orthogonal())]
    torch.manual_seed(0)
    whole = computed()
    before = copy.deepcopy(whole)  # spectral_norm's vectors are kept, so both begin with the same
    plan = initium.initialize(whole, rules, seed=3)
    with fake_rank(rank, 4) as mesh:
        fully_shard(before, mesh=mesh)
        fully_shard(whole, mesh=mesh)
        with NoCollectives():
            plan.apply(before)
        assert differing(before, whole) == []
        assert any(isinstance(t, DTensor) for n, t in tensors_of(before).items() if "original0" in n)


@pytest.mark.parametrize("rank", range(2))
def test_kept_values_and_buffers_are_right_on_every_rank(rank: int) -> None:
    """A captured plan holds what the constructor computes: tables, buffers, also those that no state_dict has."""

    class Rotary(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("inv_freq", 1.0 / 10000 ** (torch.arange(0, 8, 2) / 8), persistent=False)
            self.A_log = nn.Parameter(torch.log(torch.arange(1.0, 7)).repeat(5, 1))
            self.norm = nn.BatchNorm1d(5)
            self.proj = nn.Linear(6, 5)
            nn.init.orthogonal_(self.proj.weight)

    whole = initium.build(Rotary, seed=5)
    with fake_rank(rank, 2) as mesh:
        skeleton, plan = initium.capture(Rotary, seed=5)
        fully_shard(skeleton, mesh=mesh)
        skeleton.to_empty(device="cpu")
        for tensor in tensors_of(skeleton).values():
            local_of(tensor).detach().fill_(7)
        with NoCollectives():
            plan.apply(skeleton)
        fully_shard(whole, mesh=mesh)
        assert differing(skeleton, whole) == []


def test_a_kept_tensor_of_a_skeleton_is_an_error_also_when_sharded() -> None:
    with fake_rank(0, 2) as mesh:
        model = on_meta(lambda: nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 4)))
        plan = initium.plan(model, "he", seed=0)
        fully_shard(model, mesh=mesh)
        model.to_empty(device="cpu")
        with pytest.raises(WriteError, match=r"1 tensor is to be kept as constructed(.|\n)*0\.weight"):
            plan.apply(model)


def stage(model: TinyGPT, first: int, last: int) -> nn.Module:
    """A pipeline stage: some of the blocks, under their own names."""
    part = copy.deepcopy(model)
    part.h = nn.ModuleDict({str(i): part.h[i] for i in range(first, last)})  # type: ignore[assignment]
    if first:
        del part.wte
    if last < len(model.h):
        del part.lm_head
    return part


@pytest.mark.parametrize("cuts", [(0, 4), (0, 1, 4), (0, 2, 3, 4), (0, 1, 2, 3, 4)])
def test_pipeline_stages_have_the_same_values_whatever_the_cut(cuts: tuple[int, ...]) -> None:
    skeleton = on_meta(lambda: TinyGPT(depth=4))
    plan = initium.plan(skeleton, RULES, seed=3)
    whole = TinyGPT(depth=4)
    plan.apply(whole)
    expected = dict(whole.named_parameters(remove_duplicate=False))
    met: set[str] = set()
    for first, last in itertools.pairwise(cuts):
        part = stage(skeleton, first, last).to_empty(device="cpu")
        if len(cuts) > 2:
            with pytest.raises(PlanError, match=r"the plan has \d+ tensors that the model lacks(.|\n)*say part=True"):
                plan.apply(part)
        plan.apply(part, part=len(cuts) > 2)
        for name, parameter in part.named_parameters(remove_duplicate=False):
            assert torch.equal(parameter, expected[name]), name  # the last stage has lm_head alone: the values of wte
            met.add(name)
    assert met == set(expected)


def test_stages_that_count_from_0_again_say_rename() -> None:
    plan = initium.plan(on_meta(lambda: TinyGPT(depth=4)), RULES, seed=3)
    whole = TinyGPT(depth=4)
    plan.apply(whole)
    blocks = nn.Module()
    blocks.h = nn.ModuleList([TinyGPT().h[0], TinyGPT().h[1]])

    def later(name: str) -> str:
        _, number, rest = name.split(".", 2)
        return f"h.{int(number) + 2}.{rest}"

    with pytest.raises(PlanError, match="tensors that the model lacks"):
        plan.apply(blocks, rename=later)
    plan.apply(blocks, part=True, rename=later)
    assert differing(blocks.h[0], whole.h[2]) == differing(blocks.h[1], whole.h[3]) == []
    lone = nn.ModuleList(TinyGPT().h)
    names = {name: f"h.{int(name[0]) + 2}{name[1:]}" for name, _ in lone.named_parameters()}
    plan.apply(lone, part=True, rename=names)
    assert differing(lone[1], whole.h[3]) == []


def test_stages_sharded_over_their_own_meshes() -> None:
    """Two stages of two ranks: the parts of both add up to the fingerprint of the whole."""
    plan = initium.plan(on_meta(lambda: TinyGPT(depth=4)), RULES, seed=3)
    whole = TinyGPT(depth=4)
    plan.apply(whole)
    total = Fingerprint()
    for rank in range(4):
        with fake_rank(rank, 2, 2) as mesh:
            part = stage(on_meta(lambda: TinyGPT(depth=4)), 2 * (rank // 2), 2 * (rank // 2) + 2)
            fully_shard(part, mesh=mesh[mesh.mesh_dim_names[-1]])
            part.to_empty(device="cpu")
            with NoCollectives():
                plan.apply(part, part=True)
                total += fingerprint(part, plan=plan)
    assert total == fingerprint(whole)


def test_wrappers_change_no_name_and_no_value() -> None:
    from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper

    whole = TinyGPT()
    plan = initium.initialize(whole, RULES, seed=3)
    for rank in range(2):
        with fake_rank(rank, 2) as mesh:
            wrapped = on_meta(TinyGPT)
            for i, block in enumerate(wrapped.h):  # type: ignore[arg-type, var-annotated]
                compiled = torch.compile(checkpoint_wrapper(block) if i else block, backend="eager")
                wrapped.h[i] = compiled if i else checkpoint_wrapper(compiled)  # type: ignore[index, operator]
                fully_shard(wrapped.h[i], mesh=mesh)  # type: ignore[index, operator]
            fully_shard(wrapped, mesh=mesh)
            wrapped.to_empty(device="cpu")
            assert list(initium.plan(wrapped, RULES, seed=3)) == list(plan)
            with NoCollectives():
                plan.apply(wrapped)
            cut = copy.deepcopy(whole)
            fsdp(cut, mesh)
            got = [local_of(tensor) for tensor in tensors_of(wrapped).values()]
            assert all(torch.equal(a, local_of(b)) for a, b in zip(got, tensors_of(cut).values(), strict=True))


def test_ddp_has_the_values_of_the_model_inside() -> None:
    for rank in range(2):
        with fake_rank(rank, 2):
            model = nn.parallel.DistributedDataParallel(mlp())
            plan = initium.initialize(model, RULES, seed=3)
            assert "0.weight" in plan
            lone = mlp()
            plan.apply(lone)
            assert differing(model.module, lone) == []
            part = fingerprint(model)
            assert part == (fingerprint(lone) if rank == 0 else 0)


def test_the_seed_must_be_said_where_there_are_ranks() -> None:
    with (
        fake_rank(0, 2),
        pytest.raises(initium.InitiumError, match="with several ranks the seed must be said(.|\n)*write seed=0"),
    ):
        initium.initialize(nn.Linear(3, 2), "he")


@pytest.mark.filterwarnings("ignore:.*NO_SHARD:FutureWarning")
def test_fsdp1_is_refused_in_a_sentence_and_works_within_summon_full_params() -> None:
    from torch.distributed.fsdp import FullyShardedDataParallel, ShardingStrategy

    def wrapped(**options: object) -> nn.Module:
        layers = nn.Sequential(nn.Linear(6, 4), nn.Linear(4, 4))
        return FullyShardedDataParallel(layers, device_id=torch.device("cpu"), **options)  # type: ignore[arg-type]

    he, plan = initium.recipe("he"), initium.plan(nn.Sequential(nn.Linear(6, 4), nn.Linear(4, 4)), "he", seed=0)
    whole = nn.Sequential(nn.Linear(6, 4), nn.Linear(4, 4))
    plan.apply(whole)
    refusal = r"FSDP1\) has flattened and cut the parameters(.|\n)*summon_full_params"
    with fake_rank(1, 2):
        for options in (
            {"use_orig_params": True},
            {"use_orig_params": False},
            {"use_orig_params": False, "sharding_strategy": ShardingStrategy.NO_SHARD},
        ):
            model = wrapped(**options)
            for do in (
                lambda m: initium.initialize(m, "he", seed=0),
                lambda m: initium.initialize(m.module, "he", seed=0),  # past the wrapper
                lambda m: [he(module) for module in m.modules()],
                plan.apply,
                initium.fingerprint,
                initium.stats,
                initium.audit,
                lambda m: initium.diff(m, plan),
            ):
                with pytest.raises(initium.InitiumError, match=refusal):
                    do(model)
            with FullyShardedDataParallel.summon_full_params(model):
                plan.apply(model)
                assert all(torch.equal(a, b) for a, b in zip(model.parameters(), whole.parameters(), strict=True))


def test_after_a_forward_pass_the_shards_are_read_not_the_gathered_copies() -> None:
    """fully_shard leaves gathered copies, in another dtype, in the root's place; their memory comes and goes."""
    with fake_rank(0, 1) as mesh:
        model = nn.Sequential(nn.Linear(6, 4), nn.Linear(4, 4))
        before = initium.plan(model, "he", seed=0)
        fully_shard(model, mesh=mesh, mp_policy=MixedPrecisionPolicy(param_dtype=torch.bfloat16))
        model(torch.zeros(2, 6))
        assert model[0].weight.dtype == torch.bfloat16, "the copy"
        assert initium.plan(model, "he", seed=0) == before


def test_an_audit_of_a_sharded_model_measures_its_values_and_says_what_it_does_not_run() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.Linear(8, 8))
    with torch.no_grad():
        model[1].weight[3] = model[1].weight[5]
    alone = {(f.code, f.name) for f in initium.audit(model).findings}
    assert alone == {("Y002", "1.weight")}
    with fake_rank(0, 1) as mesh:
        fully_shard(model, mesh=mesh)
        for _ in range(2):
            report = initium.audit(model)
            assert {(f.code, f.name) for f in report.findings} == alone
            reasons = {one.reason for one in report.not_run}
            assert any("4 tensors are sharded, the first 0.weight: audit the model before it is" in said for said in reasons)
            model(torch.zeros(2, 6))


def test_kept_values_are_not_copied_from_a_part(tmp_path: Path) -> None:
    with fake_rank(1, 2) as mesh:
        model = nn.Sequential(nn.Embedding(7, 4), nn.Linear(4, 5))
        plan = initium.plan(model, "he", seed=0)
        whole = model[0].weight.detach()
        model[0].weight = nn.Parameter(distribute_tensor(whole, mesh, [Replicate()], src_data_rank=None))
        plan.write(tmp_path / "whole.safetensors", values_from=model)
        assert torch.equal(load_file(tmp_path / "whole.safetensors")["0.weight"], whole)
        model[0].weight = nn.Parameter(distribute_tensor(whole, mesh, [Shard(0)], src_data_rank=None))
        for options in ({}, {"max_shard_size": 70}, {"format": "dcp"}):
            with pytest.raises(
                WriteError, match=r"0.weight is copied from values_from, of which this process holds a part only"
            ):
                plan.write(tmp_path / "part", values_from=model, **options)
    assert [path.name for path in tmp_path.iterdir()] == ["whole.safetensors"]


def test_the_guard_sees_collectives() -> None:
    """The check can fail: a gather under it is caught."""
    with fake_rank(0, 2) as mesh, NoCollectives(), pytest.raises(AssertionError, match="a collective"):
        distribute_tensor(torch.zeros(4), mesh, [Shard(0)], src_data_rank=None).full_tensor()
