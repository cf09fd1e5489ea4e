"""The page: self-contained, escaped, its ids unique, its numbers true, small and quick; and alive in a browser, where there is one."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
import time
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import initium
from initium._audit.render import rendered
from initium._audit.render.html import fragment
from initium._audit.render.html.axis import log_axis, short
from initium._audit.render.html.density import marchenko_pastur, planned
from initium._audit.render.html.spectra import MOST, spectra
from initium._audit.report import Finding, LayerNumbers, Measured, NotRun, Report, TensorNumbers

HOSTILE = "</script><script>document.title='owned'</script>\n\x1b[31m\"'&<img src=x onerror=alert(1)>\u202e"
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(32)
        self.up = nn.Linear(32, 64)
        self.down = nn.Linear(64, 32)
        nn.init.trunc_normal_(self.up.weight, std=0.2, a=-0.4, b=0.4)
        nn.init.orthogonal_(self.down.weight)
        self.gate = nn.Parameter(torch.empty(32))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.down(torch.relu(self.up(self.norm(x))))


def stack(n: int) -> nn.Module:
    return nn.Sequential(*(Block() for _ in range(n)))


@pytest.fixture(scope="module")
def report() -> Report:
    return initium.audit(lambda: stack(3), torch.randn(4, 32, generator=torch.Generator().manual_seed(0)), label="a stack")


class Read(HTMLParser):
    """Tags, ids and what could reach outside."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.outside: list[tuple[str, str, str | None]] = []
        self.links: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(str(value))
            if name == "href" and str(value).startswith("#"):
                self.links.append(str(value)[1:])
            elif name in ("src", "href", "srcset", "action", "data", "xlink:href", "poster") or name.startswith("on"):
                self.outside.append((tag, name, value))


def hostile() -> Report:
    findings = tuple(
        Finding(code, severity, HOSTILE, HOSTILE, HOSTILE, f"{HOSTILE}:3 f", HOSTILE, (HOSTILE, "b"), "none", "x")
        for code, severity in (("U001", "error"), (HOSTILE, "warning"), ("U001", "error"))
    )
    values = tuple(i / 50 for i in range(-50, 50))
    tensors = tuple(
        TensorNumbers(
            name, (4, 4), HOSTILE, HOSTILE, False, 0.0, 0.5, 1.8, -1, 1, 0, 4, 4, HOSTILE, "normal", 0, 0.5, sample=values
        )
        for name in (HOSTILE, "b", "c")
    )
    layers = tuple(LayerNumbers(HOSTILE, HOSTILE, rms, 0, 1, rms) for rms in (1.0, math.inf, 0.0, math.nan, 1e-300))
    return Report(HOSTILE, findings, ((HOSTILE, HOSTILE),), (NotRun(HOSTILE, HOSTILE),), Measured(tensors, layers, 3, HOSTILE))


@pytest.mark.parametrize("made", ["real", "hostile", "empty"])
def test_a_page_needs_nothing_from_outside_and_obeys_no_name(made: str, report: Report) -> None:
    one = {"real": report, "hostile": hostile(), "empty": Report("nothing", ())}[made]
    for page in (rendered(one, "html"), fragment(one)):
        read = Read(page)
        assert not read.outside
        assert "url(" not in page
        assert "@import" not in page
        assert not re.search(r"\b(fetch|XMLHttpRequest|import)\s*\(", page)
        assert not re.search(r"https?://", re.sub(r"<pre>.*?</pre>", "", page, flags=re.DOTALL))
        assert read.tags.count("script") == (1 if page.startswith("<!doctype") else 0)
        assert "img" not in read.tags
        assert "\x1b" not in page
        assert "\u202e" not in page
        assert len(set(read.ids)) == len(read.ids)
        assert set(read.links) <= set(read.ids)
    assert "default-src 'none'" in rendered(one, "html")


def test_findings_come_first_and_are_counted_in_words(report: Report) -> None:
    page = rendered(report, "html")
    assert page.index("parameter never filled") < page.index("Scale through the network") < page.index("Values over their plan")
    assert ">1 error" in page
    assert 'id="U001-0.gate"' in page or 'id="U001-_0..2_.gate"' in page
    assert f"{len(report.passed)} checks passed" in page
    assert "not run" not in rendered(Report("m", ()), "html")


def test_what_weighs_less_is_left_out_and_said() -> None:
    findings = (Finding("Z001", "error", "a", "m", "f"), Finding("Z002", "info", "b", "a small thing", "f"))
    assert "a small thing" in rendered(Report("m", findings), "html", "info")
    page = rendered(Report("m", findings), "html", "warning")
    assert "a small thing" not in page
    assert "1 finding more, not shown here" in page


