"""Make src/initium/demo/digits.bin from scikit-learn's copy of the UCI digits.

Run it where scikit-learn is installed: ``python tools/digits.py``.
"""

from __future__ import annotations

import zlib
from pathlib import Path

FILE = Path(__file__).parent.parent / "src" / "initium" / "demo" / "digits.bin"


def main() -> None:
    from sklearn.datasets import load_digits

    data = load_digits()
    assert data.data.shape == (1797, 64)
    assert data.data.max() == 16
    FILE.write_bytes(zlib.compress(data.data.astype("uint8").tobytes() + data.target.astype("uint8").tobytes(), 9))
    print(f"{FILE}: {FILE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
