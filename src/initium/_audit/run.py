"""``audit``: measure what can be measured, judge it by every selected check, and say what could not be looked at."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from torch import nn

from .._errors import ArgumentError, ArgumentTypeError, ModelError, nearest
from .._grouping import grouped
from .._text.forms import dtype_name
from .expect import Expectation, applied
from .measure.collect import Wanted, collect
from .measure.seen import Seen, TensorSeen
from .registry import EXTRAS, LEVELS, Check, Hit, selected
from .report import SEVERITIES, Finding, LayerNumbers, Measured, NotRun, Report, TensorNumbers, finite

_SAMPLES = 1_000_000  # values that are kept for histograms, of all tensors together


def audit(
    model: nn.Module | Callable[[], nn.Module] | str | Path,
    inputs: Any = None,
    *,
    level: str | None = None,
    select: str | Iterable[str] | None = None,
    ignore: str | Iterable[str] | None = None,
    preview: bool = False,
    seed: int = 0,
    expect: Iterable[Expectation] = (),
    rebuild: bool | None = None,
    label: str | None = None,
) -> Report:
    """Find what is wrong with a model's initial state: tensors nobody filled, layers that start equal, a signal that dies.

    A callable is built under observation, which shows most: who wrote what, and which memory nobody wrote. A model is looked at as it
    is, and left as it is. A path is a safetensors checkpoint.

    Args:
        model: a class or function that makes a model, a model, or a safetensors file or folder.
        inputs: what ``forward`` takes: a tensor, a tuple of arguments, a mapping of keywords, or a function that makes one of these.
            Without it an input is made from what the model says of itself, where that can be done.
        level: how far to go: ``static`` (names and who wrote what), ``weights`` (one pass over the values), ``forward``, ``grad``. As far
            as possible unless said.
        select, ignore: prefixes of codes, ``"U,S0"`` or a list; all but previews unless said.
        preview: also the checks that are still on trial.
        seed: of torch's generator while a callable builds its model.
        expect: findings that are meant; see ``initium.expect``.
        rebuild: whether a callable is built a second time, to see if the seed decides; unless said, models under 200 M elements are.
        label: what the report calls the model.

    Returns:
        A report: ``ok``, ``findings``, ``passed``, ``not_run``; printed, it is a text.

    Raises:
        ModelError: the callable raises, or makes no module.
        ArgumentError: a level or a code that does not exist.

    Example:
        >>> report = audit(lambda: nn.Linear(64, 10))
        >>> report.ok
        True
    """
    if level is not None and level not in LEVELS:
        raise ArgumentError(f"level is one of {', '.join(LEVELS)}, not {level!r}.{nearest(str(level), LEVELS)}")
    chosen = selected(select, ignore, preview)
    last = LEVELS.index(level) if level is not None else max((LEVELS.index(one.level) for one in chosen), default=0)
    wanted = Wanted(
        values=last >= 1,
        forward=last >= 2,
        backward=last >= 3,
        rebuild=rebuild
        if rebuild is not None
        else None
        if any({"rebuild", "meta"} & set(one.needs) for one in chosen)
        else False,
        meta=any("meta" in one.needs for one in chosen),
        extras=frozenset(need for one in chosen for need in one.needs if need in EXTRAS),
    )
    seen, reasons, seconds = _measured(model, inputs, seed, label, wanted)
    return judged(seen, chosen, LEVELS[last], reasons, expect, seed, seconds)


def _measured(
    model: Any, inputs: Any, seed: int, label: str | None, wanted: Wanted
) -> tuple[Seen, dict[str, NotRun], dict[str, float]]:
    if isinstance(model, (nn.Module, str, Path)):
        name = label or (str(model) if not isinstance(model, nn.Module) else type(model).__name__)
        return collect(model, None, inputs, seed, name, wanted)
    if not callable(model):
        raise ArgumentTypeError(
            f"audit expects a model, a callable that makes one, or a safetensors file, not {type(model).__name__}"
        )
    called = label or getattr(model, "__qualname__", None) or type(model).__name__
    return collect(None, model, inputs, seed, str(called), wanted)


def judged(
    seen: Seen,
    chosen: list[Check],
    level: str,
    reasons: dict[str, NotRun],
    expect: Iterable[Expectation] = (),
    seed: int = 0,
    seconds: dict[str, float] | None = None,
) -> Report:
    """The report on what was measured: every chosen check runs, or says why not."""
    start = time.perf_counter()
    hits: dict[str, list[Hit]] = {}
    passed: list[tuple[str, str]] = []
    not_run: list[NotRun] = [reason for reason in reasons.values() if reason.failed]
    for one in chosen:
        if one.code[0] == "X":
            continue
        lacks = next((need for need in (_level_need(one), *one.needs) if need in reasons), None)
        if LEVELS.index(one.level) > LEVELS.index(level):
            continue
        if lacks is not None:
            not_run.append(NotRun(one.code, reasons[lacks].reason))
            continue
        try:
            hits[one.code] = list(one.find(seen))
        except ModelError as error:
            not_run.append(NotRun(one.code, str(error)))
        except Exception as error:  # a fault of the check: it is said, and the others go on
            said = f"the check itself raises {type(error).__name__}: {error}; please report it"
            not_run.append(NotRun(one.code, said, True))
    _explained(hits, {one.code: one for one in chosen})
    findings: list[Finding] = []
    for one in chosen:
        if one.code in hits:
            if hits[one.code]:
                findings += _findings(one, hits[one.code])
            else:
                passed.append((one.code, one.name))
    findings, _, unused = applied(findings, seen, expect)
    unused_check = next((one for one in chosen if one.code == "X001"), None)
    if unused_check is not None:
        ran = set(hits)
        stale = [one for one in unused if any(code.startswith(one.code) for code in ran)]
        findings += _findings(unused_check, [_unused(one) for one in stale])
        if not stale:
            passed.append((unused_check.code, unused_check.name))
    findings.sort(key=lambda f: (-SEVERITIES.index(f.severity), f.code))
    took = {**(seconds or {}), "judging": time.perf_counter() - start}
    return Report(seen.label, tuple(findings), tuple(passed), tuple(not_run), _numbers(seen, took), seed, seen.model)


def _level_need(one: Check) -> str:
    return {"static": "", "weights": "values", "forward": "forward", "grad": "grad"}[one.level]


def _explained(hits: dict[str, list[Hit]], known: dict[str, Check]) -> None:
    """Leave out what another finding is the cause of: on the same tensors, or, of what a signal or a gradient shows, altogether."""
    for code, found in hits.items():
        names = {name for hit in found for name in (hit.name, *hit.names)}
        for other in known[code].explains if found else ():
            for explained in [c for c in hits if c.startswith(other) and c != code]:
                everywhere = "" in names or known[explained].level in ("forward", "grad")
                hits[explained] = [
                    hit
                    for hit in hits[explained]
                    if not everywhere and hit.name != "" and not names & set(hit.names or (hit.name,))
                ]


def _findings(one: Check, hits: list[Hit]) -> list[Finding]:
    """Hits that are alike but for indices, or that one line of code is guilty of, as one finding."""
    alike: dict[tuple[Any, ...], dict[str, Hit]] = {}
    for hit in hits:
        words = re.sub(r"[-+.\de]*\d[-+.,\de]*", "#", hit.message)
        alike.setdefault((hit.severity or one.severity, hit.source, len(hit.names), words), {}).setdefault(hit.name, hit)
    found = []
    for (severity, source, *_), named in alike.items():
        groups = grouped((name, None) for name in named)
        for part in [groups] if source is not None else [[group] for group in groups]:
            first = named[part[0].names[0]]
            names = tuple(dict.fromkeys(n for group in part for at in group.names for n in (named[at].names or (at,))))
            globs = "\0".join(sorted(group.glob for group in part))
            mark = hashlib.sha256(f"{one.code}\0{globs}".encode()).hexdigest()[:16]
            found.append(
                Finding(
                    one.code,
                    severity,
                    part[0].title,
                    first.message,
                    first.fix,
                    source,
                    one.name,
                    names,
                    one.fix_safety,
                    mark,
                )
            )
    return found


def _unused(one: Expectation) -> Hit:
    return Hit(
        one.pattern,
        f"{one.code} is expected here ({one.reason}), and nothing of the kind was found",
        "take the expectation out",
        one.source or None,
    )


def _numbers(seen: Seen, seconds: dict[str, float]) -> Measured:
    from .measure.probe import shapes

    most = min(max(_SAMPLES // max(len(seen.tensors), 1), 32), 512)
    tensors = tuple(_tensor_numbers(one, most) for one in seen.tensors.values())
    layers = tuple(
        LayerNumbers(s.name, s.kind, s.rms, s.mean, s.largest, finite(s.grad_rms), finite(s.cosine)) for s in seen.signals
    )
    of_file = seen.model is None
    trained = sum(
        one.tensor.numel()
        for one in seen.tensors.values()
        if one.tensor is not None and (of_file or not (one.is_buffer or one.computed))
    )
    said = f"{shapes(seen.probe.inputs)} from {seen.probe.inputs.how}" if seen.probe is not None else ""
    return Measured(tensors, layers, trained, said, seconds)


def _tensor_numbers(one: TensorSeen, most: int) -> TensorNumbers:
    m, law, fans = one.moments, one.law, one.fans or (None, None)
    if one.slot is not None:
        dtype = one.slot.dtype
    else:
        assert one.tensor is not None  # of a file
        dtype = one.tensor.dtype
    numbers: dict[str, Any] = {}
    if m is not None:
        step = max(len(m.sample) // most, 1)
        numbers = {
            **{name: finite(getattr(m, name)) for name in ("mean", "std", "kurtosis", "low", "high")},
            "zeros": m.zeros,
            "sample": tuple(m.sample[::step].tolist()) if m.size > 1 else (),
        }
    if law is not None:
        numbers |= {f"planned_{name}": finite(getattr(law, name)) for name in ("mean", "std", "low", "high")}
        numbers |= {"law": str(law), "planned_kind": law.kind}
    return TensorNumbers(
        one.name,
        one.shape,
        dtype_name(dtype),
        one.layout.role,
        one.is_buffer,
        fan_in=fans[0],
        fan_out=fans[1],
        source=one.source,
        **numbers,
    )
