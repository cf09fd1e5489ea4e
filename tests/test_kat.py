"""Known answers, by every backend this machine runs. The file is frozen: see tools/known_answers.py."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
import torch

from initium import _laws as laws
from initium import _stream as stream
from initium.backends import Backend, Job
from initium.backends.native import TARGETS, Native, native
from initium.backends.reference import Reference

HERE = Path(__file__).resolve().parent
VECTORS = HERE / "kat" / "vectors.txt"

_spec = importlib.util.spec_from_file_location("known_answers", HERE.parent / "tools" / "known_answers.py")
assert _spec is not None
assert _spec.loader is not None
known_answers = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(known_answers)


def lines(kind: str) -> list[tuple[str, list[str]]]:
    """What stands before and after the colon of the lines of one kind."""
    found = [line.rpartition(" : ") for line in VECTORS.read_text().splitlines() if line.startswith(kind + " ")]
    return [(before, after.split()) for before, _, after in found]


def values() -> list[tuple[str, laws.Law, str, str, int, str]]:
    """(name, law, its numbers, dtype, start, the answer) of every line that gives values."""
    result = []
    for line in VECTORS.read_text().splitlines():
        before, _, answer = line.rpartition(" : ")
        match before.split():
            case ["law", name, constructor, *arguments]:
                law = known_answers.law_of(constructor, *(float(x) for x in arguments))
                numbers = answer
            case ["value", dtype, start]:
                result.append((name, law, numbers, dtype, int(start), answer))
    return result


def backends() -> list[Backend]:
    natives = [native_or_none(name) for name in TARGETS]
    return [Reference(), *(backend for backend in natives if backend is not None)]


def native_or_none(name: str) -> Native | None:
    from initium import InitiumError

    try:
        return native(name)
    except InitiumError:
        return None


@pytest.mark.parametrize("backend", backends(), ids=lambda backend: backend.name)
class TestEveryBackend:
    def test_values(self, backend):
        found = values()
        assert len(found) == len(known_answers.LAWS) * len(known_answers.DTYPES) * len(known_answers.STARTS)
        for name, law, _, dtype, start, answer in found:
            out = torch.empty(len(answer.split()), dtype=known_answers.DTYPES[dtype])
            backend.fill([Job(out, law, known_answers.KEY, start)])
            assert known_answers.bits_of(out) == answer, (name, dtype, start)

    def test_words(self, backend):
        draw = backend.words if isinstance(backend, Native) else stream.words
        found = lines("words")
        assert len(found) == len(known_answers.STARTS)
        for before, answer in found:
            words = draw(known_answers.KEY, int(before.split()[1]), len(answer))
            assert [f"{word:08x}" for word in words.tolist()] == answer, before

    def test_philox_as_random123(self, backend):
        found = lines("philox")
        assert len(found) == 3
        for before, answer in found:
            c0, c1, c2, c3, k0, k1 = (int(x, 16) for x in before.replace("key", "").split()[1:])
            key, low = stream.Key(k0, k1, c2, c3), c0 | c1 << 32
            if isinstance(backend, Native):
                block = backend.block(low - low % 16, key)
                words = [block[16 * k + low % 16] for k in range(4)]
            else:
                words = [int(word) for word in stream.philox((torch.tensor([c0]), torch.tensor([c1])), key)]
            assert [f"{word:08x}" for word in words] == answer


def test_keys():
    found = lines("key")
    assert len(found) == len(known_answers.KEYS)
    decoder = json.JSONDecoder()
    for before, answer in found:
        seed, _, names = before.removeprefix("key ").partition(" ")
        tag, end = decoder.raw_decode(names)
        name = json.loads(names[end:])
        assert [f"{word:08x}" for word in stream.derive_key(int(seed), name, tag)] == answer, before


def test_laws_have_the_same_numbers():
    for name, law, numbers, *_ in values():
        assert f"{known_answers.kind_of(law)} {known_answers.numbers_of(law)}" == numbers, name


def test_the_file_is_what_the_tool_writes():
    assert VECTORS.read_text() == "\n".join(known_answers.vectors()) + "\n"


def test_a_wrong_answer_is_seen():
    _, law, _, _, start, answer = values()[0]
    out = torch.empty(len(answer.split()))
    Reference().fill([Job(out, law, known_answers.KEY, start + 1)])
    assert known_answers.bits_of(out) != answer
