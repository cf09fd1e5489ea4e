"""Backends: one protocol, ``fill(jobs)``, and the choice between them. A backend knows tensors, laws and keys; no modules.

``INITIUM_BACKEND=reference|scalar|avx2|avx512|neon|triton`` forces one, for tests and bug reports.
"""

from __future__ import annotations

from ._choose import backend_for, fill
from ._protocol import Backend, Job, as_job

__all__ = ["Backend", "Job", "as_job", "backend_for", "fill"]
