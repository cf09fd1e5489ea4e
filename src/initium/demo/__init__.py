"""The demo: what a weight holds when nobody has filled it, and what that does to the training of a plain network.

``story.py`` tells it, ``starts.py`` has the five ways to begin, ``network.py`` and ``training.py`` the experiment,
``digits.py`` the data.
"""

from __future__ import annotations

from .story import Story, run

__all__ = ["Story", "run"]
