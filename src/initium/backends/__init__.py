"""Backends: one protocol, ``fill(jobs)``, and the choice between them. A backend knows tensors, laws and keys; no modules.

``INITIUM_BACKEND=reference|scalar|avx2|avx512|neon|triton`` forces one, for tests and bug reports.
"""

from __future__ import annotations

from ._choose import backend_for, fill, fill_alone, fill_named
from ._protocol import Alike, Backend, Job, as_job

__all__ = ["Alike", "Backend", "Job", "as_job", "backend_for", "fill", "fill_alone", "fill_named"]
