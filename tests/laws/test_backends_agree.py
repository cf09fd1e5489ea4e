"""All backends give the same bits: every law × dtype × start × layout, against the reference."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from initium import InitiumError
from initium import _laws as laws
from initium import _stream as stream
from initium.backends import Backend, Job
from initium.backends.native import TARGETS, native
from initium.backends.reference import Reference

KEY = stream.derive_key(11, "features.0.weight")
BITS = {torch.float32: torch.int32, torch.float64: torch.int64, torch.float16: torch.int16, torch.bfloat16: torch.int16}
WHOLE = 2**32


def between_quantiles(lo: int, hi: int) -> laws.TruncNormal:
    """A standard normal between two quantiles in 2**-32nds, by the table of the whole normal."""
    return laws.TruncNormal(0.0, 1.0, -math.inf, math.inf, lo, hi, 0.0, 1.0)


LAWS = {
    "normal": laws.Normal(0.1, 0.02),
    "normal, std 0": laws.Normal(-0.0, 0.0),
    "normal, denormal": laws.Normal(0.0, 1e-40),
    "normal, beyond fp16": laws.Normal(0.0, 3e4),
    "normal, beyond fp32": laws.Normal(0.0, 2e38),
    "normal, fp16 denormal": laws.Normal(0.0, 2e-6),
    "uniform": laws.Uniform(-0.3, 0.7),
    "uniform, unit": laws.Uniform(0.0, 1.0),
    "uniform, empty": laws.Uniform(2.0, 2.0),
    "uniform, denormal": laws.Uniform(0.0, 1e-40),
    "uniform, below zero": laws.Uniform(-1.0, -0.0),
    "uniform, widest": laws.Uniform(-1.7e38, 1.7e38),
    "truncated": laws.truncated(0.0, 0.02, -0.04, 0.04),
    "truncated, one side": laws.truncated(0.0, 1.0, -math.inf, 0.5),
    "truncated, not at all": laws.truncated(0.0, 1.0, -math.inf, math.inf),
    "truncated, denormal": laws.truncated(0.0, 1e-40, -1e-40, 2e-40),
    "tail, by its table": laws.truncated(0.0, 1.0, 8.0, 9.0),
    "narrow, by its table": laws.truncated(0.0, 1.0, -0.5, -0.499),
    "lowest octaves": between_quantiles(0, 5000),
    "highest octaves": between_quantiles(WHOLE - 5000, WHOLE),
    "where the sign changes": between_quantiles(2**31 - 300, 2**31 + 300),
    "one quantile": between_quantiles(7, 8),
    "constant": laws.Constant(0.1),
    "constant, ties": laws.Constant(1 + 2**-8),
    "constant, two roundings": laws.Constant(1 + 2**-11 + 2**-40),
    "constant, denormal": laws.Constant(-3e-8),
    "constant, infinite": laws.Constant(-math.inf),
    "constant, nan": laws.Constant(math.nan),
    "constant, negative zero": laws.Constant(-0.0),
    "constant, integer": laws.Constant(3),
}
STARTS = (0, 1, 63, 64, 777, 2**34 - 100, 2**40 + 5, 2**62)


def natives() -> list[Backend]:
    found = []
    for name in TARGETS:
        try:
            found.append(native(name))
        except InitiumError:
            continue
    return found


def same_bits(a: torch.Tensor, b: torch.Tensor) -> bool:
    return torch.equal(a.view(BITS[a.dtype]), b.view(BITS[b.dtype]))


def drawn(backend: Backend, law: laws.Law, dtype: torch.dtype, start: int, count: int) -> torch.Tensor:
    out = torch.full((count,), 7.0, dtype=dtype)
    backend.fill([Job(out, law, KEY, start)])
    return out


everywhere = pytest.mark.parametrize("backend", natives(), ids=lambda backend: backend.name)


@everywhere
@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS.keys())
def test_every_law_dtype_and_start(backend, law):
    for dtype in BITS:
        for start in STARTS:
            count = 1500 if start in (0, 777, 2**34 - 100) else 70
            assert same_bits(drawn(backend, law, dtype, start, count), drawn(Reference(), law, dtype, start, count)), (
                dtype,
                start,
            )


LAYOUTS = {
    "2-D": lambda x: x,
    "transposed": lambda x: x.t(),
    "columns cut": lambda x: x[:, 5:60],
    "one column": lambda x: x[:, 3:4],
    "every third element": lambda x: x[::2, ::3],
    "1-D, a row": lambda x: x[2],
    "1-D, a column": lambda x: x[:, 2],
    "1-D, every fifth": lambda x: x.view(-1)[3::5],
}


@everywhere
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_every_layout(backend, layout):
    law = LAWS["truncated"]
    for dtype in BITS:
        for stride in (1, 70, 2**33):
            results = []
            for each in (backend, Reference()):
                memory = torch.full((48, 70), 7.0, dtype=dtype)
                out = layout(memory)
                each.fill([Job(out, law, KEY, 11, stride if out.dim() == 2 else 0)])
                results.append(memory)
            assert same_bits(*results), (dtype, stride)


@everywhere
def test_a_contiguous_run_of_any_shape(backend):
    for shape in ((), (7,), (30, 70), (3, 5, 7, 11), (0, 4)):
        out = torch.full(shape, 7.0)
        backend.fill([Job(out, LAWS["normal"], KEY, 11)])
        assert torch.equal(out.view(-1), drawn(Reference(), LAWS["normal"], torch.float32, 11, out.numel()))


@everywhere
def test_elements_beside_the_output_stay(backend):
    for dtype in BITS:
        for begin, end in ((0, 1), (1, 64), (63, 66), (5, 200), (64, 128)):
            memory = torch.full((256,), 7.0, dtype=dtype)
            backend.fill([Job(memory[begin:end], LAWS["normal"], KEY, 50)])
            assert (memory[:begin] == 7).all()
            assert (memory[end:] == 7).all()
            assert (memory[begin:end] != 7).all()


@everywhere
@settings(max_examples=40, deadline=None, derandomize=True)
@given(data=st.data())
def test_any_rows_widths_steps_and_keys(backend, data):
    dtype = data.draw(st.sampled_from(list(BITS)))
    law = data.draw(st.sampled_from(list(LAWS.values())))
    rows, width = data.draw(st.integers(0, 40)), data.draw(st.integers(0, 200))
    step = data.draw(st.integers(1, 4))
    row_step = width * step + data.draw(st.integers(0, 70))
    start, stride = data.draw(st.integers(0, 2**61)), data.draw(st.integers(1, 2**50))
    key = stream.Key(*(data.draw(st.integers(0, WHOLE - 1)) for _ in range(4)))
    results = []
    for each in (backend, Reference()):
        memory = torch.full((max(rows, 1) * max(row_step, 1) + step,), 7.0, dtype=dtype)
        each.fill([Job(memory.as_strided((rows, width), (row_step, step)), law, key, start, stride)])
        results.append(memory)
    assert same_bits(*results)


@everywhere
@settings(max_examples=40, deadline=None, derandomize=True)
@given(low=st.floats(-1e30, 1e30), width=st.floats(0, 1e30), std=st.floats(0, 1e37), dtype=st.sampled_from(list(BITS)))
def test_any_numbers(backend, low, width, std, dtype):
    for law in (laws.Uniform(low, low + width), laws.Normal(low, std), laws.Constant(low)):
        if isinstance(law, laws.Constant) and abs(low) > 60000:
            continue  # fill_ refuses what a dtype cannot hold
        assert same_bits(drawn(backend, law, dtype, 5, 200), drawn(Reference(), law, dtype, 5, 200)), law


@everywhere
def test_many_jobs_of_all_kinds_in_one_call(backend):
    results = []
    for each in (backend, Reference()):
        outs = [torch.zeros(1 + 37 * i % 500, dtype=list(BITS)[i % 4]) for i in range(300)] + [torch.zeros(300_000)]
        chosen = list(LAWS.values())
        keys = [stream.derive_key(3, f"p{i}") for i in range(len(outs))]
        each.fill([Job(out, chosen[i % len(chosen)], keys[i], i) for i, out in enumerate(outs)])
        results.append(outs)
    assert all(same_bits(a, b) for a, b in zip(*results, strict=True))


@everywhere
def test_the_number_of_threads_changes_nothing(backend):
    before = torch.get_num_threads()
    try:
        results = []
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            wide = torch.zeros(3, 200_001)
            tall = torch.zeros(30_001, 9, dtype=torch.bfloat16)
            crossed = torch.zeros(601, 500).t()
            for out in (wide, tall, crossed):
                backend.fill([Job(out, LAWS["normal"], KEY, 13, out.shape[1])])
            results.append((wide, tall, crossed))
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))
    assert torch.equal(results[0][0].view(-1), drawn(Reference(), LAWS["normal"], torch.float32, 13, 3 * 200_001))


@everywhere
def test_flushed_denormals_change_nothing_and_stay_flushed(backend):
    law = LAWS["normal, denormal"]
    kept = drawn(Reference(), law, torch.float32, 0, 300_000)
    halves = drawn(Reference(), LAWS["normal, fp16 denormal"], torch.float16, 0, 3000)
    assert (kept.abs() < 2**-126).all()
    try:
        assert torch.set_flush_denormal(True)
        flushed = drawn(backend, law, torch.float32, 0, 300_000)  # large enough for helpers to take part
        flushed_halves = drawn(backend, LAWS["normal, fp16 denormal"], torch.float16, 0, 3000)
        assert torch.tensor([1e-310], dtype=torch.float64).mul(1).item() == 0.0
    finally:
        torch.set_flush_denormal(False)
    assert same_bits(flushed, kept)
    assert same_bits(flushed_halves, halves)
    drawn(backend, law, torch.float32, 0, 10)
    assert torch.tensor([1e-310], dtype=torch.float64).mul(1).item() == 1e-310
