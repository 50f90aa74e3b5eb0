"""What a person approved is made here, once and without a model.

The ledger knows that a write begins before it leaves, and what became of it after. One that was
cut off in between is never made again: whether it happened is unknown, and somebody is told.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Protocol

from amodal_rt.clock import first_of
from amodal_rt.domain import parked
from amodal_rt.domain.automation import Lifecycle
from amodal_rt.domain.filter import Path
from amodal_rt.domain.parked import Around, Change, Edit, ParkedStatus, ParkedWrite
from amodal_rt.errors import AmodalError, DeniedError, InvalidError, UnavailableError
from amodal_rt.executors.acting.approved import Approved, Ready
from amodal_rt.executors.acting.gate import Answer, cut
from amodal_rt.executors.acting.session import Services
from amodal_rt.failpoints import hit
from amodal_rt.guardrails.untrusted import plain_line
from amodal_rt.logs import Log, Spell
from amodal_rt.ports import (
    FACTS,
    OUTBOX,
    PARKED,
    SNAPSHOT,
    Caller,
    Catalogue,
    Lease,
    NodeLedger,
    ParkedFilter,
    ParkedLedger,
    Signals,
    WriteMessages,
    journal_topic,
)

LOOK_SECONDS = 15.0
"""How often the ledger is looked at without being told."""
_LEASE_SECONDS = 0.05
_LAST_WORDS_SECONDS = 8.0
_MOST = 100

_RUNTIME = Caller(actor="runtime", door="runtime")
_log = Log("executors.acting")


class PerformingLedger(ParkedLedger, NodeLedger, Protocol):
    """What performing needs of the ledger."""


class ParkedWrites:
    """Performs what was approved, lets expire what nobody decided on, and settles what was cut
    off."""

    def __init__(
        self,
        services: Services,
        *,
        ledger: PerformingLedger,
        catalogue: Catalogue,
        messages: WriteMessages,
        signals: Signals,
        lease: Lease,
    ) -> None:
        self._services = services
        self._ledger = ledger
        self._catalogue = catalogue
        self._messages = messages
        self._signals = signals
        self._clock = services.clock
        self._lease = lease
        self._postponed = Spell(
            _log, services.clock, event="writes.postponed", over="writes.resumed"
        )
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._stopping = False

    async def run(self) -> None:
        """Go on until cancelled; returns by itself after `stop`."""
        listen = self._signals.listen
        with listen(PARKED) as parked_, listen(SNAPSHOT) as files, listen(FACTS) as facts:
            while not self._stopping:
                seconds = LOOK_SECONDS
                try:
                    if self._lease.held():
                        seconds = await self._look()
                        self._postponed.ended()
                except AmodalError as error:
                    self._postponed.failed(code=error.code, error=error.message)
                await first_of(parked_(), files(), facts(), self._clock.sleep(seconds))

    async def stop(self) -> None:
        """Begin nothing more, and let what has left come to its end for a few seconds."""
        self._stopping = True
        self._signals.notify(PARKED)
        await first_of(self._settled(), self._clock.sleep(_LAST_WORDS_SECONDS))
        for task in self._under_way.values():
            task.cancel()

    async def _settled(self) -> None:
        if self._under_way:
            await asyncio.wait(set(self._under_way.values()))

    async def checked(self, write: ParkedWrite, call: Mapping[str, object]) -> Edit | None:
        """The edited call of a parked write, judged as any other by the files as they are; None
        where it is what was parked. Raises AmodalError for why it may not be made."""
        if parked.same_call(call, write.call):
            return None
        if call.get("connection") != write.connection or ("tool" in call) != ("tool" in write.call):
            raise InvalidError(
                f"an edited call goes over {write.connection} as before", code="bad_call"
            )
        if self._services.redactor.mask_document(dict(call)) != call:
            raise InvalidError(
                "the call holds a secret, and what waits for a person is kept without any",
                code="secret_in_call",
            )
        snapshot, environment = self._catalogue.snapshot(), self._catalogue.environment()
        edited = replace(write, call=call)
        ready = await Approved(edited, self._services, snapshot, environment).prepare()
        return Edit(call=call, label=ready.label)

    def pinned(self, write: ParkedWrite) -> Mapping[Path, str]:
        """As `Approved.pinned`, by the files as they are."""
        snapshot, environment = self._catalogue.snapshot(), self._catalogue.environment()
        return Approved(write, self._services, snapshot, environment).pinned()

    async def _look(self) -> float:
        """One round; how many seconds until the next is due."""
        now = self._clock.now()
        for each in await self._ledger.lost_parked(list(self._under_way)):
            text = "the daemon ended while it was made; whether it happened is unknown"
            await self._end(each, ParkedStatus.UNKNOWN, {"error": text})
        late = ParkedFilter(expired_by=now, limit=_MOST)
        for each in await self._ledger.list_parked(late):
            await self._expire(each)
        waiting = ParkedFilter(statuses={ParkedStatus.OPEN}, limit=_MOST)
        for each in reversed(await self._ledger.list_parked(waiting)):
            if not each.told:
                await self._ask(each)
        approved = ParkedFilter(statuses={ParkedStatus.APPROVED}, limit=_MOST)
        for each in reversed(await self._ledger.list_parked(approved)):
            if each.write_id not in self._under_way and not self._stopping:
                self._begin(each)
        next_at = await self._ledger.next_expiry()
        left = LOOK_SECONDS if next_at is None else (next_at - now) / timedelta(seconds=1)
        return min(max(left, 0.05), LOOK_SECONDS)

    async def _ask(self, write: ParkedWrite) -> None:
        """Tell those whom the automation names that it waits, as its file has it now."""
        now, state = self._clock.now(), self._catalogue.snapshot().automations.get(write.automation)
        definition = state.definition if state else None

        def rule(found: ParkedWrite, _: Around) -> Change | None:
            return parked.asked(found, self._messages.asking(found, definition, now))

        rule_on = self._ledger.rule_on_parked
        asked = await rule_on(write.write_id, rule, caller=_RUNTIME, at=now)
        if asked is not None:
            self._signals.notify(OUTBOX)

    async def _expire(self, write: ParkedWrite) -> None:
        now = self._clock.now()
        rule = self._ledger.rule_on_parked
        await rule(write.write_id, lambda it, _: parked.expired(it, now), caller=_RUNTIME, at=now)
        self._told(write)

    def _begin(self, write: ParkedWrite) -> None:
        task = asyncio.create_task(self._perform(write), name=write.write_id)
        self._under_way[write.write_id] = task

        def done(ended: "asyncio.Task[None]") -> None:
            self._under_way.pop(write.write_id, None)
            if not ended.cancelled() and (error := ended.exception()) is not None:
                _log.exception("write.lost", error, write=write.write_id)

        task.add_done_callback(done)

    async def _perform(self, write: ParkedWrite) -> None:
        snapshot, environment = self._catalogue.snapshot(), self._catalogue.environment()
        definition = snapshot.find(write.automation)
        if definition is not None and definition.automation.status is Lifecycle.PAUSED:
            return
        try:
            ready = await Approved(write, self._services, snapshot, environment).prepare()
        except UnavailableError as error:
            _log.warning("write.waits", write=write.write_id, error=error.message)
            return
        except AmodalError as error:
            await self._end(write, ParkedStatus.REFUSED, {"error": self._said(error)})
            return
        # Getting ready may have taken long: another node may be at it by now.
        if not self._lease.held():
            return
        node = await self._noted(write)
        if node is None:
            return
        if not await self._is_ours(node):
            # Begun under a life that is over, it is for the next look to settle.
            self._signals.notify(PARKED)
            return
        status, outcome = await self._made(ready)
        await self._end(write, status, outcome)

    async def _noted(self, write: ParkedWrite) -> str | None:
        """The life of this node in whose name it is on record that it begins; None where it may
        not, or is not what was made ready."""
        now, node = self._clock.now(), self._ledger.node_id
        misfits: list[str] = []

        def rule(found: ParkedWrite, around: Around) -> Change | None:
            misfits[:] = [around.misfit] if around.misfit else []
            return parked.begun(found, node, now, around) if _same(found, write) else None

        begun = await self._ledger.rule_on_parked(write.write_id, rule, caller=_RUNTIME, at=now)
        if misfits:
            said = f"it is not what was approved: {misfits[0]}"
            await self._end(write, ParkedStatus.REFUSED, {"error": said})
        return node if begun is not None else None

    async def _is_ours(self, node: str) -> bool:
        """Whether this node still goes on under the life in whose name the write has begun, once
        it can tell. Else whoever took over has it as one of which nobody knows."""
        while not self._lease.held():
            await self._clock.sleep(_LEASE_SECONDS)
        return self._ledger.node_id == node

    async def _made(self, ready: Ready) -> tuple[ParkedStatus, Mapping[str, object]]:
        hit("parked.before_perform")
        try:
            async with self._clock.deadline(ready.seconds):
                answer = await ready.perform()
        except TimeoutError:
            return ParkedStatus.UNKNOWN, {"error": f"no answer within {ready.seconds:g} seconds"}
        except DeniedError as error:
            # The guard stopped it before anything was sent.
            return ParkedStatus.FAILED, {"error": self._said(error)}
        except AmodalError as error:
            return ParkedStatus.UNKNOWN, {"error": self._said(error)}
        except OSError as error:
            text = plain_line(str(error) or type(error).__name__, 300)
            return ParkedStatus.UNKNOWN, {"error": text}
        hit("parked.after_perform")
        return self._answered(answer)

    def _answered(self, answer: Answer) -> tuple[ParkedStatus, Mapping[str, object]]:
        text = cut(self._services.redactor.mask(answer.text))
        if answer.ok:
            return ParkedStatus.PERFORMED, {**answer.facts, "result": text}
        return ParkedStatus.FAILED, {**answer.facts, "error": text}

    async def _end(
        self, write: ParkedWrite, status: ParkedStatus, outcome: Mapping[str, object]
    ) -> None:
        """Put on record what became of it, with what that owes; tried until the ledger answers:
        else it would count as unknown."""
        now = self._clock.now()
        snapshot = self._catalogue.snapshot()
        state = snapshot.automations.get(write.automation)
        definition = state.definition if state else None

        def rule(found: ParkedWrite, _: Around) -> Change | None:
            said = self._messages.of_write(
                found, status, str(outcome.get("error", "")), definition, snapshot.settings, now
            )
            return parked.ended(found, status, outcome, now, said)

        while True:
            try:
                await self._ledger.rule_on_parked(write.write_id, rule, caller=_RUNTIME, at=now)
                break
            except UnavailableError as error:
                _log.error("write.ledger_waits", write=write.write_id, error=error.message)
                await self._clock.sleep(0.5)
        level = _log.info if status is ParkedStatus.PERFORMED else _log.warning
        level(f"write.{status}", write=write.write_id, run=write.run_id)
        self._told(write)

    def _told(self, write: ParkedWrite) -> None:
        for topic in (PARKED, OUTBOX, journal_topic(write.run_id)):
            self._signals.notify(topic)

    def _said(self, error: AmodalError) -> str:
        text = error.message + (f" ({error.hint})" if error.hint else "")
        return plain_line(self._services.redactor.mask(text), 500)


def _same(found: ParkedWrite, write: ParkedWrite) -> bool:
    """Whether what is found would leave as what was looked at."""
    same = replace(found, told=write.told, links=write.links) == write
    return same and parked.same_call(found.call, write.call)
