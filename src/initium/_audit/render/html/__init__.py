"""A report as one self-contained HTML page: findings first, then the figures. No network; everything from the model is escaped."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from importlib.resources import files

from ...._grouping import grouped
from ...report import Report, TensorNumbers
from . import figures
from .axis import short
from .findings import cards, rest, verdict
from .marks import breaking, counted, esc
from .spectra import spectra

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
_MOST_FIGURES = 1200


def html(report: Report, least: str = "info") -> str:
    """The page; findings below ``least`` are only counted."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">'
        f"<title>{esc(report.label)} · initium audit</title><style>{_asset('page.css')}</style></head>"
        f'<body class="initium-page"><main class="initium">{_head(report)}{_tools(report)}{_body(report, least, "")}</main>'
        f"<script>{_asset('page.js')}</script></body></html>"
    )


def fragment(report: Report) -> str:
    """The same without a script, for a notebook; ids begin with a mark of the report, so that two may stand in one page."""
    mark = "i" + hashlib.sha256(f"{report.label}{report.findings}".encode("utf-8", "replace")).hexdigest()[:8] + "-"
    return f'<style>{_asset("page.css")}</style><div class="initium">{_head(report)}{_body(report, "info", mark)}</div>'


def _asset(name: str) -> str:
    return files(__name__).joinpath(name).read_text("utf-8")


def _head(report: Report) -> str:
    m = report.measured
    facts = [counted(m.parameters, "parameter"), counted(len(m.tensors), "tensor"), f"seed {report.seed}"]
    facts += [f"run on {m.inputs}"] if m.inputs else []
    state = "bad" if report.count("error") else "odd" if not report.ok or report.failed else "good"
    tail = f"{counted(len(report.passed), 'check')} passed"
    tail += f", {len(report.not_run)} not run" if report.not_run else ""
    return (
        f'<header><p class=brand>initium audit</p><h1>{breaking(report.label)}</h1><p class="verdict {state}">{verdict(report)}'
        f"<small>{tail}</small></p><p class=facts>{esc(' · '.join(facts))}</p></header>"
    )


def _tools(report: Report) -> str:
    boxes = "".join(
        f'<label class="{severity}"><input type=checkbox checked value="{severity}">{counted(n, word)}</label>'
        for severity, word in (("error", "error"), ("warning", "warning"), ("info", "note"))
        if (n := report.count(severity))
    )
    return (
        '<nav class=tools aria-label="Search and filter"><input type=search placeholder="Search names and codes  ( / )" '
        f'aria-label="Search names and codes">{boxes}<button type=button class=theme aria-label="Light or dark">◐</button></nav>'
    )


def _body(report: Report, least: str, prefix: str) -> str:
    bad = [name for finding in report.at_least("warning") for name in (finding.names or (finding.name,)) if name]
    m = report.measured
    parts = [_section("Findings", "", cards(report, least, prefix) + rest(report), prefix)]
    activations = figures.depth(m.layers, lambda one: one.rms, "rms of each layer's output, by depth")
    if activations:
        gradients = figures.depth(m.layers, lambda one: one.grad_rms, "rms of the gradient at each layer's output, by depth")
        drawn = f"<h3>Activations</h3><div class=wide>{activations}</div>"
        drawn += f"<h3>Gradients</h3><div class=wide>{gradients}</div>" if gradients else ""
        said = (
            "The root mean square of what each layer puts out, and of the gradient that comes back to it, call by call, on a "
            "logarithmic scale. A healthy start is level; red stands for 0 and for what is not finite."
        )
        parts.append(_section("Scale through the network", said, drawn, prefix))
    one, two = (figures.scale_map(m.tensors, set(bad), both=both) for both in (False, True))
    if one:
        said = (
            "Every weight by its standard deviation and its fans. Lines: He √(2/fan_in), LeCun √(1/fan_in), "
            "torch's default √(1/(3·fan_in)), Xavier √(2/(fan_in + fan_out))."
        )
        parts.append(_section("All weights", said, f"<div class=two>{one}{two}</div>", prefix))
    parts.append(_histograms(m.tensors, set(bad), prefix))
    parts.append(_spectra(report, bad, prefix))
    return "".join(parts)


