"""How much of the same work a run does: `AMODAL_RT_RELIABILITY` is ci, full or soak."""

import os
from typing import TypeVar

T = TypeVar("T")

VARIABLE = "AMODAL_RT_RELIABILITY"
SCALES = ("ci", "full", "soak")


def scale() -> str:
    """The scale of this run; `ci`, about a third of the full form, unless said."""
    said = os.environ.get(VARIABLE) or "ci"
    if said not in SCALES:
        raise ValueError(f"{VARIABLE} is {said!r}: say one of {', '.join(SCALES)}")
    return said


def scaled(*, ci: T, full: T, soak: T) -> T:
    """The value for the scale of this run: bound by counts, so that a pass is the same work."""
    return {"ci": ci, "full": full, "soak": soak}[scale()]
