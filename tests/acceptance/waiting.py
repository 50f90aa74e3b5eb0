"""Waiting for a condition, with an end."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(look: Callable[[], T | None], what: str, *, seconds: float = 20) -> T:
    """Look until the value is true, and return it. Fails with `what` and the last value."""
    deadline = time.monotonic() + seconds
    while True:
        value = look()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}; last: {value!r}"
        time.sleep(0.05)


def always(look: Callable[[], object], what: str, *, seconds: float) -> None:
    """Look again and again for a while: the value must stay true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert look(), f"did not stay so: {what}"
        time.sleep(0.05)
