"""`emit_event`: what a run says on the bus, for other automations to start from."""

import hashlib
import json

from pydantic import BaseModel, ConfigDict, Field

from amodal_rt.domain.event import Event
from amodal_rt.errors import DeniedError, InvalidError
from amodal_rt.executors.acting.gate import Answer, CallKey, Wish, allowed
from amodal_rt.executors.acting.session import Session
from amodal_rt.executors.acting.tainting import check_type
from amodal_rt.guardrails.namespaces import speaker_of, type_fault
from amodal_rt.ids import base32

EMIT = "emit_event"
DATA_BYTES = 65_536
"""How large the data of one event may be, as JSON."""
MOST = 20
"""How many events one run may emit, its sub-agents' included."""


class EmitArguments(BaseModel):
    """What happened."""

    model_config = ConfigDict(extra="forbid")

    type: str = Field(description="for example order.checked")
    data: object = Field(default=None, description="what happened, as JSON")
    subject: str | None = Field(default=None, max_length=512, description="what it happened to")


def offered(session: Session) -> bool:
    """Whether anything could come of an event: somebody waits for some, or a type is declared."""
    snapshot = session.context.snapshot
    if snapshot.event_types:
        return True
    known = (state.definition for state in snapshot.automations.values())
    return any(each.automation.events for each in known if each)


def prepare_emit(session: Session, given: EmitArguments) -> Wish:
    """Check that the run may say so, then keep the event together with its journal row.

    It is the runtime's own tool and no write: the automations that it starts have powers of
    their own, and are one deeper in the chain.
    """
    snapshot = session.context.snapshot
    if fault := type_fault(given.type):
        raise InvalidError(f"type: {fault}", code="bad_event")
    speaker = speaker_of(
        given.type, connections=snapshot.connections, integrations=snapshot.integrations
    )
    if speaker:
        raise DeniedError(
            f"only {speaker} says {given.type}", code="reserved_type", hint="name it otherwise"
        )
    check_type(session, given.type)
    data = session.services.redactor.mask_document(given.data)
    size = len(json.dumps(data, default=str).encode())
    if size > DATA_BYTES:
        raise InvalidError(f"the data has {size:,} bytes, and {DATA_BYTES:,} are allowed")
    emitted = sum(call.data.get("tool") == EMIT for call in session.past.calls.values())
    if emitted + session.effects.whole.emitted >= MOST:
        raise DeniedError(f"a run emits at most {MOST} events", code="too_many_events")
    session.effects.emit()
    subject = session.mask(given.subject) if given.subject else None

    async def perform(key: CallKey) -> Answer:
        run, services = session.context.run, session.services
        now = services.clock.now()
        event = Event(
            id=_id(key, given.type, data, subject),
            type=given.type,
            source=f"/automations/{run.automation}",
            subject=subject,
            data=data,
            time=now,
            received_at=now,
            actor=f"run:{run.run_id}",
            depth=run.depth + 1,
            cause=run.run_id,
        )
        # Kept by an earlier attempt in one transaction with its row, it is there already.
        await services.ledger.emit(event, step=key.step, attempt=run.attempt, term=run.term)
        return Answer(text=f"emitted {event.type} as {event.id}", facts={"event_id": event.id})

    return Wish(decision=allowed(), perform=perform, facts={"event_type": given.type})


def _id(key: CallKey, type: str, data: object, subject: str | None) -> str:
    """The same for the same call of every attempt: a run that goes on never emits twice."""
    said = json.dumps([key.idempotency_key, type, data, subject], sort_keys=True, default=str)
    return "evt_" + base32(hashlib.sha256(said.encode("utf-8", "replace")).digest()[:10])
