"""A call that a person decides on leaves its run here: it is kept as it would leave."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from amodal_rt.clock import from_millis, iso, to_millis
from amodal_rt.domain.connection import Connection
from amodal_rt.domain.parked import ParkedWrite
from amodal_rt.domain.secret import SecretRef
from amodal_rt.errors import DeniedError, InvalidError
from amodal_rt.executors.acting.session import Session
from amodal_rt.failpoints import hit
from amodal_rt.guardrails.egress import origin_of
from amodal_rt.guardrails.writes import Decision
from amodal_rt.settings import Environment


@dataclass(frozen=True, slots=True, kw_only=True)
class Parking:
    """A judged call in full, as `ParkedWrite.call`; `label` is it in a few words, `surface` what
    its connection is now."""

    call: Mapping[str, object]
    label: str
    surface: str


def surface_of(connection: Connection, environment: Environment) -> str:
    """A digest of where and as whom the connection speaks. What its owner says about endpoints
    does not count: that is asked again before a call is made. Neither does a secret's value, so
    that it may be renewed, but for the origin of a URL that is one."""
    origins = tuple(_origins(connection, environment))
    what = (
        connection.protocol.value,
        connection.base_url,
        connection.auth,
        sorted(connection.headers.items(), key=lambda pair: pair[0]),
        connection.mcp,
        *((origins,) if origins else ()),
    )
    # A secret prints as the name of its variable.
    return hashlib.sha256(repr(what).encode()).hexdigest()


def _origins(connection: Connection, environment: Environment) -> Iterator[str | None]:
    for url in (connection.base_url, connection.mcp.url if connection.mcp else None):
        if isinstance(url, SecretRef):
            try:
                yield origin_of(environment.find(url.name) or "")
            except InvalidError:
                yield None


async def park_call(
    session: Session,
    parking: Parking,
    decision: Decision,
    place: tuple[str, str | None],
    facts: Mapping[str, object],
) -> tuple[str, str]:
    """Keep the call; its id, and what is to be said of it. `place` is its step and its parent.

    Raises DeniedError (`secret_in_call`) for a call that cannot be kept as it is.
    """
    services, run = session.services, session.context.run
    write = _write_of(session, parking, decision, place)
    told = f"{write.label} of {write.connection} waits for a person's approval: {write.write_id}"
    data = {
        **facts,
        **write.facts,
        "reason": write.why,
        "rule": write.rule,
        "until": iso(write.expires_at),
        "result": told,
    }
    masked = {name: services.redactor.mask_document(each) for name, each in data.items()}
    hit("write.before_park")
    await services.ledger.park_write(write, data=masked, attempt=run.attempt, term=run.term)
    hit("write.after_park")
    return write.write_id, told


def _write_of(
    session: Session, parking: Parking, decision: Decision, place: tuple[str, str | None]
) -> ParkedWrite:
    services, context = session.services, session.context
    if services.redactor.mask_document(dict(parking.call)) != parking.call:
        raise DeniedError(
            "the call holds a secret, and what waits for a person is kept without any",
            code="secret_in_call",
            hint="the connection adds its secrets when the call is made",
        )
    automation, run = context.definition.automation, context.run
    now = from_millis(to_millis(services.clock.now()))
    return ParkedWrite(
        write_id=services.ids.write(),
        run_id=run.run_id,
        automation=automation.name,
        title=automation.title,
        definition=context.definition.hash,
        step=place[0],
        parent=place[1],
        call=parking.call,
        label=parking.label,
        surface=parking.surface,
        why=session.mask(decision.reason),
        rule=decision.rule,
        review=decision.review,
        approvers=automation.approvals.approvers,
        sources=tuple(session.mask(each.name) for each in session.taint.sources[:10]),
        requester=run.requester,
        actor=run.actor,
        depth=run.depth,
        asked_at=now,
        expires_at=now + automation.approvals.expires,
    )
