"""The helpers' pool: it takes part, and never hangs: not after fork, not at exit, not between two callers."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
import time

import pytest
import torch

from initium import _laws as laws
from initium import _stream as stream
from initium.backends import Job
from initium.backends.native import LIBRARY, native

pytestmark = pytest.mark.skipif(not LIBRARY.exists(), reason="the native library is not built")

KEY = stream.derive_key(0, "weight")
LAW = laws.Normal(0.0, 0.02)

PREAMBLE = """
import hashlib, os, sys, threading, time
import torch
from initium import _laws as laws
from initium import _stream as stream
from initium.backends import Job
from initium.backends.native import native

torch.set_num_threads(3)
key = stream.derive_key(0, "weight")

def draw(count=1 << 20):
    out = torch.empty(count)
    native().fill([Job(out, laws.Normal(0.0, 0.02), key)])
    return hashlib.sha256(memoryview(out.numpy()).cast("B")).hexdigest()
"""


def run(code: str) -> str:
    """The code's output, from a fresh interpreter that must end by itself."""
    program = PREAMBLE + textwrap.dedent(code)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)
    return done.stdout


fork = pytest.mark.skipif(sys.platform == "win32", reason="no fork here")


@fork
def test_a_child_of_fork_draws_with_helpers_of_its_own():
    out = run("""
        before = draw()
        child = os.fork()
        if child == 0:
            threads = len(os.listdir("/proc/self/task")) if os.path.exists("/proc/self/task") else 0
            same = draw() == before
            more = len(os.listdir("/proc/self/task")) if os.path.exists("/proc/self/task") else 2
            os._exit(0 if same and threads < more else 1)
        _, status = os.waitpid(child, 0)
        assert status == 0, status
        assert draw() == before
        print("both")
    """)
    assert out == "both\n"


@fork
def test_forks_in_the_midst_of_draws():
    out = run("""
        expected = draw()
        stop = threading.Event()
        def keep_drawing():
            while not stop.is_set():
                draw()
        drawer = threading.Thread(target=keep_drawing)
        drawer.start()
        for _ in range(30):
            child = os.fork()
            if child == 0:
                out = torch.empty(1 << 17)
                native().fill([Job(out, laws.Normal(0.0, 0.02), key)])
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
        stop.set()
        drawer.join()
        assert draw() == expected
        print("thirty")
    """)
    assert out == "thirty\n"


@pytest.mark.parametrize("method", ["spawn", "forkserver"] if sys.platform != "win32" else ["spawn"])
def test_processes_of_multiprocessing(method, tmp_path):
    (tmp_path / "drawing.py").write_text(PREAMBLE)
    out = run(f"""
        import multiprocessing
        sys.path.insert(0, {str(tmp_path)!r})
        import drawing
        with multiprocessing.get_context({method!r}).Pool(1) as pool:
            print(pool.apply(drawing.draw) == draw())
    """)
    assert out == "True\n"


def test_the_interpreter_ends_while_helpers_sleep():
    assert run("print(len(draw()))") == "64\n"


def test_the_interpreter_ends_in_the_midst_of_a_draw():
    out = run("""
        out, backend = torch.empty(1 << 24), native()
        job = Job(out, laws.Normal(0.0, 0.02), key)
        threading.Thread(target=lambda: [backend.fill([job]) for _ in range(1000)], daemon=True).start()
        time.sleep(0.3)
        print("ending", flush=True)
    """)
    assert out == "ending\n"


def test_a_caller_does_not_wait_for_anothers_draw():
    slow, large, small = native("scalar"), torch.empty(1 << 24), torch.empty(64)
    order = []

    def draw(name: str, out: torch.Tensor) -> None:
        slow.fill([Job(out, LAW, KEY)])
        order.append(name)

    first = threading.Thread(target=draw, args=("large", large))
    first.start()
    time.sleep(0.02)
    draw("small", small)
    first.join()
    assert order == ["small", "large"]
    assert torch.equal(large[:64], small)


def test_many_callers_at_once_get_their_own_numbers():
    expected = torch.empty(300_000)
    native().fill([Job(expected, LAW, KEY)])
    wrong = []

    def draw() -> None:
        for _ in range(20):
            out = torch.empty(300_000)
            native().fill([Job(out, LAW, KEY)])
            if not torch.equal(out, expected):
                wrong.append(out)

    callers = [threading.Thread(target=draw) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not wrong


@pytest.mark.parametrize(
    ("shape", "step"),
    [((5_000_003,), 1), ((1_100_001,), 3), ((3, 1_700_001), 1), ((70_001, 61), 1), ((41, 50_001), 2)],
    ids=str,
)
def test_a_large_job_is_shared_out_and_every_element_is_drawn_once(shape, step):
    """Whatever pieces the threads take, long or in rows: one thread's bits."""
    width, before = shape[-1], torch.get_num_threads()
    drawn = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            out = torch.full((*shape[:-1], width * step), float("nan"))[..., ::step]
            native().fill([Job(out, LAW, KEY, 5, width + 7 if len(shape) == 2 else 0)])
            drawn.append(out.clone())
    finally:
        torch.set_num_threads(before)
    assert bool(drawn[0].isfinite().all())
    assert torch.equal(drawn[0], drawn[1])
    assert torch.equal(drawn[0], drawn[2])


def test_threads_are_those_torch_was_given():
    out = run("""
        def tasks():
            return len(os.listdir("/proc/self/task")) if os.path.exists("/proc/self/task") else 0
        out = torch.empty(1 << 20)
        def fill():
            native().fill([Job(out, laws.Normal(0.0, 0.02), key)])
        torch.set_num_threads(1)
        before = tasks()
        fill()
        assert tasks() == before, "one thread needs no helper"
        torch.set_num_threads(3)
        fill()
        assert tasks() in (before + 2, 0), (before, tasks())
        fill()
        torch.set_num_threads(2)
        fill()
        assert tasks() in (before + 2, 0), "helpers are kept"
        print("as many")
    """)
    assert out == "as many\n"
