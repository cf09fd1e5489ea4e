"""Run the examples of sharded training under 1, 2 and 4 processes, to their end; the lines they print must be the same.

python tools/scale_examples.py [--only scale_parallel.py] [--processes 1,2,4]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ("scale_parallel.py", "scale_transformers.py")

SHIM = f"""
import os, sys
if "RANK" in os.environ:  # a torchvision without its compiled operators, as in tests/zoo
    sys.path.insert(0, {str(ROOT / "tests" / "zoo")!r})
    from _shim import library
    library("transformers")
"""


def line(name: str, processes: int) -> str:
    """What an example prints under torchrun."""
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), str(ROOT / "examples" / name)]
    settings = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo", "PYTHONWARNINGS": "ignore"}
    with tempfile.TemporaryDirectory() as folder:
        paths = [str(ROOT / "src"), settings.get("PYTHONPATH", "")]
        if "transformers" in name:
            Path(folder, "sitecustomize.py").write_text(SHIM, "utf-8")
            paths.insert(0, folder)
        settings["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
        run = subprocess.run(
            [sys.executable, *command], cwd=ROOT, env=settings, capture_output=True, text=True, timeout=300, check=False
        )
    if run.returncode:
        raise SystemExit(run.stderr[-3000:])
    return run.stdout.strip()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(EXAMPLES), help="names of examples, with commas")
    parser.add_argument("--processes", default="1,2,4", help="numbers of processes, with commas")
    said = parser.parse_args()
    alike = True
    for name in said.only.split(","):
        lines = {int(n): line(name, int(n)) for n in said.processes.split(",")}
        alike = alike and len(set(lines.values())) == 1
        for n, text in lines.items():
            print(f"$ torchrun --nproc-per-node {n} examples/{name}\n{text}")
    return 0 if alike else 1


if __name__ == "__main__":
    sys.exit(main())
