"""The Triton backend gives the reference's bits: on a GPU where there is one, else in Triton's interpreter on the CPU."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from initium import InitiumError
from initium import _laws as laws
from initium import _stream as stream
from initium.backends import Job, backend_for
from initium.backends import triton as home
from initium.backends.reference import Reference

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from test_kat import known_answers, values

pytestmark = pytest.mark.filterwarnings(
    "ignore:overflow encountered in (cast|multiply):RuntimeWarning"
)  # the interpreter rounds fp16 by numpy, and computes the elements beyond a tensor's end too

KEY = stream.derive_key(0, "weight")
DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16]
LAWS = {
    "uniform": laws.Uniform(-0.3, 0.7),
    "normal": laws.Normal(0.5, 3.0),
    "cut": laws.truncated(0.1, 2.0, -1.0, 3.9),
    "whole": laws.truncated(0.0, 1.0, -float("inf"), float("inf")),
    "tail": laws.truncated(0.0, 1.0, 5.0, 6.0),
    "beyond fp16": laws.Normal(0.0, 1e5),
    "denormal": laws.Normal(0.0, 1e-39),
}


@pytest.fixture(scope="module")
def backend() -> Iterator[home.Triton]:
    pytest.importorskip("triton")
    with pytest.MonkeyPatch.context() as patch:
        if not torch.cuda.is_available():
            patch.setenv("TRITON_INTERPRET", "1")  # read when the kernels are first imported, and kept by them
        home.triton.cache_clear()
        found = home.triton(forced=True)
        home.triton.cache_clear()
        assert found is not None
        yield found


def device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def same(a: Tensor, b: Tensor) -> bool:
    """Equal to the bit, the sign of zero included."""
    return a.cpu().contiguous().view(torch.uint8).equal(b.cpu().contiguous().view(torch.uint8))


def reference(shape: tuple[int, ...], dtype: torch.dtype, law: laws.Law, start: int = 0, stride: int = 0) -> Tensor:
    out = torch.empty(shape, dtype=dtype)
    Reference().fill([Job(out, law, KEY, start, stride)])
    return out


def test_known_answers(backend):
    """Each law in each dtype, the places in turn (all of them on a GPU, where it costs nothing)."""
    every = 1 if torch.cuda.is_available() else len(known_answers.STARTS) + 1
    seen = set()
    for name, law, _, dtype, start, answer in values()[::every]:
        out = torch.empty(len(answer.split()), dtype=known_answers.DTYPES[dtype], device=device())
        backend.fill([Job(out, law, known_answers.KEY, start)])
        assert known_answers.bits_of(out.cpu()) == answer, (name, dtype, start)
        seen.add((name, dtype))
    assert {dtype for _, dtype in seen} == set(known_answers.DTYPES)


def test_words_at_any_place(backend):
    for start in (0, 5, 63, 64, 2**33 + 7, 2**40 - 3):
        assert backend.words(KEY, start, 130).cpu().equal(stream.words(KEY, start, 130))


@pytest.mark.parametrize("name", LAWS)
def test_laws_in_every_dtype_in_one_launch_each(backend, name):
    law = LAWS[name]
    outs = [torch.empty(200, dtype=dtype, device=device()) for dtype in DTYPES]
    backend.fill([Job(out, law, KEY, 17) for out in outs])
    for out in outs:
        assert same(out, reference((200,), out.dtype, law, 17)), out.dtype


def test_many_tensors_share_a_launch_and_keep_their_own_streams(backend):
    outs = [torch.empty(size, device=device()) for size in (1, 64, 65, 1500, 0, 3)]
    keys = [stream.derive_key(3, str(index)) for index in range(len(outs))]
    backend.fill([Job(out, LAWS["normal"], key, index) for index, (out, key) in enumerate(zip(outs, keys, strict=True))])
    for index, (out, key) in enumerate(zip(outs, keys, strict=True)):
        wanted = torch.empty(out.shape)
        Reference().fill([Job(wanted, LAWS["normal"], key, index)])
        assert same(out, wanted)


def test_rows_and_strides(backend):
    """A shard's rows, a column-major matrix and a strided run, and nothing beside them."""
    # also rows of fewer and of more blocks than a program has, and programs that end within a row and with one
    shapes = (
        (3, 70, 9, 100),
        (5, 3, 62, 64),
        (2, 130, 0, 200),
        (150, 1, 3, 7),
        (3, 2100, 61, 2101),
        (2, 1985, 64, 2048),
        (65, 120, 1, 128),
    )
    for rows, width, start, stride in shapes:
        whole = torch.full((rows, width + 7), -9.0, device=device())
        backend.fill([Job(whole[:, 2 : width + 2], LAWS["uniform"], KEY, start, stride)])
        assert same(whole[:, 2 : width + 2], reference((rows, width), torch.float32, LAWS["uniform"], start, stride))
        assert bool((whole[:, :2] == -9).all())
        assert bool((whole[:, width + 2 :] == -9).all())
    turned = torch.empty(70, 3, device=device()).t()
    backend.fill([Job(turned, LAWS["uniform"], KEY, 9, 100)])
    assert same(turned, reference((3, 70), torch.float32, LAWS["uniform"], 9, 100))
    every_third = torch.zeros(300, device=device())
    backend.fill([Job(every_third[::3], LAWS["normal"], KEY, 5)])
    assert same(every_third[::3], reference((100,), torch.float32, LAWS["normal"], 5))
    assert not every_third[1::3].any()


