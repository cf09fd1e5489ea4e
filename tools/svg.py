"""Small quiet pictures as SVG text: a histogram, a matrix, curves. No dependency; mid-tones that are legible on white and on black.

The same numbers give the same text: coordinates are rounded to a tenth of a pixel, and nothing depends on the machine or the clock.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

INK, BLUE, ORANGE = "#7a818b", "#3f8cd6", "#cf7a2c"
WIDTH, HEIGHT = 560, 190
LEFT, RIGHT, TOP, BOTTOM = 46, 16, 12, 34


class Curve(NamedTuple):
    """One line of a picture: its name, its values from x = first on, and whether it is what the picture is about."""

    name: str
    values: Sequence[float]
    main: bool = False


def page(body: list[str], title: str, height: float = HEIGHT) -> str:
    """The SVG around its shapes; the title is what a screen reader says."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {_n(height)}" width="{WIDTH}" height="{_n(height)}" '
        f'role="img" font-family="system-ui,sans-serif" font-size="11" fill="{INK}">\n<title>{_escaped(title)}</title>\n'
    )
    return head + "\n".join(body) + "\n</svg>\n"


def histogram(
    values: Sequence[float], title: str, density: Callable[[float], float] | None, span: tuple[float, float] | None = None
) -> str:
    """Bars of the values' density, and the planned density as a line over them."""
    low, high = span or _span(values)
    bins = 40
    counts = [0] * bins
    for value in values:
        if low <= value <= high:
            counts[min(int((value - low) / (high - low) * bins), bins - 1)] += 1
    step = (high - low) / bins
    heights = [count / len(values) / step for count in counts]
    line = (
        [] if density is None else [(low + (i + 0.5) * step / 4, density(low + (i + 0.5) * step / 4)) for i in range(4 * bins)]
    )
    top = max([*heights, *(y for _, y in line)]) * 1.06
    across, up = _scale(low, high, LEFT, WIDTH - RIGHT), _scale(0.0, top, HEIGHT - BOTTOM, TOP)
    body = [_ticks_below(_nice(low, high), across), _line(LEFT, up(0.0), WIDTH - RIGHT, up(0.0))]
    bars = "".join(
        f"M{_n(across(low + i * step) + 0.5)} {_n(up(0.0))}V{_n(up(h))}h{_n((WIDTH - LEFT - RIGHT) / bins - 1)}V{_n(up(0.0))}z"
        for i, h in enumerate(heights)
        if h > 0
    )
    body.append(f'<path d="{bars}" fill="{BLUE}" fill-opacity=".55"/>')
    if line:
        body.append(_stroke([(across(x), up(y)) for x, y in line], ORANGE))
    return page(body, title)


