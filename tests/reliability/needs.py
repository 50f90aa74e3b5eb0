"""Tools that a layer works with. Where one is missing the layer is skipped, and seen to be;
where the run must be whole (`AMODAL_RT_RELIABILITY_WHOLE=1`), it fails."""

import os
import shutil
from collections.abc import Iterable

import pytest

WHOLE = "AMODAL_RT_RELIABILITY_WHOLE"


def missing(what: str) -> None:
    """Skip or fail, as the run wants it: `what` cannot be had here."""
    if os.environ.get(WHOLE) == "1":
        pytest.fail(f"{what}: this run must be whole", pytrace=False)
    pytest.skip(what)


def need_tools(names: Iterable[str], *, hint: str = "") -> None:
    """Every program in `names` must be on the path."""
    gone = [name for name in names if shutil.which(name) is None]
    if gone:
        missing(f"{', '.join(gone)} not found{f' ({hint})' if hint else ''}")


def need_root(why: str) -> None:
    """Some faults are only for root to make."""
    if os.geteuid() != 0:
        missing(f"not root: {why}")