def test_constants_are_written_in_the_tensors_dtype(backend):
    out = torch.empty(5, dtype=torch.float64, device=device())
    backend.fill([Job(out, laws.Constant(0.1), KEY)])
    assert out.tolist() == [0.1] * 5


def test_what_it_does_not_serve_comes_back(backend):
    meta = Job(torch.empty(3, device="meta"), LAWS["normal"], KEY)
    here = Job(torch.empty(3, device=device()), LAWS["normal"], KEY)
    integers = Job(torch.empty(3, dtype=torch.int32, device=device()), LAWS["normal"], KEY)
    assert [job.out for job in backend.fill_served([meta, here, integers])] == [meta.out, integers.out]
    assert same(here.out, reference((3,), torch.float32, LAWS["normal"]))


def test_forced_without_a_gpu_is_a_sentence(monkeypatch):
    monkeypatch.setenv("INITIUM_BACKEND", "triton")
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    home.triton.cache_clear()
    with pytest.raises(InitiumError, match="needs a GPU that torch sees, or TRITON_INTERPRET=1"):
        backend_for(torch.empty(3))
    home.triton.cache_clear()


def test_without_triton_it_is_not_used_and_says_so_when_forced(monkeypatch):
    def lacking() -> None:
        raise ImportError("No module named 'triton'")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(home, "_kernels", lacking)
    home.triton.cache_clear()
    assert home.triton() is None
    with pytest.raises(InitiumError, match=r"needs Triton \(No module named 'triton'\): pip install triton"):
        home.triton(forced=True)
    home.triton.cache_clear()


COMPILE = """
import re, sys
import triton, triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from initium.backends import _triton_kernels as kernels

plain = sys.argv[2] == "plain"
constants = {"LAW": kernels.NORMAL, "DTYPE": tl.float32, "PLAIN": plain, "BLOCKS": kernels.BLOCKS, "COLUMNS": len(kernels.Row)}
source = ASTSource(kernels.many, {"jobs": "*i64", "count": "i32", **dict.fromkeys(constants, "constexpr")}, constants)
compiled = triton.compile(source, target=GPUTarget("cuda", 90, 32), options={"enable_fp_fusion": sys.argv[1] == "fused"})
for what in ("mul.rn.f32", r"fma[.]|[.]ftz", r"[.]shared|bar[.]sync", r"[.]local"):
    print(len(re.findall(what, compiled.asm["ptx"])))
"""


@pytest.mark.parametrize("shape", ["plain", "rows"])
def test_compiled_for_a_gpu_every_operation_is_rounded_by_itself(shape):
    """The compiler needs no GPU: six multiplications and one by the std, sixteen elements a thread, nothing fused or flushed.

    Nor does a value leave its thread: with two axes to a tile, the compiler took each look at the table through shared memory.
    """
    pytest.importorskip("triton.backends.nvidia")
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}

    def counts(how: str) -> list[int]:
        ran = subprocess.run([sys.executable, "-c", COMPILE, how, shape], capture_output=True, text=True, env=environment)
        assert ran.returncode == 0, ran.stderr
        return [int(word) for word in ran.stdout.split()]

    assert counts("apart") == [16 * 7, 0, 0, 0]
    assert counts("fused")[1] > 0
