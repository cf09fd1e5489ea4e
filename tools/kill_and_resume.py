"""Kill writing processes at random moments, start them again, and see that what is there in the end is what one quiet run writes.

python tools/kill_and_resume.py 50 [FOLDER]     two processes write one checkpoint together; a kill takes one of them, or both
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch import nn

import initium


def start(plan: initium.Plan, folder: Path, part: str) -> int:
    """A process that writes a part; this one has drawn nothing yet, so there are no threads to lose."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            plan.write(folder, max_shard_size="8MB", part=part)
            code = 0
        finally:
            os._exit(code)
    return pid


def ended_well(pid: int) -> bool:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def main() -> int:
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    root = Path(tempfile.mkdtemp(dir=sys.argv[2] if len(sys.argv) > 2 else None))
    with torch.device("meta"):
        model = nn.Sequential(*[nn.Linear(1024, 1024) for _ in range(24)])
    plan = initium.plan(model, "xavier", seed=0)
    chance, killed, cut, target = random.Random(0), 0, 0, root / "target"
    try:
        began = time.monotonic()
        assert ended_well(start(plan, root / "quiet", "1/1"))
        takes = time.monotonic() - began
        wanted = contents(root / "quiet")
        while killed < kills:
            for _ in range(2):  # two unlucky runs, then one to the end
                running = {part: start(plan, target, part) for part in ("1/2", "2/2")}
                time.sleep(chance.uniform(0, takes))
                for part in chance.sample(list(running), chance.randint(1, 2)):
                    os.kill(running[part], signal.SIGKILL)
                    killed += not ended_well(running.pop(part))
                cut += any(path.name.endswith(".tmp") for path in target.iterdir()) if target.exists() and not running else 0
                assert all(map(ended_well, running.values()))
            running = {part: start(plan, target, part) for part in ("1/2", "2/2")}
            assert all(map(ended_well, running.values()))
            found = contents(target)
            wrong = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
            if wrong:
                print(f"after {killed} kills: {', '.join(wrong)}")
                return 1
            shutil.rmtree(target)
        print(
            f"{killed} kills, after {cut} of which a file was half written: {len(wanted)} files, the same bytes each time, nothing else"
        )
        return 0
    finally:
        shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