def test_every_layer_and_every_weight_is_in_the_figures(report: Report) -> None:
    page = rendered(report, "html")
    for one in report.measured.layers:
        assert page.count(f"<title>{one.name} ({one.kind}): {short(one.rms)}</title>") >= 1
    for one in report.measured.tensors:
        assert f'data-find="{one.name}"' in page
        if one.fan_in and one.std:
            assert f"{one.name}: std {short(one.std)}, fans {one.fan_in:,} → {one.fan_out:,}" in page


def test_a_notebook_shows_the_same_figures(report: Report) -> None:
    page, shown = rendered(report, "html"), report._repr_html_()
    figures = re.compile(r"<svg.*?</svg>", re.DOTALL)
    assert figures.findall(page)
    assert figures.findall(page) == figures.findall(shown)
    assert "<script" not in shown


def integral(density: object, low: float, high: float, power: int = 0) -> float:
    assert callable(density)
    n = 20_000
    step = (high - low) / n
    return float(sum(density(x) * x**power for x in (low + step * (i + 0.5) for i in range(n)))) * step


@pytest.mark.parametrize("kind", ["normal", "uniform", "truncated"])
def test_a_planned_density_has_its_mass_mean_and_std(kind: str) -> None:
    def built() -> nn.Module:
        made = nn.Linear(64, 64)
        if kind == "normal":
            nn.init.normal_(made.weight, 0.5, 2.0)
        elif kind == "uniform":
            nn.init.uniform_(made.weight, -1.0, 3.0)
        else:
            nn.init.trunc_normal_(made.weight, 0.0, 1.0, -1.5, 1.5)
        return made

    weight = initium.audit(built, level="weights").measured.tensors[0]
    assert weight.planned_kind == kind
    assert weight.planned_mean is not None
    assert weight.planned_std is not None
    density = planned(weight)
    low, high = weight.planned_mean - 8 * weight.planned_std, weight.planned_mean + 8 * weight.planned_std
    assert integral(density, low, high) == pytest.approx(1, abs=2e-3)
    assert integral(density, low, high, 1) == pytest.approx(weight.planned_mean, abs=5e-3)
    spread = integral(density, low, high, 2) - weight.planned_mean**2
    assert math.sqrt(spread) == pytest.approx(weight.planned_std, rel=5e-3)


@pytest.mark.parametrize(("short_", "long"), [(32, 32), (16, 64), (64, 65)])
def test_marchenko_and_pasturs_density_has_mass_1_and_second_moment_1(short_: int, long: int) -> None:
    density, low, high = marchenko_pastur(short_, long)
    assert integral(density, low, high) == pytest.approx(1, abs=5e-3)
    assert integral(density, low, high, 2) == pytest.approx(1, abs=5e-3)


def test_spectra_of_an_orthogonal_matrix_are_a_spike_and_of_a_random_one_lie_in_the_band() -> None:
    model = nn.Sequential(nn.Linear(256, 512, bias=False), nn.Linear(512, 192, bias=False), nn.Linear(1000, 400, bias=False))
    torch.manual_seed(0)
    nn.init.orthogonal_(model[0].weight)
    nn.init.orthogonal_(model[1].weight)
    nn.init.normal_(model[2].weight)
    one, two, three = spectra(initium.audit(model, level="weights"))
    for spike in (one, two):  # rows were left out, and the rest is orthogonal still
        assert spike.short < spike.of
        assert min(spike.values) == pytest.approx(1, abs=0.02)
        assert max(spike.values) == pytest.approx(1, abs=0.02)
    _, low, high = marchenko_pastur(three.short, three.long)
    assert low - 0.05 < min(three.values) < max(three.values) < high + 0.05  # Tracy-Widom: beyond with probability < 1e-6
    assert len(spectra(initium.audit(lambda: stack(40), level="weights"))) == MOST


def test_axes_hold_what_they_are_given() -> None:
    axis = log_axis([0.0, 3e-3, 4.0, math.inf, math.nan], 100, 0)
    assert axis.low < 3e-3 < 4.0 < axis.high
    assert axis.at(math.inf) == 0
    assert axis.at(0.0) == 100
    assert axis.ticks() == pytest.approx([0.01, 0.1, 1.0])
    assert log_axis([], 0, 1).ticks()
    assert [short(x) for x in (0.02, -0.5, 0.0, 1.0, 1.2e-6, 12345.6, math.inf, None)] == [
        ".02",
        "−.5",
        "0",
        "1",
        "1.2e−6",
        "12,346",
        "∞",
        "–",
    ]


