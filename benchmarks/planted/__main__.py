"""``python benchmarks/planted [CODE …]``: train every network with its bug and without, and write what that costs.

Both are trained from the same five seeds, on the digits that ship with the package. A bug costs something when its best seed is worse
than the good model's worst (by chance once in 252), and its loss at least a tenth higher on the mean. The audit has to find the bug,
and nothing in the network without it. About two minutes on one core.
"""

from __future__ import annotations

import json
import math
import statistics
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import initium
from initium._execute import one_thread
from planted import layouts, loading, memory, signals, weights, within
from planted.case import CASES, Case
from planted.results import FILE, rows
from planted.tasks import Outcome, built

SEEDS = range(5)
MODULES = (layouts, loading, memory, signals, weights, within)


def measured(case: Case, seeds: range = SEEDS) -> dict[str, Any]:
    """One row: what the audit says, and what the bug costs."""
    bad, good = ([case.task(lambda b=b: case.make(b), seed) for seed in seeds] for b in (True, False))
    worse = min(one.loss for one in bad) > max(one.loss for one in good)
    costs = worse and statistics.fmean(one.loss for one in bad) > 1.1 * statistics.fmean(one.loss for one in good)
    return {"code": case.code, "what": case.what, "costs": costs, "bad": _mean(bad), "good": _mean(good)}


def fires(case: Case, bad: bool) -> bool:
    """Whether the audit finds the bug in the network."""
    model = built(lambda: case.make(bad), 0) if case.given else lambda: case.make(bad)
    with one_thread():
        report = initium.audit(model, case.inputs, select=[case.code], **case.options)
    return bool(report.findings)


def _mean(outcomes: list[Outcome]) -> dict[str, Any]:
    loss = statistics.fmean(one.loss for one in outcomes)
    accuracy = statistics.fmean(one.accuracy for one in outcomes)
    said: dict[str, Any] = {"loss": round(loss, 3) if math.isfinite(loss) else None, "accuracy": round(accuracy, 3)}
    errors = [one.error for one in outcomes if one.error]
    return said | ({"error": errors[0]} if errors else {})


def main(codes: list[str]) -> int:
    """Measure; 1 if the audit misses a bug, or finds one that is not there."""
    found = {row["code"]: row for row in rows()}
    wrong = 0
    for code in sorted(CASES):
        if codes and code not in codes:
            continue
        start = time.perf_counter()
        with one_thread():
            row = found[code] = measured(CASES[code])
            seen = fires(CASES[code], True), fires(CASES[code], False)
        wrong += seen != (True, False)
        said = f"{code}  bad {row['bad']}  good {row['good']}  {'costs' if row['costs'] else 'costs nothing'}"
        print(said, f"{time.perf_counter() - start:.1f} s", "" if seen == (True, False) else f"AUDIT {seen}", flush=True)
    lines = [json.dumps(found[code]) for code in sorted(found) if code in CASES]
    FILE.write_text("\n".join(lines) + "\n", "utf-8")
    return min(wrong, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
