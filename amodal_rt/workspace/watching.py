"""Notices that something in the workspace changed, not what."""

import asyncio
import posixpath
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing

from watchfiles import (
    Change,
    awatch,  # pyright: ignore[reportUnknownVariableType]
)

from amodal_rt.clock import Clock
from amodal_rt.logs import Log, Spell
from amodal_rt.workspace.reading import DOTENV, ignored

_log = Log("workspace")

SWEEP_SECONDS = 2.0
"""How long a change may hide that the operating system does not report."""

MISSING_SECONDS = 0.2
"""How long a workspace that was missing may stay unnoticed."""

VANISHED_SECONDS = 0.05
"""How long to wait before a folder is looked for that vanished while it was to be watched."""
LOOKING_SHARE = 0.01
"""The share of a processor that sweeps may take: a large workspace is swept less often."""

Folders = Mapping[str, tuple[int, int]]
"""Absolute paths with device and inode: a folder that was made again is another one."""


async def watch_folders(
    folders: Callable[[], Folders],
    look: Callable[[], Awaitable[None]],
    *,
    clock: Clock,
    sweep_seconds: float = SWEEP_SECONDS,
) -> None:
    """Call `look` after every change in `folders()`, and every `sweep_seconds` or so.

    `folders()` is asked again after each look, and watched anew when it differs. Each folder
    is watched for itself: watching the tree from its root would report every write to the
    ledger. Runs until cancelled.
    """
    unwatched = Spell(_log, clock, event="workspace.not_watched", over="workspace.watched")
    while True:
        watched = dict(folders())
        # Where there is no folder at all, looking costs nothing.
        pause = sweep_seconds if watched else min(sweep_seconds, MISSING_SECONDS)
        try:
            if watched:
                await _watch(watched, folders, look, clock, sweep_seconds, unwatched.ended)
                continue
        except FileNotFoundError:
            # A folder vanished between the look and the watch.
            pause = min(sweep_seconds, VANISHED_SECONDS)
        except (OSError, RuntimeError) as error:
            # The system has no watch left: sweep instead.
            unwatched.failed(reason=str(error))
        except ExceptionGroup as group:
            # A name that is no UTF-8 cannot be reported: what else changed is looked for.
            if group.split((OSError, RuntimeError))[1] is not None:
                raise
            unwatched.failed(reason=str(group.exceptions[0]))
            pause = min(sweep_seconds, MISSING_SECONDS)
        await clock.sleep(pause)
        await look()


async def _watch(
    watched: Folders,
    folders: Callable[[], Folders],
    look: Callable[[], Awaitable[None]],
    clock: Clock,
    sweep_seconds: float,
    stands: Callable[[], None],
) -> None:
    """Watch until `folders()` is no longer what is watched; `stands` is called with each report."""
    batches = awatch(
        *watched,
        recursive=False,
        debounce=100,
        step=20,
        rust_timeout=round(sweep_seconds * 1000),
        yield_on_timeout=True,
        watch_filter=_matters,
        ignore_permission_denied=True,
    )
    async with aclosing(batches):
        upcoming = asyncio.ensure_future(anext(batches))
        try:
            # The watch stands once the task has run up to its first wait. What changed
            # between the last look and now was reported to nobody.
            await clock.sleep(0)
            while True:
                began = clock.monotonic()
                await look()
                ended = clock.monotonic()
                if folders() != watched:
                    return
                rest = (ended - began) / LOOKING_SHARE
                while not (batch := await upcoming) and clock.monotonic() < ended + rest:
                    upcoming = asyncio.ensure_future(anext(batches))
                stands()
                if any(path in watched for _, path in batch):
                    # Gone, or made again, perhaps with the very same inode: this watch is deaf.
                    await look()
                    return
                upcoming = asyncio.ensure_future(anext(batches))
        finally:
            upcoming.cancel()
            await asyncio.gather(upcoming, return_exceptions=True)


def _matters(change: Change, path: str) -> bool:
    """Whether a look may find anything new: editors' own files are none of ours.

    Names with two dots are the folders that Kubernetes swaps.
    """
    name = posixpath.basename(path)
    return name == DOTENV or name.startswith("..") or not ignored(name)
