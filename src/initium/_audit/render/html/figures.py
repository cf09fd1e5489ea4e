"""The figures, each an inline SVG that needs neither scripts nor network."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Sequence

from ...report import LayerNumbers, TensorNumbers
from .axis import Axis, log_axis, short
from .density import marchenko_pastur, planned
from .marks import esc
from .spectra import Spectrum

_MOST_POINTS = 1500
_ORDINAL = {2: "nd", 3: "rd"}
_BINS = 32
_W, _H = 240.0, 84.0  # of a small figure


def depth(layers: Sequence[LayerNumbers], number: Callable[[LayerNumbers], float | None], what: str) -> str:
    """A scale at each call of a layer, in order; what has no place on a log axis (0, ∞, NaN) is marked at its edge."""
    step = -(-len(layers) // _MOST_POINTS)
    shown = [(place, one, x) for place, one in enumerate(layers) if place % step == 0 and (x := number(one)) is not None]
    if not shown:
        return ""
    y = log_axis([x for *_, x in shown], 210, 16)
    x_axis = Axis(0, max(len(layers) - 1, 1), 58, 948)
    parts = [f'<svg class="depth" viewBox="0 0 960 236" role="img" tabindex="0" aria-label="{esc(what)}">']
    for tick in y.ticks():
        strong = ' class="one"' if tick == 1 else ""
        parts.append(
            f'<path{strong} d="M58 {y.at(tick)}H948"/><text x="50" y="{y.at(tick) + 4:g}" class="y">{short(tick)}</text>'
        )
    line = [(x_axis.at(place), y.at(x)) for place, _, x in shown if 0 < x < math.inf]
    parts.append(f'<path class="line" d="{_line(line)}"/>')
    for place, one, x in shown:
        odd = "" if 0 < x < math.inf else ' class="odd"'
        at = x_axis.at(place), y.at(x if not math.isnan(x) else math.inf)
        parts.append(
            f'<circle{odd} cx="{at[0]:g}" cy="{at[1]:g}" r="{3 if len(shown) < 160 else 2}">'
            f"<title>{esc(one.name or 'the model')} ({esc(one.kind)}): {short(x)}</title></circle>"
        )
    said = f"every {step}{_ORDINAL.get(step, 'th')} of {len(layers):,} calls" if step > 1 else ""
    parts.append(f'<text x="58" y="230">first call</text><text x="420" y="230">{said}</text>')
    parts.append('<text x="948" y="230" class="y">last</text></svg>')
    return "".join(parts)


def histogram(tensor: TensorNumbers) -> str:
    """The values that were kept, over the density that was planned; "" for a constant."""
    values = [x for x in tensor.sample if math.isfinite(x)]
    if len(values) < 2 or min(values) == max(values):
        return ""
    low, high = min(values), max(values)
    if tensor.planned_std and tensor.planned_mean is not None and math.isfinite(tensor.planned_std):
        wide = 1.73 * tensor.planned_std  # a plan that is far from the values is shown too
        low, high = min(low, tensor.planned_mean - wide), max(high, tensor.planned_mean + wide)
    label = f"histogram of {tensor.name}"
    return _bars(values, low, high, planned(tensor), label, min(max(round(1.4 * math.sqrt(len(values))), 6), _BINS))


def spectrum(one: Spectrum) -> str:
    """Singular values over the density of Marchenko and Pastur."""
    density, low, high = marchenko_pastur(one.short, one.long)
    ends = min(low, one.values[0]), max(high, one.values[-1])
    return _bars(one.values, ends[0], ends[1] * 1.02, density, f"singular values of {one.tensor.name}", 24)


def _bars(
    values: Sequence[float], low: float, high: float, density: Callable[[float], float] | None, label: str, bins: int
) -> str:
    width = (high - low) / bins
    if not 0 < width < math.inf:
        return ""
    counts = [0] * bins
    for x in values:
        counts[min(int((x - low) / width), bins - 1)] += 1
    heights = [count / (len(values) * width) for count in counts]
    curve = [density(low + width * (k + 0.5)) for k in range(bins)] if density else []
    top = max(max(heights), min(max(curve, default=0.0), 1.5 * max(heights)))
    step, lift = _W / bins, 62 / top  # 62 of the figure's units are for the highest bar
    steps = "".join([f"V{66 - lift * height:.1f}h{step:.4g}" for height in heights])
    line = "L".join([f"{step * (k + 0.5):.1f} {66 - lift * min(y, top):.1f}" for k, y in enumerate(curve)])
    over = f'<path class="plan" d="M{line}"/>' if curve else ""
    zero = f'<path class="zero" d="M{-low / width * step:.1f} 66v4"/>' if low < 0 < high else ""
    return (
        f'<svg class="bars" viewBox="0 0 {_W:g} {_H:g}" role="img" aria-label="{esc(label)}">'
        f'<path class="bar" d="M0 66{steps}V66Z"/>{over}<path class="base" d="M0 66H{_W:g}"/>{zero}'
        f'<text x="0" y="81">{short(low)}</text><text x="{_W:g}" y="81" class="y">{short(high)}</text></svg>'
    )


SCHEMES_IN = (("He", 2.0, 0.5), ("LeCun", 1.0, 0.5), ("torch", 1 / 3, 0.5), ("0.02", 0.0004, 0.0))
SCHEMES_BOTH = (("Xavier", 1.0, 0.5), ("0.02", 0.0004, 0.0))


def scale_map(tensors: Iterable[TensorNumbers], bad: Collection[str], *, both: bool) -> str:
    """Every tensor by its std against fan_in (or the mean of both fans), with what the common schemes give as lines."""
    points: dict[tuple[float, float, bool], list[str]] = {}
    placed: list[tuple[float, float, TensorNumbers]] = []
    for one in tensors:
        if one.std and one.fan_in and one.fan_out and math.isfinite(one.std):
            placed.append(((one.fan_in + one.fan_out) / 2 if both else one.fan_in, one.std, one))
    if not placed:
        return ""
    x_axis = log_axis([fan for fan, *_ in placed], 52, 452)
    lines = [(name, gain, power) for name, gain, power in (SCHEMES_BOTH if both else SCHEMES_IN)]
    ends = [math.sqrt(gain) / end**power for _, gain, power in lines for end in (x_axis.low, x_axis.high)]
    y = log_axis([*(std for _, std, _ in placed), *ends], 290, 14)
    for fan, std, one in placed:  # points that fall on each other are one
        at = (round(x_axis.at(fan) / 2) * 2, round(y.at(std) / 2) * 2, one.name in bad)
        points.setdefault(at, []).append(f"{one.name}: std {short(std)}, fans {one.fan_in:,} → {one.fan_out:,}")
    what = "mean of fan_in and fan_out" if both else "fan_in"
    parts = [f'<svg class="map" viewBox="0 0 510 332" role="img" aria-label="std against {what}">']
    for tick in y.ticks():
        parts.append(f'<path d="M52 {y.at(tick)}H452"/><text x="46" y="{y.at(tick) + 4:g}" class="y">{short(tick)}</text>')
    for tick in x_axis.ticks(5):
        parts.append(f'<path d="M{x_axis.at(tick)} 14V290"/><text x="{x_axis.at(tick)}" y="307" class="m">{short(tick)}</text>')
    label = -math.inf
    for name, gain, power in sorted(lines, key=lambda line: -line[1] / x_axis.high ** (2 * line[2])):
        a, b = (y.at(math.sqrt(gain) / end**power) for end in (x_axis.low, x_axis.high))
        label = max(b + 4, label + 14)  # below the label before it
        parts.append(f'<path class="scheme" d="M52 {a}L452 {b}"/><text class="name" x="456" y="{label:g}">{name}</text>')
    for (px, py, wrong), names in points.items():
        more = f"\n… and {len(names) - 6} more" if len(names) > 6 else ""
        size = round(min(3 + 0.8 * math.log2(len(names)), 8), 1)
        said = "\n".join(map(esc, names[:6])) + more
        parts.append(
            f'<circle{" class=odd" if wrong else ""} cx="{px:g}" cy="{py:g}" r="{size:g}"><title>{said}</title></circle>'
        )
    parts.append(f'<text x="252" y="328" class="m">{what}</text></svg>')
    return "".join(parts)


def _line(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join([f"{x:g} {y:g}" for x, y in points]) if points else ""
