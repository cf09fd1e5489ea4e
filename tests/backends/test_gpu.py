"""On a real GPU: plans, drop-ins, streams, graphs and meshes there have the CPU's bits. Skipped where torch sees none."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

import initium
from initium import init
from initium.backends import backend_for

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU here")


def model() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.LSTM(8, 5), nn.Linear(5, 3))


def same(a: nn.Module, b: nn.Module) -> bool:
    ours, theirs = a.state_dict(), b.state_dict()
    return all(ours[name].cpu().equal(theirs[name].cpu()) for name in theirs)


@pytest.mark.parametrize("recipe", ["he", "torch", "orthogonal"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_a_plan_gives_the_cpus_bits(recipe, dtype):
    here = model().to(dtype)
    there = copy.deepcopy(here).cuda().to(memory_format=torch.channels_last)
    initium.initialize(here, recipe, seed=3)
    initium.initialize(there, recipe, seed=3)
    assert same(there, here)
    assert backend_for(there[0].weight).name == "triton"


def test_build_on_the_device():
    assert same(initium.build(model, seed=1, device="cuda"), initium.build(model, seed=1))


def test_drop_ins_follow_the_devices_generator():
    def drawn(generator: torch.Generator | None = None) -> Tensor:
        return init.normal_(torch.empty(100, device="cuda"), generator=generator)

    torch.manual_seed(5)
    first, second = drawn(), drawn()
    torch.manual_seed(5)
    assert drawn().equal(first)
    assert not second.equal(first)
    own = torch.Generator("cuda").manual_seed(9)
    before = torch.cuda.get_rng_state()
    of_own = drawn(own)
    assert torch.cuda.get_rng_state().equal(before)
    assert drawn(torch.Generator("cuda").manual_seed(9)).equal(of_own)


def test_on_a_stream_of_its_own():
    plan = initium.plan(model(), "he", seed=2)
    there, here = model().cuda(), model()
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        plan.apply(there)
    torch.cuda.current_stream().wait_stream(stream)
    plan.apply(here)
    assert same(there, here)


def test_in_a_graph():
    """Kernels are compiled and tables copied before the capture, as any kernel's are."""
    plan = initium.plan(nn.Linear(64, 64), "he", seed=2)
    there = nn.Linear(64, 64).cuda()
    plan.apply(there)
    wanted = there.weight.detach().clone()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        plan.apply(there)
    with torch.no_grad():
        there.weight.zero_()
    graph.replay()
    assert there.weight.equal(wanted)


def test_on_a_mesh_of_one(tmp_path):
    distributed = pytest.importorskip("torch.distributed")
    from torch.distributed.tensor import Shard, distribute_module, init_device_mesh

    distributed.init_process_group("nccl", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        mesh = init_device_mesh("cuda", (1,))

        def sharded(name: str, module: nn.Module, mesh: object) -> None:
            for local, parameter in list(module.named_parameters(recurse=False)):
                placed = torch.distributed.tensor.distribute_tensor(parameter.detach(), mesh, [Shard(0)])
                module.register_parameter(local, nn.Parameter(placed))

        there, here = distribute_module(nn.Linear(64, 9).cuda(), mesh, sharded), nn.Linear(64, 9)
        plan = initium.plan(here, "he", seed=4)
        plan.apply(there)
        plan.apply(here)
        assert there.weight.to_local().cpu().equal(here.weight)
    finally:
        distributed.destroy_process_group()


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="one GPU at most")
def test_on_the_second_device():
    there, here = model().to("cuda:1"), model()
    initium.initialize(there, "he", seed=3)
    initium.initialize(here, "he", seed=3)
    assert same(there, here)
