"""What the compiler makes of the GPU kernels, without a GPU: instructions an element, registers, and what must not be there.

    python tools/gpu_instructions.py [sm_90]

Triton compiles for an architecture that need not be present, and its own disassembler shows the machine code. A job without rows runs
through its kernel once, so that its instructions over its elements are what an element takes; with rows, a division that only some
programs make is counted too.
"""

from __future__ import annotations

import collections
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.pop("TRITON_INTERPRET", None)  # kernels for the interpreter cannot be compiled

import torch
import triton
import triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from initium.backends import _triton_kernels as kernels
from initium.backends.triton import _DTYPES, _element

DISASSEMBLER = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "nvdisasm"
INSTRUCTION = re.compile(r"^\s*/\*[0-9a-f]{4,5}\*/\s+(?:@!?U?P\w+\s+)?([A-Z0-9]+)", re.MULTILINE)
LAWS = {"uniform": kernels.UNIFORM, "normal": kernels.NORMAL, "truncated": kernels.TRUNCATED, "tabulated": kernels.TABULATED}


def machine_code(law: int, dtype: torch.dtype, plain: bool, architecture: int) -> tuple[collections.Counter[str], int]:
    """(instructions by name, threads of a program)."""
    constants = {"LAW": law, "DTYPE": _element(tl, dtype), "PLAIN": plain, "BLOCKS": kernels.BLOCKS}
    signature = {f"a{i}": "i64" for i in range(len(kernels.Row))} | dict.fromkeys(constants, "constexpr")
    compiled = triton.compile(
        ASTSource(kernels.one, signature, constants),
        target=GPUTarget("cuda", architecture, 32),
        options={"enable_fp_fusion": False},
    )
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        Path(file.name).write_bytes(compiled.asm["cubin"])
        text = subprocess.run([DISASSEMBLER, file.name], capture_output=True, text=True, check=True).stdout
    return collections.Counter(INSTRUCTION.findall(text)), compiled.metadata.num_warps * 32


def main() -> None:
    architecture = int((sys.argv[1:] or ["sm_90"])[0].removeprefix("sm_"))
    print(
        f"| sm_{architecture} | dtype | layout | an element | integer products | table | stores | barriers, shared, local, fused |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, law in LAWS.items():
        for dtype in _DTYPES:
            for plain in (True, False) if dtype is torch.float32 else (True,):
                found, threads = machine_code(law, dtype, plain, architecture)
                elements = kernels.BLOCKS * 64 / threads
                total = sum(found.values()) - found["NOP"]
                worse = sum(found[one] for one in ("BAR", "LDS", "STS", "LDL", "STL", "FFMA"))
                shares = " | ".join(f"{count / elements:.1f}" for count in (total, found["IMAD"], found["LDG"], found["STG"]))
                layout = "plain" if plain else "rows"
                print(f"| {name} | {str(dtype).removeprefix('torch.')} | {layout} | {shares} | {worse} |")


if __name__ == "__main__":
    main()
