"""Regions: any part of a tensor is the slice of the whole."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from initium import Constant, Dirac, Initializer, Layout, Normal, Orthogonal, Sparse, Uniform
from initium._execute import Batch, values
from initium._regions import Region, flat_boxes
from initium._stream import Key, derive_key


def key_of(tag: str) -> Key:
    return derive_key(7, "a.weight", tag)


def drawn(initializer: Initializer, shape: tuple[int, ...], layout: Layout) -> torch.Tensor:
    out = torch.full(shape, math.nan)
    batch = Batch()
    batch.add(out, initializer.program(shape, layout), key_of)
    batch.run()
    return out


@st.composite
def runs(draw: st.DrawFn, size: int) -> tuple[tuple[int, int], ...]:
    """Disjoint pieces of an axis, in order."""
    cuts = sorted(draw(st.lists(st.integers(0, size), min_size=2, max_size=6, unique=True))) if size else []
    pieces = [(a, b - a) for a, b in zip(cuts[::2], cuts[1::2], strict=False)]
    return tuple(pieces) or ((0, size),)


@st.composite
def regions(draw: st.DrawFn) -> Region:
    shape = tuple(draw(st.lists(st.integers(1, 9), min_size=1, max_size=4)))
    return Region(shape, tuple(draw(runs(size)) for size in shape))


@settings(max_examples=60, deadline=None)
@given(regions(), st.sampled_from([Normal(), Uniform(-1, 1), Constant(3)]), st.booleans())
def test_a_region_is_the_slice_of_the_whole(region: Region, initializer: Initializer, strided: bool) -> None:
    whole = drawn(initializer, region.shape, Layout())
    expected = whole
    for axis, pieces in enumerate(region.runs):
        index = torch.cat([torch.arange(start, start + length) for start, length in pieces])
        expected = expected.index_select(axis, index)
    local = torch.full(region.local_shape, math.nan)
    if strided:
        local = torch.full(tuple(reversed(region.local_shape)), math.nan).permute(*reversed(range(len(region.shape))))
    batch = Batch()
    batch.add(local, initializer.program(region.shape, Layout()), key_of, region)
    batch.run()
    assert torch.equal(local, expected)


@pytest.mark.parametrize("initializer", [Normal(), Orthogonal(), Sparse(0.5), Dirac()], ids=str)
def test_packed_blocks_and_regions(initializer: Initializer) -> None:
    shape = (12, 4, 3) if isinstance(initializer, Dirac) else (12, 4)
    layout = Layout(role="weight", blocks=(4, 2, 6), zero_rows=() if isinstance(initializer, Dirac) else (1, 11))
    whole = drawn(initializer, shape, layout)
    runs = (((1, 2), (5, 3), (9, 3)), ((0, 1), (2, 2)), *(((0, 3),) for _ in shape[2:]))
    region = Region(shape, runs)
    local = torch.full(region.local_shape, math.nan)
    batch = Batch()
    batch.add(local, initializer.program(shape, layout), key_of, region)
    batch.run()
    assert torch.equal(local, whole[[1, 2, 5, 6, 7, 9, 10, 11]][:, [0, 2, 3]])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=0, max_size=4), st.data())
def test_flat_ranges_are_made_of_boxes_in_order(sizes: list[int], data: st.DataObject) -> None:
    shape = tuple(sizes)
    start = data.draw(st.integers(0, math.prod(shape)))
    stop = data.draw(st.integers(start, math.prod(shape)))
    whole = torch.arange(math.prod(shape)).reshape(shape)
    got: list[int] = []
    for region, low, high in flat_boxes(shape, start, stop):
        box = whole
        for axis, pieces in enumerate(region.runs):
            ((first, length),) = pieces
            box = box.narrow(axis, first, length)
        assert box.flatten().tolist() == list(range(low, high))
        got += box.flatten().tolist()
    assert got == list(range(start, stop))


@pytest.mark.parametrize("initializer", [Normal(), Orthogonal(), Constant(2)], ids=str)
def test_values_of_a_flat_range(initializer: Initializer) -> None:
    layout = Layout(role="weight", blocks=(4, 8), zero_rows=(3,))
    whole = drawn(initializer, (12, 5), layout).flatten()
    program = initializer.program((12, 5), layout)
    for start, stop in ((0, 60), (3, 58), (17, 18), (20, 20)):
        assert torch.equal(values(program, key_of, (12, 5), start, stop), whole[start:stop])


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
def test_complex_elements_have_two_words_each(dtype: torch.dtype) -> None:
    out = torch.empty(5, 7, dtype=dtype)
    batch = Batch()
    batch.add(out, Normal(std=math.sqrt(2)).program((5, 7), Layout()), key_of)
    batch.run()
    real = drawn(Normal(std=math.sqrt(2) / math.sqrt(2)), (70,), Layout()).to(torch.view_as_real(out).dtype)
    assert torch.equal(torch.view_as_real(out).flatten(), real)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("initializer", [Normal(0.02), Uniform(0.3, 0.7)], ids=str)
def test_other_dtypes_are_the_fp32_value_rounded_once(initializer: Initializer, dtype: torch.dtype) -> None:
    single = drawn(initializer, (33, 17), Layout())
    other = torch.empty(33, 17, dtype=dtype)
    batch = Batch()
    batch.add(other, initializer.program((33, 17), Layout()), key_of)
    batch.run()
    expected = single.to(dtype)
    if dtype is torch.float64 and isinstance(initializer, Uniform):
        expected = expected.clamp(0.3, 0.7)
    assert torch.equal(other, expected)


def test_memory_layout_does_not_matter() -> None:
    plain = drawn(Normal(), (6, 5, 3, 3), Layout())
    last = torch.empty(6, 5, 3, 3).to(memory_format=torch.channels_last)
    batch = Batch()
    batch.add(last, Normal().program((6, 5, 3, 3), Layout()), key_of)
    batch.run()
    assert torch.equal(last, plain)
    assert not last.is_contiguous()
