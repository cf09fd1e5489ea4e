"""Patterns over full names."""

from __future__ import annotations

import pytest

from initium import InitiumError
from initium._patterns import is_literal, matches

CASES = [
    ("head.*", "head.weight", True),
    ("head.*", "head.mlp.weight", False),
    ("head.*", "xhead.weight", False),
    ("*", "weight", True),
    ("*", "a.weight", False),
    ("**", "a.b.c", True),
    ("**.weight", "weight", True),
    ("**.weight", "a.b.weight", True),
    ("**.weight", "a.b.xweight", False),
    ("blocks.11.**", "blocks.11.attn.qkv.weight", True),
    ("blocks.1.**", "blocks.11.attn.qkv.weight", False),
    ("blocks.*.attn.**", "blocks.7.attn.qkv.weight", True),
    ("a.**.b", "a.b", True),
    ("a.**.b", "a.x.y.b", True),
    ("layer?.weight", "layer4.weight", True),
    ("layer[12].weight", "layer2.weight", True),
    ("layer[!12].weight", "layer2.weight", False),
    ("{q,k,v}_proj.weight", "k_proj.weight", True),
    ("{q,k,v}_proj.weight", "o_proj.weight", False),
    (r"re:.*\.(q|k)\.weight", "a.q.weight", True),
    (r"re:q", "qq", False),
    ("a+b.weight", "a+b.weight", True),
]


@pytest.mark.parametrize(("pattern", "name", "expected"), CASES)
def test_pattern(pattern: str, name: str, expected: bool) -> None:
    assert matches(pattern, name) is expected


def test_a_literal_matches_one_name_only() -> None:
    assert is_literal("layer.0.weight")
    assert not any(is_literal(p) for p in ("layer.*", "re:x", "a[1]", "{a,b}", "a?"))


@pytest.mark.parametrize("pattern", ["re:(", "{a,b", "a[z-a]b"])
def test_a_pattern_that_cannot_be_understood_is_quoted(pattern: str) -> None:
    with pytest.raises(InitiumError, match="pattern") as caught:
        matches(pattern, "x")
    assert repr(pattern)[1:-1] in str(caught.value)
