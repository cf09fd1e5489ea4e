"""The native backend: which tensors it takes, how it is chosen, what it says when it cannot be had."""

from __future__ import annotations

import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

import initium.backends.native as module
from initium import InitiumError
from initium import _laws as laws
from initium import _stream as stream
from initium.backends import Alike, Job, backend_for, fill, fill_named
from initium.backends.native import native
from initium.backends.reference import Reference

ROOT = Path(__file__).resolve().parents[2]
KEY = stream.derive_key(0, "weight")
LAW = laws.Normal(0.0, 0.02)

pytestmark = pytest.mark.skipif(not module.LIBRARY.exists(), reason="the native library is not built")


@pytest.fixture(autouse=True)
def nothing_forced(monkeypatch):
    monkeypatch.delenv("INITIUM_BACKEND", raising=False)


def expected(count: int, law: laws.Law = LAW, start: int = 0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    out = torch.empty(count, dtype=dtype)
    Reference().fill([Job(out, law, KEY, start)])
    return out


class Labelled(torch.Tensor):
    pass


class TestWhichTensors:
    def test_plain_ones(self):
        for dtype in (torch.float32, torch.float64, torch.float16, torch.bfloat16):
            assert native().serves(torch.zeros(3, dtype=dtype))
        assert native().serves(torch.nn.Parameter(torch.zeros(3)))
        assert native().serves(torch.zeros(3, 4).t()[::2])
        assert native().serves(torch.view_as_real(torch.zeros(3, dtype=torch.complex64)))

    def test_not_those_whose_numbers_lie_elsewhere(self):
        with FakeTensorMode():
            assert not native().serves(torch.zeros(3))
        assert not native().serves(torch.zeros(3, device="meta"))
        assert not native().serves(torch.zeros(3).as_subclass(Labelled))
        assert not native().serves(torch.zeros(3).to_sparse())
        assert not native().serves(torch._to_functional_tensor(torch.zeros(3)))

    def test_not_those_without_memory(self):
        freed = torch.zeros(3)
        freed.untyped_storage().resize_(0)
        assert not native().serves(freed)

    def test_not_those_with_another_sign_than_their_memory(self):
        assert not native().serves(torch.zeros(3, dtype=torch.complex64).conj().imag)

    def test_not_other_dtypes(self):
        for dtype in (torch.int32, torch.bool, torch.complex64, torch.float8_e4m3fn):
            assert not native().serves(torch.zeros(3, dtype=dtype))

    def test_nothing_inside_a_functorch_transform(self):
        seen = []
        torch.vmap(lambda x: (seen.append(native().serves(x)), x)[1])(torch.zeros(2, 3))
        assert seen == [False]

    def test_the_rest_goes_to_the_reference(self):
        plain, labelled = torch.zeros(100), torch.zeros(100).as_subclass(Labelled)
        fill([Job(labelled, LAW, KEY), Job(plain, LAW, KEY, 100)])
        assert backend_for(labelled).name == "reference"
        assert torch.equal(labelled.as_subclass(torch.Tensor), expected(100))
        assert torch.equal(plain, expected(100, start=100))


class TestFill:
    def test_autograd_sees_the_write(self):
        out = torch.zeros(10)
        before = out._version
        fill([Job(out, LAW, KEY)])
        assert out._version > before

    def test_a_constant_that_the_dtype_cannot_hold_is_refused_as_torch_does(self):
        for value in (1e39, 1 + 2j):
            with pytest.raises(RuntimeError, match=r"value cannot be converted to type .* without overflow"):
                fill([Job(torch.zeros(3), laws.Constant(value), KEY)])

    def test_equal_laws_of_different_dtypes_do_not_mix(self):
        law = laws.Constant(0.3)
        outs = [torch.zeros(5, dtype=dtype) for dtype in (torch.float32, torch.bfloat16, torch.float64, torch.float16)]
        fill([Job(out, law, KEY) for out in outs])
        assert all(torch.equal(out, torch.full_like(out, 0.3)) for out in outs)

    def test_complex_by_its_real_view(self):
        out = torch.zeros(50, dtype=torch.complex64)
        fill([Job(torch.view_as_real(out).view(-1), LAW, KEY)])
        assert torch.equal(torch.view_as_real(out).view(-1), expected(100))

    def test_empty(self):
        fill([])
        fill([Job(torch.zeros(0), LAW, KEY), Job(torch.zeros(0, 4), LAW, KEY, 0, 4)])

    def test_ten_thousand_small_ones_cost_little(self):
        jobs = [Job(torch.zeros(64), LAW, KEY, i) for i in range(10_000)]
        normal_, outs = torch.nn.init.normal_, [job.out for job in jobs]
        in_turn = [(_timed(lambda: fill(jobs)), _timed(lambda: [normal_(out, 0.0, 0.02) for out in outs])) for _ in range(15)]
        ours, torchs = map(min, zip(*in_turn, strict=True))
        fill(jobs)
        assert ours < torchs
        assert torch.equal(jobs[77].out, expected(64, start=77))


class TestNamed:
    """Whole tensors by the streams of their names: keys and jobs are made by the library, and nothing else is."""

    @pytest.mark.parametrize("tag", ["values", "signs", "", "größe" * 40])
    @pytest.mark.parametrize("seed", [0, 1, 2**63, 2**64 - 1])
    def test_keys_are_the_stream_s(self, seed, tag):
        for length in range(401):
            name = "".join("abcé重.\0"[(7 * i + i // 3) % 7] for i in range(length))
            assert native().key(seed, name, tag) == stream.derive_key(seed, name, tag)

    def test_the_values_are_those_of_jobs(self):
        groups = [
            Alike(law, [torch.zeros(size, dtype=dtype) for _ in range(3)], [f"{law}/{dtype}/{i}" for i in range(3)])
            for law in (LAW, laws.Uniform(-1, 1), laws.truncated(0, 1, 0.1, 0.101), laws.Constant(0.3))
            for dtype in (torch.float32, torch.float64, torch.float16, torch.bfloat16)
            for size in (1, 64, 100_001)
        ]
        fill_named(groups, 9)
        for group in groups:
            for out, name in zip(group.outs, group.names, strict=True):
                alone = torch.zeros_like(out)
                Reference().fill([Job(alone, group.law, stream.derive_key(9, name))])
                assert torch.equal(out, alone), name

    def test_autograd_sees_the_write(self):
        outs = [torch.zeros(10), torch.nn.Parameter(torch.zeros(10))]
        fill_named([Alike(LAW, outs, ["a", "b"])], 0)
        assert [out._version for out in outs] == [1, 1]

    @pytest.mark.parametrize("forced", ["", "reference", "scalar"])
    def test_what_it_does_not_serve_goes_another_way(self, monkeypatch, forced):
        monkeypatch.setenv("INITIUM_BACKEND", forced)
        labelled, plain, refused = (
            torch.zeros(9).as_subclass(Labelled),
            torch.zeros(9),
            torch.zeros(9, dtype=torch.float8_e4m3fn),
        )
        fill_named(
            [Alike(LAW, [labelled, plain, torch.zeros(0)], ["a", "b", "c"]), Alike(laws.Constant(2.0), [refused], ["d"])], 0
        )
        for out, name in ((labelled, "a"), (plain, "b")):
            alone = torch.zeros(9)
            Reference().fill([Job(alone, LAW, stream.derive_key(0, name))])
            assert torch.equal(out.as_subclass(torch.Tensor), alone)
        assert refused.tolist() == [2.0] * 9

    def test_denormals_are_kept(self):
        outs = [torch.zeros(64), torch.zeros(64)]
        fill_named([Alike(laws.Normal(0.0, 1e-40), outs[:1], ["a"])], 0)
        assert torch.set_flush_denormal(True)
        try:
            fill_named([Alike(laws.Normal(0.0, 1e-40), outs[1:], ["a"])], 0)
            assert torch.set_flush_denormal(False)
            assert outs[0].abs().max() > 0
            assert torch.equal(*outs)
        finally:
            torch.set_flush_denormal(False)

    def test_a_constant_that_the_dtype_cannot_hold_is_refused_as_torch_does(self):
        with pytest.raises(RuntimeError, match=r"value cannot be converted to type .* without overflow"):
            fill_named([Alike(laws.Constant(1e39), [torch.zeros(3)], ["a"])], 0)


def _timed(call) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


class TestChoice:
    def test_the_best_by_default(self):
        assert backend_for(torch.zeros(1)).name == native().name

    def test_forced(self, monkeypatch):
        for name in ("scalar", "reference"):
            monkeypatch.setenv("INITIUM_BACKEND", name)
            assert backend_for(torch.zeros(1)).name == name

    def test_forced_and_unknown(self, monkeypatch):
        monkeypatch.setenv("INITIUM_BACKEND", "avx521")
        with pytest.raises(InitiumError, match=r"'avx521' is no backend\. Did you mean 'avx512'\?"):
            fill([Job(torch.zeros(1), LAW, KEY)])

    def test_forced_and_not_compiled_in(self):
        compiled = native()._library.initium_targets().decode().split()
        missing = next(name for name in module.TARGETS if name not in compiled)
        with pytest.raises(InitiumError, match=f"'{missing}' is not in this build"):
            native(missing)

    def test_forced_and_beyond_this_cpu(self, monkeypatch):
        class OldMachine:
            def initium_targets(self):
                return b"avx512 avx2 scalar"

            def initium_target(self, name):
                return 2 if name == b"scalar" else -2

        monkeypatch.setattr(module, "_library", OldMachine)
        with pytest.raises(InitiumError, match=r"'avx2' needs instructions that this CPU lacks; it runs scalar"):
            native.__wrapped__("avx2")
        assert native.__wrapped__().name == "scalar"


class TestNoLibrary:
    def test_one_warning_and_the_same_numbers(self, monkeypatch, tmp_path):
        monkeypatch.setattr(module, "LIBRARY", tmp_path / "libinitium.so")
        monkeypatch.setattr(module, "_library", module.functools.cache(module._library.__wrapped__))
        monkeypatch.setattr("initium.backends._choose.native", module.functools.cache(native.__wrapped__))
        out = torch.zeros(100)
        with pytest.warns(RuntimeWarning, match="no C\\+\\+ compiler") as warned:
            [fill([Job(out, LAW, KEY)]) for _ in range(2)]
        assert len(warned) == 1
        assert torch.equal(out, expected(100))
        monkeypatch.setenv("INITIUM_BACKEND", "scalar")
        with pytest.raises(InitiumError, match="needs the native library"):
            fill([Job(out, LAW, KEY)])

    def test_what_is_no_library_is_not_loaded(self, monkeypatch, tmp_path):
        (tmp_path / "libinitium.so").write_text("not a library")
        monkeypatch.setattr(module, "LIBRARY", tmp_path / "libinitium.so")
        with pytest.warns(RuntimeWarning, match="slower: .*libinitium.so"):
            assert module._library.__wrapped__() is None


def test_importing_loads_nothing():
    code = "import initium.backends.native as n; assert n._library.cache_info().currsize == 0"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_the_law_struct_has_the_size_that_c_gives_it():
    assert module._LAW.size == 80 == 8 * 8 + 4 * 4
    assert module._JOB.size == 96 == 12 * 8
    assert module._NAMED.size == 32 == 4 * 8
    assert struct.calcsize("P") == 8
    assert f"#define INITIUM_ABI {module._ABI}\n" in (ROOT / "csrc" / "initium.h").read_text()


def test_the_table_header_is_what_the_frozen_bytes_give():
    code = "import sys; sys.path.insert(0, 'tools'); import normal_table as t; sys.exit(t.HEADER.read_text() != t.header())"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, cwd=ROOT)


def test_the_table_is_within_its_error_bound():
    subprocess.run([sys.executable, "tools/normal_table.py"], check=True, timeout=120, cwd=ROOT, stdout=subprocess.DEVNULL)
