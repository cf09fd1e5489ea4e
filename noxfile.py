"""The test suite over the versions of torch and Python that are promised: ``nox`` runs all, ``nox -s newest`` one, CPU only.

A Python that is not installed is skipped (``nox --error-on-missing-interpreters`` to insist).
"""

from __future__ import annotations

import nox

OLDEST, PINNED, NEWEST = "2.6.0", "2.13.0", "2.15.0"
PYTHONS = ["3.10", "3.11", "3.12", "3.13"]

nox.options.default_venv_backend = "venv"
nox.options.error_on_missing_interpreters = False


def suite(session: nox.Session, torch: str) -> None:
    """Install initium with that torch and run the tests."""
    session.install(f"torch=={torch}", ".[test]")
    session.run("python", "-c", f"import torch; assert torch.__version__.split('+')[0] == {torch!r}, torch.__version__")
    session.run("pytest", "-n", "2", *session.posargs)


@nox.session(python="3.10")
def oldest(session: nox.Session) -> None:
    """The oldest torch on the oldest Python."""
    suite(session, OLDEST)


@nox.session(python="3.13")
def newest(session: nox.Session) -> None:
    """The newest torch on the newest Python."""
    suite(session, NEWEST)


@nox.session(python=PYTHONS)
def python(session: nox.Session) -> None:
    """The pinned torch on every Python."""
    suite(session, PINNED)


@nox.session(python=False)
@nox.parametrize("backend", ["reference", "scalar", "avx2", "avx512"])
def backends(session: nox.Session, backend: str) -> None:
    """The tests with each backend forced in turn, in the environment that nox itself runs in."""
    session.run("python", "-m", "pytest", "-n", "2", *session.posargs, env={"INITIUM_BACKEND": backend}, external=True)
