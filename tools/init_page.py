"""Write docs/init.md, the table "torch.nn.init name | ours | what differs", from the functions themselves."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import torch.nn.init

from initium import init
from initium._gains import ALIASES, GAINS, MODES

PAGE = Path(__file__).parents[1] / "docs" / "init.md"
DIFFERS = re.compile(r"^Differs from torch: (.*?)(?:\n\n|\Z)", re.MULTILINE | re.DOTALL)

HEAD = """\
# initium.init

<!-- Written by tools/init_page.py from the docstrings. Do not edit. -->

`from initium import init` has every public name of `torch.nn.init`, the same positional arguments, errors and warnings, and
fills in place. The numbers drawn are other numbers; these hold for every function:

- They follow torch's generator (`manual_seed`, `generator=`, `fork_rng`, `set_rng_state`), which each call that draws advances
  once, whatever the size.
- They do not depend on dtype (bf16 and fp16 are the fp32 values rounded once; fp64 these values widened, but for
  `orthogonal_`, which is orthogonal to the precision of the dtype), on memory format (channels_last, slices, transposes), on
  the number of threads or on the instruction set.
- Modes (`TorchFunctionMode`) and subclasses (`__torch_function__`) receive `initium.init.<name>` with all arguments by keyword.
- Under `torch.vmap` they draw as its `randomness` says.
- An error is a sentence, an `InitiumError`, and the built-in that torch raises for the same fault.
- A write to a computed tensor (a parametrised weight) warns, because the model does not change.

| torch.nn.init | ours | what differs |
|---|---|---|
"""
NEW_HEAD = """
## Beside torch's names

| function | what it does |
|---|---|
"""
GAIN_HEAD = """
## Gains

`calculate_gain(name)` for every name that is not torch's, and `initium.gain(name, mode)` for all: the factor on a weight's std
that keeps the second moment of activations (forward, E[f²]^-½), of gradients (backward, E[f'²]^-½), or the variance (centred),
for a standard normal input. Any function can stand in for the name; it is then integrated.

"""


def page() -> str:
    """The page's text."""
    torchs = torch.nn.init.__all__
    current = [name for name in torchs if name + "_" not in torchs]
    rows = [f"| `{name}` | {_signature(name)} | {_differs(name)} |" for name in current]
    rows += [f"| `{name}` | `{name}` | deprecated in both: warns, does `{name}_` |" for name in torchs if name not in current]
    new = [f"| {_signature(name)} | {_one_line(name)} |" for name in init.__all__ if name not in torchs]
    return HEAD + "\n".join(rows) + "\n" + NEW_HEAD + "\n".join(new) + "\n" + GAIN_HEAD + _gains()


def _signature(name: str) -> str:
    shown = []
    for parameter in inspect.signature(getattr(init, name)).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in shown:
            shown.append("*")
        default = "" if parameter.default is parameter.empty else f"={parameter.default!r}"
        shown.append(parameter.name + default)
    return f"`{name}({', '.join(shown)})`"


def _differs(name: str) -> str:
    found = DIFFERS.search(inspect.getdoc(getattr(init, name)) or "")
    return " ".join(found[1].split()).replace("``", "`").rstrip(".") if found else "nothing"


def _one_line(name: str) -> str:
    return (inspect.getdoc(getattr(init, name)) or "").partition("\n")[0].replace("``", "`").rstrip(".")


def _gains() -> str:
    also = {name: ", ".join(alias for alias, target in ALIASES.items() if target == name) for name in GAINS}
    lines = [f"| name | also | {' | '.join(MODES)} |", "|---|---|" + "---:|" * len(MODES)]
    lines += [f"| {name} | {also[name]} | {' | '.join(f'{value:.12f}' for value in row)} |" for name, row in GAINS.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
