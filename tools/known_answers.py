"""Write tests/kat/vectors.txt: what the stream contract, version 1, answers.

    python tools/known_answers.py > tests/kat/vectors.txt

The file is frozen with the stream version: a change of any line of it is a new version. Random123's answers in it are that
library's own (its file ``kat_vectors``); ours come from the reference backend and are read by the tests of every backend.
"""

from __future__ import annotations

import json
import struct

import torch

from initium import _laws as laws
from initium import _stream as stream
from initium.backends import Job
from initium.backends.reference import Reference

RANDOM123 = """\
philox 00000000 00000000 00000000 00000000 key 00000000 00000000 : 6627e8d5 e169c58d bc57ac4c 9b00dbd8
philox ffffffff ffffffff ffffffff ffffffff key ffffffff ffffffff : 408f276d 41c83b0e a20bc7c6 6d5451fd
philox 243f6a88 85a308d3 13198a2e 03707344 key a4093822 299f31d0 : d16cfe09 94fdcceb 5001e420 24126ea1"""

KEYS = (
    (0, "values", "weight"),
    (0, "values", "bias"),
    (1, "values", "weight"),
    (2**64 - 1, "values", "model.layers.0.self_attn.q_proj.weight"),
    (0, "signs", "weight"),
    (0, "values", ""),
    (7, "values", "größe.重み"),
    (0, "values", "ab" + "c"),
    (0, "valuesab", "c"),
)

WHOLE = 2**32
LAWS = {  # constructor and arguments; "quantiles" cuts N(0, 1) at lo and hi 2**-32nds without a table of its own
    "standard": ("normal", 0.0, 1.0),
    "gpt2": ("normal", 0.0, 0.02),
    "shifted": ("normal", 0.1, 0.3),
    "denormal": ("normal", 0.0, 1e-40),
    "huge": ("normal", 0.0, 1e38),
    "unit": ("uniform", 0.0, 1.0),
    "xavier": ("uniform", -0.0625, 0.0625),
    "odd": ("uniform", -0.3, 0.7),
    "tiny": ("uniform", 0.0, 1e-41),
    "two-sigma": ("truncated", 0.0, 0.02, -0.04, 0.04),
    "lopsided": ("truncated", 0.5, 1.5, -1.0, 2.0),
    "far-tail": ("truncated", 0.0, 1.0, 8.0, 9.0),
    "narrow": ("truncated", 0.0, 1.0, 0.1, 0.101),
    "lowest-octaves": ("quantiles", 0, 4000),
    "highest-octaves": ("quantiles", WHOLE - 4000, WHOLE),
    "around-zero": ("quantiles", 2**31 - 300, 2**31 + 300),
    "uncut": ("quantiles", 0, WHOLE),
}
DTYPES = {"f32": torch.float32, "f64": torch.float64, "f16": torch.float16, "bf16": torch.bfloat16}
KEY = stream.Key(0xA4093822, 0x299F31D0, 0x13198A2E, 0x03707344)
STARTS = (0, 61, 777, 2**34 - 2, 2**40 + 5, 2**62 + 1)  # within a block, over its edge, over the counter's carry, far away
COUNT = 4


def law_of(kind: str, *numbers: float) -> laws.Law:
    """The law that a line of the file names."""
    if kind == "normal":
        return laws.Normal(*numbers)
    if kind == "uniform":
        return laws.Uniform(*numbers)
    if kind == "truncated":
        return laws.truncated(*numbers)
    lo, hi = (int(number) for number in numbers)
    return laws.TruncNormal(0.0, 1.0, float("-inf"), float("inf"), lo, hi, 0.0, 1.0)


def numbers_of(law: laws.Law) -> str:
    """What a kernel is given: scale shift least most (fp32 bits), low high (fp64 bits), lo, span."""
    assert not isinstance(law, laws.Constant)
    least, most = law.limits
    low, high = (least, most) if isinstance(law, laws.Normal) else (law.low, law.high)
    lo, span = (law.lo, law.hi - law.lo) if isinstance(law, laws.TruncNormal) and law.table is None else (0, 0)
    singles = " ".join(struct.pack(">f", x).hex() for x in (law.scale, law.shift, least, most))
    return f"{singles} {struct.pack('>d', low).hex()} {struct.pack('>d', high).hex()} {lo} {span}"


def kind_of(law: laws.Law) -> str:
    """The kernel that draws it."""
    if isinstance(law, laws.TruncNormal):
        return "truncated" if law.table is None else "tabulated"
    return type(law).__name__.lower()


def bits_of(values: torch.Tensor) -> str:
    """The elements' bit patterns, in hexadecimal."""
    size = values.element_size()
    integers = values.view({2: torch.int16, 4: torch.int32, 8: torch.int64}[size]).tolist()
    return " ".join(f"{x & (1 << 8 * size) - 1:0{2 * size}x}" for x in integers)


def vectors() -> list[str]:
    """The file's lines."""
    lines = [
        "# Known answers of the stream contract, version 1 (src/initium/_stream.py). Frozen: a changed line is a new version.",
        "# Numbers are hexadecimal bit patterns but for seeds, starts, lo and span. Written by tools/known_answers.py.",
        "#",
        "# Random123's own: philox c0 c1 c2 c3 key k0 k1 : the four output words",
        RANDOM123,
        "#",
        "# derive_key: key seed tag name : k0 k1 c2 c3",
    ]
    for seed, tag, name in KEYS:
        key = stream.derive_key(seed, name, tag)
        lines.append(f"key {seed} {json.dumps(tag)} {json.dumps(name)} : " + " ".join(f"{word:08x}" for word in key))
    lines += ["#", "# The stream of everything below: stream k0 k1 c2 c3", "stream " + " ".join(f"{word:08x}" for word in KEY)]
    lines += ["#", "# words start : the words of the elements from there on"]
    for start in STARTS:
        lines.append(f"words {start} : " + " ".join(f"{word:08x}" for word in stream.words(KEY, start, COUNT).tolist()))
    lines += [
        "#",
        "# law name constructor numbers : kernel scale shift least most (fp32) low high (fp64) lo span",
        "# table name : the 7 x 32 fp32 coefficients of a law that brings its own",
        "# value dtype start : the elements of the law above them",
    ]
    for name, (kind, *numbers) in LAWS.items():
        law = law_of(kind, *numbers)
        lines.append(f"law {name} {kind} {' '.join(repr(x) for x in numbers)} : {kind_of(law)} {numbers_of(law)}")
        if isinstance(law, laws.TruncNormal) and law.table is not None:
            coefficients = torch.tensor(law.table, dtype=torch.float32).flatten()
            lines.append(f"table {name} : {bits_of(coefficients)}")
        for dtype in DTYPES:
            for start in STARTS:
                out = torch.empty(COUNT, dtype=DTYPES[dtype])
                Reference().fill([Job(out, law, KEY, start)])
                lines.append(f"value {dtype} {start} : {bits_of(out)}")
    return lines


if __name__ == "__main__":
    print("\n".join(vectors()))
