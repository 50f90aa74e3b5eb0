"""The one place that every tool call of every agent passes.

A tool only says what a call would do; whether it may, what is written down before and after,
and how it is bounded, is decided here and nowhere else.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from pydantic import ValidationError

from amodal_rt import failpoints
from amodal_rt.clock import AHEAD
from amodal_rt.domain.connection import Intent
from amodal_rt.domain.journal import Entry, EntryType
from amodal_rt.errors import AmodalError, DeniedError, UnavailableError
from amodal_rt.executors.acting.parking import Parking, park_call
from amodal_rt.executors.acting.past import gap
from amodal_rt.executors.acting.session import Session
from amodal_rt.executors.acting.tainting import note_answer, tell_sources
from amodal_rt.guardrails.untrusted import plain_line
from amodal_rt.guardrails.write_grants import Granted
from amodal_rt.guardrails.writes import Decision, Verdict
from amodal_rt.logs import Log

RESULT_CHARACTERS = 20_000
"""How much of a tool's answer a model is shown."""

_LEASE_SECONDS = 0.05
_COUNTED = frozenset({EntryType.WRITE_STARTED, EntryType.WRITE_PARKED})
_UNKNOWN = "whether the write happened is unknown: do not repeat it, look first"

_log = Log("executors.acting")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a tool gave back. `facts` go to the journal beside the text; `known` is False when
    nobody can tell whether the effect happened."""

    text: str
    ok: bool = True
    known: bool = True
    facts: Mapping[str, object] = field(default_factory=dict[str, object])


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """A call behind the gate: in words, whether it did what was asked, and the facts of its
    answer, of an earlier attempt's where its outcome stood in the journal."""

    told: str
    ok: bool = False
    facts: Mapping[str, object] = field(default_factory=dict[str, object])
    recalled: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallKey:
    """Who calls: the step in the journal, and a key that is the same for every attempt."""

    step: str
    idempotency_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a call would do, judged but not done. `perform` is called only when it may; `parking`
    is what is kept where a person decides."""

    decision: Decision
    perform: Callable[[CallKey], Awaitable[Answer]]
    seconds: float | None = None
    facts: Mapping[str, object] = field(default_factory=dict[str, object])
    parking: Parking | None = None


def allowed(reason: str = "the runtime's own tool", rule: str = "built-in") -> Decision:
    """The decision on a tool that reaches nothing outside."""
    return Decision(verdict=Verdict.ALLOW, intent=Intent.READ, reason=reason, rule=rule)


def cut(text: str, limit: int = RESULT_CHARACTERS) -> str:
    """`text`, or its beginning with a note."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]}\n(cut: {limit:,} of {len(text):,} characters are shown)"


async def pass_gate(
    session: Session,
    name: str,
    arguments: Mapping[str, object],
    call_id: str,
    prepare: Callable[[], Wish],
    recalled: Callable[[str], None],
) -> str:
    """Judge, write down, perform and bound one call; the text is what the model is told.

    A refusal or failure is an answer too, never an exception: the model goes on. A call whose
    outcome stands in the journal is answered from there; `recalled` is told of its step.
    """

    async def prepared() -> Wish:
        return prepare()

    passed = await make_call(session, name, arguments, call_id, prepared)
    if passed.recalled is not None:
        recalled(passed.recalled)
    return passed.told


async def make_call(
    session: Session,
    name: str,
    arguments: Mapping[str, object],
    call_id: str,
    prepare: Callable[[], Awaitable[Wish]],
) -> Passed:
    """The same for who wants more than words. `prepare` is not asked where the outcome stands in
    the journal."""
    call = _Call(session, name, arguments, session.step(call_id))
    before = call.before()
    if before is not None:
        return before
    try:
        wish = await prepare()
    except DeniedError as error:
        return await call.denied(error.message, error.code, error.hint)
    except (AmodalError, ValidationError) as error:
        return await call.failed(_sentence(error))
    if wish.decision.verdict is Verdict.PARK and wish.parking is not None:
        return await call.park(wish, wish.parking)
    if not wish.decision.allowed:
        return await call.denied(wish.decision.reason, wish.decision.rule)
    if wish.decision.intent is Intent.WRITE:
        return await call.write(wish)
    return await call.read(wish)


