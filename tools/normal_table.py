"""The normal quantile's table: rebuild its polynomials, check the frozen bytes against them, bound the error, write the header.

    python tools/normal_table.py            check and print the error of every octave over its whole fp32 grid
    python tools/normal_table.py --write    also write csrc/normal_table.h

The frozen bytes are those of ``src/initium/_normal_table.py``; the header is written from them, never the other way. The fit in
here shows where they come from. It need not give the last bit again on another machine: what it must do is stay within
``TOLERANCE`` of them.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent
HEADER = ROOT / "csrc" / "normal_table.h"
SOURCE = ROOT / "src" / "initium" / "_normal_table.py"

MAX_ERROR = 7.4e-7  # of |z|, anywhere
TOLERANCE = 2**-22  # between a frozen coefficient and the fit's, in units of the largest |z| a polynomial gives
NODES = 400  # Chebyshev nodes of the least-squares fit


def _load() -> ModuleType:
    """The table's module by itself: this tool must run where the package is not installed."""
    spec = importlib.util.spec_from_file_location("_normal_table", SOURCE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TABLE = _load()


def header() -> str:
    """The text of csrc/normal_table.h."""
    import struct

    def literal(bits: int) -> str:
        value = struct.unpack("<f", struct.pack("<I", bits))[0]
        return f"{value.hex()}f"

    def short(text: str) -> str:  # 0x1.8aa6c80000000p+2f -> 0x1.8aa6c8p+2f
        mantissa, exponent = text.split("p")
        return f"{mantissa.rstrip('0').rstrip('.')}p{exponent}"

    lines = [
        "// Written by tools/normal_table.py from src/initium/_normal_table.py, which says what it is: do not edit.",
        f"// Max abs error of |z| over every fp32 magnitude: {MAX_ERROR}.",
        "#pragma once",
        "",
        f"constexpr int NORMAL_DEGREE = {TABLE.DEGREE};",
        "",
        "alignas(64) static const float NORMAL_TABLE[7][32] = {",
    ]
    for degree, row in enumerate(TABLE.NORMAL_TABLE_BITS):
        literals = [short(literal(bits)) + "," for bits in row]
        lines.append(f"    {{  // x^{degree}")
        lines += ["        " + " ".join(literals[i : i + 6]) for i in range(0, len(literals), 6)]
        lines.append("    },")
    lines.append("};")
    return "\n".join(lines) + "\n"


def fitted(octave: int):  # type: ignore[no-untyped-def]
    """Coefficients in powers of x of the degree-6 fit to |z| over magnitudes in [2**octave, 2**(octave + 1)), in fp64."""
    import numpy as np
    from numpy.polynomial import chebyshev
    from scipy.special import ndtri

    x = np.cos(np.pi * (np.arange(NODES) + 0.5) / NODES)
    z = -ndtri(_tail(octave, x))
    return chebyshev.cheb2poly(chebyshev.chebfit(x, z, TABLE.DEGREE))


def _tail(octave: int, x):  # type: ignore[no-untyped-def]
    """1 - Φ(|z|) where the magnitude is 2**octave · (1 + (x + 1) / 2), of 2**31; half of it, the other half being z < 0."""
    return 2.0 ** (octave - 31) * (1 + (x + 1) / 2) / 2


def coefficients():  # type: ignore[no-untyped-def]
    """The frozen table as fp32, shape (7, 32)."""
    import numpy as np

    return np.array(TABLE.NORMAL_TABLE_BITS, dtype=np.uint32).view(np.float32)


def error(octave: int) -> tuple[float, float, float]:
    """The octave's largest |table - true|, and the least and largest |z| it gives, over all fp32 magnitudes in it."""
    import numpy as np
    from scipy.special import ndtri

    mantissa = np.arange(1 << 23, dtype=np.uint32) if octave > 23 else np.arange(1 << octave, dtype=np.uint32) << (23 - octave)
    table = coefficients()
    worst, least, most = 0.0, np.inf, 0.0
    for part in np.array_split(mantissa, max(1, len(mantissa) >> 20)):
        x = (part | np.uint32(0x40000000)).view(np.float32) - np.float32(3)
        y = np.full_like(x, table[TABLE.DEGREE, octave])
        for degree in range(TABLE.DEGREE - 1, -1, -1):
            y = y * x + table[degree, octave]
        true = -ndtri(_tail(octave, x.astype(np.float64)))
        worst = max(worst, float(np.abs(y - true).max()))
        least, most = min(least, float(y.min())), max(most, float(y.max()))
    return worst, least, most


def check() -> list[str]:
    """Prints the bound; returns what is wrong."""
    import numpy as np

    wrong = []
    table = coefficients().astype(np.float64)
    print("octave   max abs error        |z| from        to   frozen - fitted")
    worst, last, least_anywhere = 0.0, 0.0, np.inf
    for octave in range(TABLE.OCTAVES - 1, -1, -1):
        largest, least, most = error(octave)
        away = float(np.abs(table[:, octave] - fitted(octave)).max())
        print(f"{octave:6d} {largest:15.3g} {least:15.6g} {most:9.6f} {away:17.3g}")
        worst, last, least_anywhere = max(worst, largest), max(last, most), min(least_anywhere, least)
        if away > TOLERANCE * max(1.0, most):
            wrong.append(f"octave {octave}: a frozen coefficient is {away:.3g} from the fitted one")
    print(f"max abs error {worst:.3g}, last value {last:.4f}, least {least_anywhere:.3g}")
    if worst > MAX_ERROR:
        wrong.append(f"max abs error {worst:.3g} is above {MAX_ERROR}")
    if not least_anywhere > 0:
        wrong.append("|z| is not positive everywhere")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="write csrc/normal_table.h")
    arguments = parser.parse_args()
    wrong = check()
    if HEADER.exists() and not arguments.write and HEADER.read_text() != header():
        wrong.append("csrc/normal_table.h is not what the frozen bytes give: run with --write")
    print("\n".join(wrong) if wrong else "the frozen bytes are the fitted polynomials, rounded")
    if arguments.write and not wrong:
        HEADER.write_text(header())
        print(f"wrote {HEADER.relative_to(ROOT)}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
