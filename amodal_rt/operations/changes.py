"""Changed files on record: what the audit trail says of one and the file cannot come apart.

A file and the ledger cannot be changed together. So the ledger hears first what is about to be
done, and by the content of the file it is told apart afterwards whether it was.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from amodal_rt.clock import Clock
from amodal_rt.ids import Ids
from amodal_rt.ports import Caller, FactLedger, Intent
from amodal_rt.workspace.rewrite import Witness, read_whole

ABANDONED = timedelta(hours=1)
"""No file takes as long: what is older, nobody is at work on, wherever that was."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the audit trail is to say of a change."""

    action: str
    subject: str
    data: Mapping[str, object]


class Changes:
    """Has files changed so that every change is in the audit trail, with who made it.

    `place` names the state folder of this daemon and its host, `root` is the workspace.
    """

    def __init__(
        self, ledger: FactLedger, *, root: Path, place: str, clock: Clock, ids: Ids
    ) -> None:
        self._ledger = ledger
        self._root = root
        self._place = place
        self._clock = clock
        self._ids = ids

    async def make(
        self, caller: Caller, tell: Callable[[], Told], work: Callable[[Witness], Awaitable[T]]
    ) -> T:
        """Do `work`, which has its witness told right before it changes a file. `tell` is asked
        then, or afterwards where nothing had to be changed. Raises what `work` raises."""
        loop = asyncio.get_running_loop()
        made: list[Intent] = []

        def witness(file: str, before: bytes | None, after: bytes | None) -> None:
            intent = self._intent(caller, tell(), file, before, after)
            # Files are written in a thread of their own; the ledger belongs to the loop.
            asyncio.run_coroutine_threadsafe(self._ledger.intend(intent), loop).result()
            made.append(intent)

        try:
            result = await work(witness)
        except Exception:
            # The file may be changed all the same, as when its folder could not be made durable.
            for intent in made:
                await self._settle(intent)
            raise
        if made:
            await self._ledger.settle(made[0].id, data=made[0].data)
        else:
            told, now = tell(), self._clock.now()
            await self._ledger.audit(
                told.action, subject=told.subject, caller=caller, at=now, data=told.data
            )
        return result

    async def settle(self) -> None:
        """Put on record what was done when a daemon died before it could. Call before anything
        changes a file."""
        past = self._clock.now() - ABANDONED
        for intent in await self._ledger.intents():
            if intent.place == self._place or intent.at < past:
                await self._settle(intent)

    async def _settle(self, intent: Intent) -> None:
        now = _digest(read_whole(self._root / intent.file))
        if now == intent.after:
            data = intent.data
        elif now == intent.before:
            data = None
        else:
            # Somebody changed it since: it may have been done first.
            data = {**intent.data, "certain": False}
        await self._ledger.settle(intent.id, data=data)

    def _intent(
        self, caller: Caller, told: Told, file: str, before: bytes | None, after: bytes | None
    ) -> Intent:
        return Intent(
            id=self._ids.token(),
            action=told.action,
            subject=told.subject,
            caller=caller,
            at=self._clock.now(),
            data=told.data,
            file=file,
            before=_digest(before),
            after=_digest(after),
            place=self._place,
        )


def _digest(content: bytes | None) -> str | None:
    return None if content is None else hashlib.sha256(content).hexdigest()
