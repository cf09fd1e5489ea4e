"""SARIF: the essentials of the schema, the line, the tensor, and names that are hostile."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from torch import nn

import initium
from initium._audit.registry import checks
from initium._audit.render import rendered
from initium._audit.render.places import place_of
from initium._audit.report import Finding, NotRun, Report
from initium.cli import main

HOSTILE = "<script>alert(1)</script>\n\x1b[31m\"'&\u202e"


class Scale(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.empty(8))


def log_of(report: Report, least: str = "info") -> dict[str, Any]:
    """The log, checked against what the schema requires of it."""
    log = json.loads(rendered(report, "sarif", least))
    assert set(log) == {"$schema", "version", "runs"}
    assert log["version"] == "2.1.0"
    [run] = log["runs"]
    driver = run["tool"]["driver"]
    assert driver["name"] == "initium"
    ids = [rule["id"] for rule in driver["rules"]]
    assert len(set(ids)) == len(ids)
    for rule in driver["rules"]:
        assert rule["shortDescription"]["text"]
        assert rule.get("help", {"text": "made by hand"})["text"]
        assert rule.get("defaultConfiguration", {"level": "none"})["level"] in ("none", "note", "warning", "error")
    assert [isinstance(one["executionSuccessful"], bool) for one in run["invocations"]] == [True]
    for result in run["results"]:
        assert ids[result["ruleIndex"]] == result["ruleId"]
        assert result["level"] in ("note", "warning", "error")
        assert result["message"]["text"]
        assert all(isinstance(mark, str) and mark for mark in result["partialFingerprints"].values())
        [location] = result["locations"]
        assert location["logicalLocations"]
        if "physicalLocation" in location:
            artifact = location["physicalLocation"]["artifactLocation"]
            assert re.fullmatch(r"[A-Za-z0-9_.~%/:\-]+", artifact["uri"])
            assert artifact.get("uriBaseId", "SRCROOT") in run["originalUriBaseIds"]
            assert location["physicalLocation"].get("region", {"startLine": 1})["startLine"] >= 1
    return log


def test_a_finding_points_at_the_line_and_at_the_tensor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parent)
    [result] = log_of(initium.audit(Scale, level="weights"))["runs"][0]["results"]
    line = next(
        number
        for number, text in enumerate(Path(__file__).read_text("utf-8").splitlines(), 1)
        if "nn.Parameter(torch.e" in text
    )
    [location] = result["locations"]
    assert location["physicalLocation"] == {
        "artifactLocation": {"uri": "test_sarif.py", "uriBaseId": "SRCROOT"},
        "region": {"startLine": line},
    }
    assert location["logicalLocations"] == [{"name": "scale", "fullyQualifiedName": "scale", "kind": "member"}]
    assert (result["ruleId"], result["level"]) == ("U001", "error")


def test_the_path_is_relative_to_the_working_folder_however_python_found_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "src" / "my net").mkdir(parents=True)
    (tmp_path / "src" / "my net" / "model.py").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path / "src")
    for said in ("my net/model.py:7 __init__", "src/my net/model.py:7 __init__", f"{tmp_path}/src/my net/model.py:7 __init__"):
        place = place_of(said)
        assert place is not None
        assert place == ("src/my%20net/model.py", "SRCROOT", 7, "__init__")
    assert place_of("torch/nn/modules/linear.py:9 f") == ("torch/nn/modules/linear.py", "PYTHONPATH", 9, "f")
    assert place_of("/nowhere/at all.py:3 f") == ("file:///nowhere/at%20all.py", "", 3, "f")
    assert place_of("<stdin>:1 <module>") is None
    assert place_of(None) is None


def test_a_fingerprint_survives_other_indices_and_the_lines_above(monkeypatch: pytest.MonkeyPatch) -> None:
    def stack(n: int) -> nn.Module:
        return nn.Sequential(*(Scale() for _ in range(n)))

    def mark(n: int) -> str:
        [result] = log_of(initium.audit(lambda: stack(n), level="weights"))["runs"][0]["results"]
        return str(result["partialFingerprints"]["initium/v1"])

    assert mark(2) == mark(5)


def test_every_rule_says_what_its_page_says() -> None:
    made = Report("m", tuple(Finding(code, one.severity, "w", "m", "f") for code, one in checks().items()))
    rules = log_of(made)["runs"][0]["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == list(checks())
    for rule in rules:
        page = checks()[rule["id"]]
        assert page.summary in rule["help"]["text"]
        assert page.section("Use instead") in rule["help"]["markdown"]
        assert re.fullmatch(r"[A-Za-z0-9]+", rule["name"])


def test_hostile_names_stay_text() -> None:
    finding = Finding(
        "Z999", "warning", HOSTILE, f"it says {HOSTILE}", HOSTILE, f"{HOSTILE}:3 f", HOSTILE, (HOSTILE, "b"), "none", "x"
    )
    log = log_of(Report(HOSTILE, (finding,), not_run=(NotRun("F001", HOSTILE),)))
    run = log["runs"][0]
    [result] = run["results"]
    assert "\x1b" not in result["message"]["text"]
    assert "\n" not in result["message"]["text"]
    assert result["locations"][0]["logicalLocations"][0]["fullyQualifiedName"] == HOSTILE
    assert "\x1b" not in run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"]


def test_the_whole_model_what_failed_and_what_weighs_less() -> None:
    findings = (
        Finding("R001", "error", "", "the seed does not decide", "seed it"),
        Finding("K001", "info", "w", "odd", "look"),
    )
    report = Report("net:Net", findings, not_run=(NotRun("forward", "it raises", failed=True),))
    run = log_of(report, "warning")["runs"][0]
    [result] = run["results"]
    assert result["message"]["text"].startswith("the whole model: ")
    assert result["locations"][0]["logicalLocations"] == [{"name": "net:Net", "fullyQualifiedName": "net:Net", "kind": "type"}]
    assert run["invocations"][0]["executionSuccessful"] is False
    assert run["invocations"][0]["toolExecutionNotifications"][0]["level"] == "error"
    assert [one["level"] for one in log_of(report)["runs"][0]["results"]] == ["error", "note"]


def test_the_command_writes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "net_for_sarif.py").write_text(
        "import torch\nfrom torch import nn\n\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.w = nn.Parameter(torch.empty(3, 3))\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    done = CliRunner().invoke(main, ["audit", "net_for_sarif:Net", "--format", "sarif", "-o", "out.sarif", "--select", "U001"])
    assert done.exit_code == 1, done.output
    [result] = json.loads((tmp_path / "out.sarif").read_text("utf-8"))["runs"][0]["results"]
    assert result["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "net_for_sarif.py", "uriBaseId": "SRCROOT"},
        "region": {"startLine": 7},
    }