class _Call:
    def __init__(
        self, session: Session, name: str, arguments: Mapping[str, object], step: str
    ) -> None:
        self._session = session
        self._step = step
        # A sub-agent's calls hang below its own dispatch, an agent's below its turn.
        self._parent = session.turn[-1] if session.turn else session.parent
        self._name = name
        self._facts: dict[str, object] = {
            "tool": name,
            "arguments": _cut_document(session, arguments),
        }
        run_id = session.context.run.run_id
        self._wished: Mapping[str, object] = {}
        self._key = CallKey(step=step, idempotency_key=f"{run_id}:{step}")

    def before(self) -> Passed | None:
        """What an earlier attempt was told of this call. Raises ConflictError (`journal_gap`)."""
        session = self._session
        call = session.past.calls.get((self._parent, self._step))
        if call is not None:
            if call.data.get("tool") != self._name:
                raise gap(f"the call {self._step} was another one")
            session.effects.recall(int(call.wrote))
            if call.parked is not None:
                session.effects.park(call.parked, call.told)
            return Passed(told=call.told, ok=call.ok, facts=call.data, recalled=self._step)
        turn = session.past.turns.get((session.parent, self._parent or ""))
        if turn is not None and turn.data.get("altered"):
            raise gap(f"the arguments of {self._step} held a secret, which is not kept")
        return None

    async def denied(self, reason: str, rule: str, hint: str | None = None) -> Passed:
        reason = self._session.mask(reason)
        hinted = {"hint": hint} if hint else {}
        await self._record(EntryType.TOOL_DENIED, reason=reason, rule=rule, **hinted)
        return Passed(told=f"refused: {reason}" + (f" ({hint})" if hint else ""))

    async def failed(self, reason: str) -> Passed:
        reason = self._session.mask(reason)
        await self._record(EntryType.TOOL_FAILED, error=reason)
        return Passed(told=f"error: {reason}")

    async def read(self, wish: Wish) -> Passed:
        self._wished = wish.facts
        await self._record(EntryType.TOOL_STARTED, **wish.facts)
        failpoints.hit("tool.before_read")
        answer = await self._perform(wish)
        failpoints.hit("tool.after_read")
        kind = EntryType.TOOL_FINISHED if answer.ok else EntryType.TOOL_FAILED
        return await self._finish(kind, answer)

    async def park(self, wish: Wish, parking: Parking) -> Passed:
        """Keep the call for a person: it counts among the run's writes, and is told as done."""
        session = self._session
        facts = {**self._facts, **_granted(wish.decision.grant), **wish.facts}
        async with self._lock():
            rule, refusal = await self._over(wish)
            if refusal is not None:
                return await self.denied(refusal, rule)
            place = (self._step, self._parent)
            try:
                write_id, told = await park_call(session, parking, wish.decision, place, facts)
            except DeniedError as error:
                return await self.denied(error.message, error.code, error.hint)
            except UnavailableError as error:
                return await self.failed(_sentence(error))
            session.effects.write()
        session.effects.park(write_id, told)
        return Passed(told=told)

    def _lock(self) -> asyncio.Lock:
        """Held while writes of the automation are counted and the next one is noted."""
        session = self._session
        return session.services.write_locks[session.context.definition.automation.name]

    async def _over(self, wish: Wish) -> tuple[str, str | None]:
        """Which bound of the automation's writes there is no room in, and in words why."""
        refusal = await self._over_grant(wish.decision.grant)
        if refusal is not None:
            return "writes", refusal
        return "limits.writes", await self._over_limit()

    async def write(self, wish: Wish) -> Passed:
        self._wished = wish.facts
        session = self._session
        async with self._lock():
            rule, refusal = await self._over(wish)
            if refusal is None:
                session.effects.write()
                facts = {
                    "idempotency_key": self._key.idempotency_key,
                    **_granted(wish.decision.grant),
                    **wish.facts,
                }
                await self._record(EntryType.WRITE_STARTED, **facts)
        if refusal is not None:
            return await self.denied(refusal, rule)
        await self._held()
        failpoints.hit("tool.before_write")
        answer = await self._carried_out(wish)
        failpoints.hit("tool.after_write")
        kind = EntryType.WRITE_FINISHED if answer.ok else EntryType.WRITE_FAILED
        return await self._finish(kind, answer)

    async def _carried_out(self, wish: Wish) -> Answer:
        try:
            return await self._perform(wish)
        except asyncio.CancelledError:
            if self._session.effects.given_up:
                # The run goes on, so its journal may not leave this write open.
                text = f"no answer in time; {_UNKNOWN}"
                await self._finish(EntryType.WRITE_FAILED, Answer(text=text, ok=False, known=False))
            raise

    async def _held(self) -> None:
        """Wait while another node may have the run: if one has, this execution is ended."""
        while not self._session.context.lease.held():
            await self._session.services.clock.sleep(_LEASE_SECONDS)

    async def _over_grant(self, grant: Granted | None) -> str | None:
        """Whether the line of `writes` has covered as many calls of this run as it may, those of
        earlier tries included."""
        if grant is None or grant.per_run is None:
            return None
        run, used = self._session.context.run, 0
        entries = await self._session.services.ledger.entries(run.run_id)
        while entries:
            used += sum(_under(each, grant) for each in entries)
            entries = await self._session.services.ledger.entries(
                run.run_id, after=entries[-1].sequence
            )
        if used < grant.per_run:
            return None
        place = self._session.powers.grant_places[grant.index]
        return (
            f"this run has used the {grant.per_run} of writes[{grant.index}] "
            f'("perRun" there, {place})'
        )

    async def _over_limit(self) -> str | None:
        session = self._session
        definition = session.context.definition
        limits = definition.automation.limits.writes
        if session.effects.whole.writes >= limits.per_run:
            place = definition.place("/limits/writes/perRun")
            return f"this run has used its {limits.per_run} writes (limits.writes.perRun, {place})"
        now = session.services.clock.now()
        # What a clock that was ahead wrote would use up the hour until it is reached again.
        count = await session.services.ledger.writes_since(
            definition.automation.name, now - timedelta(hours=1), until=now + AHEAD
        )
        if count >= limits.per_hour:
            place = definition.place("/limits/writes/perHour")
            return (
                f"the {limits.per_hour} writes of this hour are used "
                f"(limits.writes.perHour, {place})"
            )
        return None

    async def _perform(self, wish: Wish) -> Answer:
        writing = wish.decision.intent is Intent.WRITE
        try:
            async with self._session.services.clock.deadline(wish.seconds):
                return await wish.perform(self._key)
        except TimeoutError:
            if wish.seconds is None:
                raise
            text = f"no answer within {wish.seconds:g} seconds"
        except DeniedError as error:
            return Answer(text=_sentence(error), ok=False, facts={"refused": error.code})
        except AmodalError as error:
            text = _sentence(error)
        except OSError as error:
            said = self._session.mask(str(error) or type(error).__name__)
            text = plain_line(said, 300)
        if writing:
            # Nobody can tell whether the other side did it, so nobody may do it again.
            text += f"; {_UNKNOWN}"
        return Answer(text=text, ok=False, known=not writing)

    async def _finish(self, kind: EntryType, answer: Answer) -> Passed:
        text = cut(self._session.mask(answer.text))
        facts: dict[str, object] = dict(answer.facts)
        if not answer.known:
            facts["outcome"] = "unknown"
        await self._record(kind, **facts, **({"result" if answer.ok else "error": text}))
        note_answer(self._session, self._name, {**self._wished, **facts}, text)
        await tell_sources(self._session)
        told = text if answer.ok else f"error: {text}"
        return Passed(told=told, ok=answer.ok, facts=answer.facts)

    async def _record(self, kind: EntryType, **facts: object) -> None:
        mask = self._session.services.redactor.mask_document
        data = {name: mask(value) for name, value in (self._facts | facts).items()}
        _log.debug(kind.value, run=self._session.context.run.run_id, step=self._step)
        await self._session.context.journal.record(
            kind, step=self._step, parent=self._parent, data=data
        )


def _granted(grant: Granted | None) -> dict[str, object]:
    return {} if grant is None else {"grant": grant.index}


def _under(entry: Entry, grant: Granted) -> bool:
    return entry.type in _COUNTED and entry.data.get("grant") == grant.index


def _sentence(error: AmodalError | ValidationError) -> str:
    if isinstance(error, ValidationError):
        faults = (
            f"{'.'.join(map(str, each['loc'])) or 'arguments'}: {each['msg']}"
            for each in error.errors(include_url=False, include_input=False)[:5]
        )
        return "invalid arguments: " + "; ".join(faults)
    return error.message + (f" ({error.hint})" if error.hint else "")


def _cut_document(session: Session, arguments: Mapping[str, object]) -> object:
    text = json.dumps(arguments, default=str)
    if len(text) <= RESULT_CHARACTERS:
        return dict(arguments)
    # Masked before it is cut: the half of a secret would not be recognised.
    return cut(session.mask(text))