def test_a_model_of_400_layers_takes_under_3_megabytes_and_a_second(report: Report) -> None:
    """200 blocks of two linear layers and a norm: the numbers of three blocks, again and again. CPU time: the machine may be busy."""
    m = report.measured

    def again(one: Any) -> list[Any]:
        place, _, rest = one.name.partition(".")
        return [replace(one, name=f"{block}.{rest}") for block in range(int(place), 200, 3)]

    tensors = tuple(copy for one in m.tensors for copy in again(one))
    layers = tuple(copy for one in m.layers for copy in again(one))
    assert (len(tensors), len(layers)) == (200 * 7, 600)
    big = Report("big", report.findings, measured=replace(m, tensors=tensors, layers=layers), model=stack(200))
    times = []
    for _ in range(3):
        start = time.process_time()
        page = rendered(big, "html")
        times.append(time.process_time() - start)
    assert len(page.encode()) < 3e6
    assert min(times) < 1.0


def test_many_layers_and_tensors_stay_bounded() -> None:
    values = tuple(i / 50 for i in range(-50, 50))
    tensors = tuple(
        TensorNumbers(f"m{i}x.weight", (4, 4), "float32", "weight", False, 0.0, 0.5, 1.8, -1, 1, 0, 4, 4, sample=values)
        for i in range(5000)
    )
    layers = tuple(LayerNumbers(f"m{i}x", "Linear", 1.0, 0, 1, 1.0) for i in range(20_000))
    page = rendered(Report("many", (), measured=Measured(tensors, layers, 80_000)), "html")
    assert len(page) < 3e6
    assert "3,800 more tensors not drawn" in page
    assert "every 14th of 20,000 calls" in page


@pytest.mark.skipif(BROWSER is None, reason="no Chromium")
def test_the_page_lives_in_a_browser(tmp_path: Path, report: Report) -> None:
    assert BROWSER is not None
    script = (
        "<script>const all=(w)=>[...document.querySelectorAll(w)];const said=[];"
        "addEventListener('load',()=>{"
        "said.push(document.activeElement.id);"
        "const box=document.querySelector('input[type=search]');box.value='down';box.dispatchEvent(new Event('input'));"
        "said.push(all('figure').filter(f=>!f.hidden).every(f=>f.dataset.find.includes('down')));"
        "said.push(all('.check').every(c=>c.hidden));"
        "box.value='';box.dispatchEvent(new Event('input'));"
        "const e=document.querySelector('.tools input[value=error]');e.click();"
        "said.push(all('.check.error').every(c=>c.hidden));e.click();"
        "document.querySelector('.theme').click();said.push(document.body.dataset.theme);"
        "const d=document.querySelector('svg.depth');d.dispatchEvent(new KeyboardEvent('keydown',{key:'ArrowRight'}));"
        "said.push(document.querySelector('.said').textContent);"
        "said.push(document.documentElement.scrollWidth<=innerWidth);"
        "const p=document.createElement('p');p.id='said';p.textContent=JSON.stringify(said);document.body.append(p)})</script>"
    )
    dark = run(tmp_path, rendered(report, "html") + script, "#U001-1.gate")
    finding = next(one for one in Read(rendered(report, "html")).ids if one.startswith("U001"))
    assert dark == f'["{finding}",true,true,true,"dark","0.norm (LayerNorm): 1",true]'
    title = "const p=document.createElement('p');p.id='said';p.textContent=document.title.slice(-15);document.body.append(p)"
    assert run(tmp_path, rendered(hostile(), "html") + f"<script>{title}</script>", "") == "· initium audit"


def run(folder: Path, page: str, mark: str) -> str:
    """What the page wrote into #said, at the width of a phone."""
    (folder / "page.html").write_text(page, "utf-8")
    done = subprocess.run(
        [
            *(
                str(BROWSER),
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--window-size=390,900",
                f"--user-data-dir={folder}/user",
            ),
            *("--dump-dom", f"{(folder / 'page.html').as_uri()}{mark}"),
        ],
        capture_output=True,
        timeout=90,
        check=False,
    )
    found = re.search(r'<p id="said">(.*?)</p>', done.stdout.decode("utf-8", "replace"))
    assert found is not None, done.stderr.decode("utf-8", "replace")[-500:]
    return found[1]
