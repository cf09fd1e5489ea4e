"""These tests cut tensors without a word between ranks, which torch can from 2.7 on."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
from torch.distributed.tensor import distribute_tensor

HERE = Path(__file__).parent
LACKING = (
    None
    if "src_data_rank" in inspect.signature(distribute_tensor).parameters
    else "this torch's distribute_tensor asks other ranks (src_data_rank came with 2.7), its FSDP2 needs a GPU and even shards"
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if LACKING is not None:
        for item in items:
            if HERE in item.path.parents:
                item.add_marker(pytest.mark.skip(reason=LACKING))