def matrix(rows: Sequence[Sequence[float]], title: str) -> str:
    """Each element as a square: blue above 0, orange below, fainter where it is smaller; 0 is left empty."""
    tall, wide = len(rows), len(rows[0])
    size = max(3.0, min(12.0, (WIDTH - 8) // wide, 220 // tall))
    left, most = (WIDTH - size * wide) / 2, max(abs(x) for row in rows for x in row) or 1.0
    levels: dict[tuple[str, int], list[str]] = {}
    for i, row in enumerate(rows):
        for j, x in enumerate(row):
            level = round(abs(x) / most * 5 + 0.25)  # the faintest fifth of a step is empty
            if level:
                levels.setdefault((BLUE if x > 0 else ORANGE, level), []).append(f"M{j} {i}h.9")
    body = [
        f'<rect x="{_n(left - 1.5)}" y="2.5" width="{_n(size * wide + 2)}" height="{_n(size * tall + 2)}" fill="none" '
        f'stroke="{INK}" stroke-opacity=".4"/>',
        f'<g transform="translate({_n(left)} {_n(4 + size * 0.45)}) scale({_n(size)})" stroke-width=".9">',
    ]
    for (colour, level), places in sorted(levels.items()):
        body.append(f'<path d="{"".join(places)}" stroke="{colour}" stroke-opacity="{_n(level / 5)}"/>')
    body.append("</g>")
    return page(body, title, size * tall + 8)


def curves(lines: Sequence[Curve], title: str, along: str, up: str, first: int = 0) -> str:
    """Values through depth (or time), named at their ends; over more than a decade the axis is logarithmic, down to 10⁻¹⁵ of the largest."""
    finite = [y for line in lines for y in line.values if math.isfinite(y)]
    log = min(finite) > 0 and max(finite) > 12 * min(finite)
    floor = max(finite) * 1e-15 if log else -math.inf
    shown = [Curve(n, [y if y >= floor else math.nan for y in v], m) for n, v, m in lines]
    bottom, top = _range(max(min(finite), floor), max(finite), log)
    room = 8 + 6.2 * max(len(line.name) for line in lines)
    longest = max(len(line.values) for line in lines)
    level: Callable[[float], float] = math.log10 if log else float  # type: ignore[assignment]
    across = _scale(first, first + longest - 1, LEFT, WIDTH - RIGHT - room)
    scale = _scale(level(bottom), level(top), HEIGHT - BOTTOM, TOP + 12)
    marks = [10.0**e for e in _decades(bottom, top)] if log else _nice(bottom, top)
    body = []
    for mark in marks:
        y = scale(level(mark))
        body.append(_line(LEFT, y, WIDTH - RIGHT - room, y, 0.25))
        body.append(f'<text x="{LEFT - 6}" y="{_n(y + 4)}" text-anchor="end">{_power(mark) if log else f"{mark:g}"}</text>')
    body.append(_ticks_below(_nice(first, first + longest - 1, whole=True), across, f"{along}"))
    body.append(f'<text x="{LEFT}" y="{TOP}">{_escaped(up)}</text>')
    colours = iter([ORANGE, *[INK] * len(shown)])
    ends: list[tuple[float, float, str, str]] = []
    for line in sorted(shown, key=lambda line: line.main):  # the main line lies over the others
        points = [(across(first + i), scale(level(y))) for i, y in enumerate(line.values) if math.isfinite(y)]
        colour = BLUE if line.main else next(colours)
        body.append(_stroke(points, colour, 2.0 if line.main else 1.5))
        ends.append((points[-1][1], points[-1][0], colour, line.name))
    for y, (_, x, colour, name) in zip(_apart(sorted(ends)), sorted(ends), strict=True):
        body.append(f'<text x="{_n(x + 7)}" y="{_n(y + 4)}" fill="{colour}">{_escaped(name)}</text>')
    return page(body, title)


def _scale(a: float, b: float, low: float, high: float) -> Callable[[float], float]:
    return lambda x: low + (x - a) / (b - a or 1.0) * (high - low)


def _stroke(points: Sequence[tuple[float, float]], colour: str, width: float = 1.5) -> str:
    path = "L".join(f"{_n(x)} {_n(y)}" for x, y in points)
    return f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="{_n(width)}" stroke-linejoin="round"/>'


def _line(x1: float, y1: float, x2: float, y2: float, faint: float = 0.6) -> str:
    return f'<path d="M{_n(x1)} {_n(y1)}L{_n(x2)} {_n(y2)}" stroke="{INK}" stroke-opacity="{_n(faint)}"/>'


def _ticks_below(ticks: Sequence[float], across: Callable[[float], float], said: str = "") -> str:
    y = HEIGHT - BOTTOM
    texts = [f'<text x="{_n(across(t))}" y="{y + 15}" text-anchor="middle">{f"{t:g}".replace("-", "−")}</text>' for t in ticks]
    if said:
        texts.append(f'<text x="{LEFT}" y="{HEIGHT - 4}">{_escaped(said)}</text>')
    return "".join(texts)


def _nice(low: float, high: float, whole: bool = False) -> list[float]:
    """About five round numbers between the two."""
    rough = (high - low) / 4 or 1.0
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * 0.999)
    step = max(round(step), 1) if whole else step
    return [round(i * step, 12) + 0.0 for i in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def _decades(low: float, high: float) -> list[int]:
    """At most five exponents between the two."""
    from_, to = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    return list(range(from_, to + 1, max(1, math.ceil((to - from_) / 4))))


def _range(low: float, high: float, log: bool) -> tuple[float, float]:
    """Room for every value, in whole decades on a logarithmic axis."""
    if log:
        return 10.0 ** math.floor(math.log10(low) + 1e-6), 10.0 ** math.ceil(math.log10(high) - 1e-6)
    return min(low, 0.0), high * 1.1


def _apart(ends: Sequence[tuple[float, float, str, str]]) -> list[float]:
    """The heights of labels, from the top, moved so that they do not lie over each other."""
    heights: list[float] = []
    for y, *_ in ends:
        heights.append(max(y, heights[-1] + 13) if heights else y)
    return [min(y, HEIGHT - BOTTOM - 13 * (len(heights) - 1 - i)) for i, y in enumerate(heights)]


def _span(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    edge = (high - low) * 0.04 or max(abs(high), 1.0) * 0.5
    return low - edge, high + edge


def _power(x: float) -> str:
    exponent = round(math.log10(x))
    return f"{x:g}" if -3 <= exponent <= 3 else "10" + str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _n(x: float) -> str:
    """A coordinate to a tenth of a pixel, as short as it can be written."""
    text = f"{x:.1f}" if abs(x) >= 1 else f"{x:.2f}".rstrip("0")
    return text.removesuffix(".0").removesuffix(".").replace("0.", ".", 1) if abs(x) < 1 else text.removesuffix(".0")


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
