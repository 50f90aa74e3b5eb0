"""The bus, those who watch for it, and tokens."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice

from amodal_rt.domain.event import Event
from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.remote_trigger import RemoteTrigger
from amodal_rt.domain.run import RunStatus, SkippedReason, Start
from amodal_rt.domain.token import Token
from amodal_rt.errors import ConflictError, NotFoundError
from amodal_rt.ports import Act, Caller, RunRef
from amodal_rt.testing.ledger import values
from amodal_rt.testing.ledger.admission import admit
from amodal_rt.testing.ledger.facts import FactRows
from amodal_rt.testing.ledger.failures import FailureRows
from amodal_rt.testing.ledger.part import Part


class BusRows(FailureRows):
    """`ports.BusLedger` in memory."""

    async def emit(
        self,
        event: Event,
        *,
        step: str | None = None,
        parent: str | None = None,
        attempt: int = 1,
        term: int | None = None,
    ) -> bool:
        told: Mapping[str, object] = {"event_id": event.id, "type": event.type}

        def work() -> bool:
            cause = event.cause or ""
            if term is not None:
                self._require_held(cause, term)
            if not self._emit(event):
                return False
            if step is not None:
                self._require_run(cause)
                self.store.append(
                    cause,
                    EntryType.EVENT_EMITTED,
                    at=event.received_at,
                    attempt=attempt,
                    step=step,
                    parent=parent,
                    data=told,
                )
            return True

        return await self._write("emit", work)

    async def unmatched(self, *, limit: int) -> list[Event]:
        self._check_reach()
        return list(
            islice((row.event for row in self.store.events.values() if row.unmatched), limit)
        )

    async def match(
        self, event_id: str, *, starts: Sequence[Start], missed: int
    ) -> list[RunRef] | None:
        def work() -> list[RunRef] | None:
            row = self.store.events.get(event_id)
            if row is None or not row.unmatched:
                return None
            grown = replace(row, unmatched=False, missed=row.missed + missed)
            self.store.events.put(event_id, grown)
            return admit(self.store, starts)

        return await self._write("match", work)

    async def replay(
        self, event_id: str, *, starts: Sequence[Start], act: Act | None = None
    ) -> list[RunRef]:
        def work() -> list[RunRef]:
            row = self.store.events.get(event_id)
            if row is None:
                raise NotFoundError(f"no event {event_id}", code="event_not_found")
            self.store.events.put(event_id, replace(row, unmatched=False))
            self.store.note_act(act)
            return admit(self.store, [self._once(event_id, start) for start in starts])

        return await self._write("replay", work)

    def _once(self, event_id: str, start: Start) -> Start:
        """The start, ruled out when its automation has a run of the event."""
        if start.skip is not None:
            return start
        for ref in self.store.refs_of(event_id):
            if ref.automation == start.automation and ref.status is not RunStatus.SKIPPED:
                rule = f"the event started {ref.run_id}"
                return replace(start, skip=SkippedReason.DUPLICATE, rule=rule)
        return start


class RemoteTriggerRows(Part):
    """`ports.RemoteTriggerLedger` in memory."""

    async def remote_triggers(self) -> list[RemoteTrigger]:
        self._check_reach()
        return sorted(self.store.remote.values(), key=lambda each: (each.automation, each.key))

    async def set_remote_trigger(self, trigger: RemoteTrigger) -> None:
        stored = replace(
            trigger,
            connection=values.text(trigger.connection),
            type=values.text(trigger.type),
            params=dict(trigger.params),
            configured_at=values.instant(trigger.configured_at),
            error=values.maybe_text(trigger.error),
        )
        key = (trigger.automation, trigger.key)
        await self._write("set_remote_trigger", lambda: self.store.remote.put(key, stored))

    async def remove_remote_trigger(self, automation: str, key: str) -> None:
        await self._write(
            "remove_remote_trigger", lambda: self.store.remote.remove((automation, key))
        )


class TokenRows(FactRows):
    """`ports.TokenLedger` in memory."""

    async def tokens(self) -> list[Token]:
        self._check_reach()
        return sorted(self.store.tokens.values(), key=lambda each: (each.created_at, each.id))

    async def add_token(self, token: Token, *, caller: Caller) -> None:
        stored = replace(
            token,
            name=values.text(token.name),
            created_by=values.text(token.created_by),
            created_at=values.instant(token.created_at),
            revoked_at=values.maybe_instant(token.revoked_at),
        )
        scopes = sorted(scope.value for scope in token.scopes)

        def work() -> None:
            names = {each.name for each in self.store.tokens.values() if each.revoked_at is None}
            if stored.name in names:
                raise ConflictError(
                    f"there is a token named {token.name}",
                    code="token_exists",
                    hint="choose another name, or revoke that one first",
                )
            self.store.tokens.put(stored.id, stored)
            told = {"name": stored.name, "scopes": scopes}
            self.store.note("token.created", stored.id, caller, token.created_at, told)

        await self._write("add_token", work)

    async def revoke_token(self, id: str, *, caller: Caller, at: datetime) -> Token:
        wanted = values.text(id)

        def work() -> Token:
            same = [each for each in self.store.tokens.values() if wanted in (each.id, each.name)]
            if not same:
                raise NotFoundError(
                    f"no token {id}", code="token_not_found", hint="see `amodal-rt tokens list`"
                )
            found = max(
                same, key=lambda each: (each.id == wanted, not each.revoked_at, each.created_at)
            )
            if found.revoked_at is not None:
                return found
            ended = replace(found, revoked_at=values.instant(at))
            self.store.tokens.put(ended.id, ended)
            self.store.note("token.revoked", ended.id, caller, at, {"name": ended.name})
            return ended

        return await self._write("revoke_token", work)