def _section(title: str, said: str, body: str, prefix: str) -> str:
    mark = prefix + title.lower().replace(" ", "-")
    lead = f"<p class=lead>{said}</p>" if said else ""
    return f'<section class=part id="{mark}"><h2><a href="#{mark}">{title}</a></h2>{lead}{body}</section>' if body else ""


def _histograms(tensors: Iterable[TensorNumbers], bad: set[str], prefix: str) -> str:
    by_name = {one.name: one for one in tensors}
    flat: list[TensorNumbers] = []
    first: list[str] = []  # one of each kind, with a finding if one of them has any
    alike: list[str] = []
    left = 0
    for group in grouped((one.name, (one.shape, one.law)) for one in by_name.values()):
        drawn = 0
        for name in sorted(group.names, key=lambda name: name not in bad):
            if len(first) + len(alike) >= _MOST_FIGURES and name not in bad:
                left += 1
                continue
            picture = figures.histogram(by_name[name])
            if not picture:
                flat.append(by_name[name])
                continue
            more = len(group.names) - 1
            said = _laws(by_name[name]) + (f"<br><i>and {more:,} like it</i>" if more and not drawn else "")
            (alike if drawn else first).append(_figure(by_name[name], picture, said, name in bad))
            drawn += 1
    body = f"<div class=grid>{''.join(first)}</div>" if first else ""
    if alike:
        others = f"<div class=grid>{''.join(alike)}</div>"
        body += f"<details class=alike><summary>The other {counted(len(alike), 'tensor')}</summary>{others}</details>"
    if left:
        body += f"<p class=quiet>{counted(left, 'more tensor')} not drawn.</p>"
    if flat:
        rows = "".join(map(_constant, flat[:_MOST_FIGURES]))
        title = f"{counted(len(flat), 'tensor')} with one value, or not measured"
        body += f"<details class=flat><summary>{title}</summary><table>{rows}</table></details>"
    return _section(
        "Values over their plan", "Bars: what the tensor holds. Line: the density that its code declares.", body, prefix
    )


def _figure(one: TensorNumbers, picture: str, said: str, wrong: bool) -> str:
    return (
        f'<figure class="tensor{" wrong" if wrong else ""}" data-find="{esc(one.name)}">{picture}'
        f"<figcaption><b>{breaking(one.name)}</b><span>{said}</span></figcaption></figure>"
    )


def _laws(one: TensorNumbers) -> str:
    shape = "×".join(map(str, one.shape)) or "()"
    std = f"std {short(one.std)}"
    if one.planned_std and one.planned_kind != "constant":
        std += f", planned {short(one.planned_std)}"
    return f"{esc(shape)} {esc(one.dtype)} · {std}<br>{esc(one.law) if one.law else 'no declared law'}"


def _constant(one: TensorNumbers) -> str:
    value = short(one.low) if one.low is not None and one.low == one.high else "not measured"
    return f'<tr data-find="{esc(one.name)}"><th>{breaking(one.name)}<td>{"×".join(map(str, one.shape)) or "()"}<td>{value}'


def _spectra(report: Report, bad: list[str], prefix: str) -> str:
    found = spectra(report, bad)
    said = (
        "Singular values of some matrices ÷ (std·√long side). Line: Marchenko and Pastur's density, which independent elements have; "
        "one spike at 1 is an orthogonal matrix."
    )
    pictures = [
        _figure(
            one.tensor,
            figures.spectrum(one),
            f"{one.short} × {one.long}"
            + (f", of {one.of:,}" if one.of > one.short else "")
            + f" · largest {short(one.values[-1])}",
            one.tensor.name in bad,
        )
        for one in found
    ]
    return _section("Spectra", said, f"<div class=grid>{''.join(pictures)}</div>" if pictures else "", prefix)
