"""The tokens that MCP servers call back with, by their digests."""

import asyncio
import hashlib
import hmac
from collections.abc import Sequence

from amodal_rt.clock import Clock
from amodal_rt.domain.remote_trigger import RemoteState, RemoteTrigger
from amodal_rt.errors import AmodalError
from amodal_rt.logs import Log
from amodal_rt.ports import RemoteTriggerLedger

REREAD_SECONDS = 1.0
"""How long a token that another node revoked may still open."""

_log = Log("triggers")


class CallbackTokens:
    """What stands in the ledger, and what this process alone knows so far.

    A server may call back before it has answered, and after an answer that could not be kept.
    """

    def __init__(self, ledger: RemoteTriggerLedger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock
        self._rows: tuple[RemoteTrigger, ...] = ()
        self._expected: dict[str, RemoteTrigger] = {}
        self._read_at: float | None = None
        self._reading = asyncio.Lock()

    async def find(self, token: str) -> RemoteTrigger | None:
        """Whose token it is: the trigger under its own key, or None. Raises UnavailableError
        when the ledger cannot say."""
        asked_at = self._clock.monotonic()
        digest = digest_of(token)
        await self._freshen(asked_at - REREAD_SECONDS)
        found = self._known(digest)
        if found is None:
            # Another node may have registered it a moment ago: its server calls back at once.
            await self._freshen(asked_at)
            found = self._known(digest)
        return found

    async def read(self) -> Sequence[RemoteTrigger]:
        """The rows of the ledger as they are now."""
        async with self._reading:
            return await self._read()

    def expect(self, trigger: RemoteTrigger) -> None:
        """Let its token in although the ledger does not know it."""
        self._expected[trigger.digest] = trigger

    def forget(self, digest: str) -> None:
        """Go by the ledger alone."""
        self._expected.pop(digest, None)

    def unsaved(self, automation: str, key: str) -> list[RemoteTrigger]:
        """What this process alone knows of one trigger."""
        return [each for each in self._expected.values() if each.place == (automation, key)]

    def _known(self, digest: str) -> RemoteTrigger | None:
        found = None
        # Every one is compared, each in constant time: how long it takes says nothing.
        for each in (*self._expected.values(), *self._rows):
            if hmac.compare_digest(each.digest, digest) and each.state is not RemoteState.FAILED:
                found = each
        return found

    async def _freshen(self, since: float) -> None:
        """Read the rows unless they were read later than that. Those who ask at the same time
        share one read: a flood of wrong tokens costs the ledger one at a time."""
        if self._is_read(since):
            return
        async with self._reading:
            if self._is_read(since):
                return
            try:
                await self._read()
            except AmodalError as error:
                if self._read_at is None:
                    raise
                # The callback will fail at its commit, or be good: both say more than a 401.
                _log.warning("trigger.tokens_not_read", error=error.message)

    def _is_read(self, since: float) -> bool:
        return self._read_at is not None and self._read_at > since

    async def _read(self) -> Sequence[RemoteTrigger]:
        began = self._clock.monotonic()
        self._rows = tuple(await self._ledger.remote_triggers())
        self._read_at = began
        return self._rows


def digest_of(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
