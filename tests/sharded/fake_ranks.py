"""Ranks that are played one after the other in this process: torch's fake process group, whose collectives do nothing.

Whatever comes out right on it cannot have come from another rank.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.testing._internal.distributed.fake_pg import FakeStore
from torch.utils._python_dispatch import TorchDispatchMode

NAMES = ("a", "b", "c", "d")


@contextlib.contextmanager
def fake_rank(rank: int, *shape: int) -> Iterator[DeviceMesh]:
    """Be that rank of a mesh of that shape."""
    world = 1
    for size in shape:
        world *= size
    dist.init_process_group("fake", rank=rank, world_size=world, store=FakeStore())
    try:
        # named by rank: torch caches what it works out for equal meshes, the coordinate of the first among it
        yield init_device_mesh("cpu", shape, mesh_dim_names=tuple(f"{name}{rank}" for name in NAMES[: len(shape)]))
    finally:
        dist.destroy_process_group()


class NoCollectives(TorchDispatchMode):
    """Fails on any communication: functional collectives and those of c10d are operators, which a mode sees."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        assert func.namespace not in ("c10d", "_c10d_functional", "c10d_functional", "_dtensor"), f"a collective: {func}"
        return func(*args, **(kwargs or {}))
