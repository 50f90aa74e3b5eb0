"""What a script is fed with, and how that can end."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

Function = Callable[..., Awaitable[object]]


@dataclass(slots=True, kw_only=True)
class Feed:
    """One script on its way through a sandbox. `printed` and `calls` grow as it runs.

    `now` is what its clock shows; `seconds` bounds the time that it computes itself.
    """

    source: str
    names: Mapping[str, object]
    functions: Mapping[str, Function]
    seconds: float
    now: datetime
    printed: list[str] = field(default_factory=list[str])
    calls: int = 0


class FaultError(Exception):
    """The script ended by an error: `message` begins with its type, `line` counts from 1 within
    the script."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


class TooMuchError(FaultError):
    """The script went over a limit."""


class OverdueError(Exception):
    """The script computed for longer than it may."""


class CrashedError(Exception):
    """The worker ended, and the script with it."""


class Sandbox(Protocol):
    """Workers for scripts."""

    async def feed(self, feed: Feed) -> object:
        """The value of the last expression. Raises FaultError, OverdueError, CrashedError, and
        what a function raised that the script is not told."""
        ...

    async def close(self) -> None:
        """End every worker."""
        ...
