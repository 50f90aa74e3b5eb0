"""`POST /api/trigger-callback`: an MCP server says that what it watches for happened.

The token says which trigger it is about, and is the only proof: it was given to that server
alone. Nothing else is looked at before it is known.
"""

from collections.abc import Mapping
from typing import Protocol, cast

from amodal_rt.clock import Clock
from amodal_rt.domain.event import DedupKey, Event, Rejection
from amodal_rt.domain.remote_trigger import RemoteTrigger
from amodal_rt.domain.workspace import Snapshot
from amodal_rt.guardrails.causes import HEADER, Causes
from amodal_rt.guardrails.doors import bearer_of
from amodal_rt.ids import Ids
from amodal_rt.intake import bodies
from amodal_rt.intake.headers import Headers
from amodal_rt.intake.requests import RETRY_AFTER_SECONDS, RawRequest, Refusal, Verified
from amodal_rt.ports import Catalogue

LARGEST = 1_048_576
"""Bytes of a body. What is larger is refused whole, and nothing is ever cut."""
_LONGEST_ID = 256

UNKNOWN = Refusal(
    status=401,
    code="unauthorized",
    message="no such token",
    headers={"WWW-Authenticate": "Bearer"},
)
"""One answer for no token, a malformed one and one that nobody was given."""


class Tokens(Protocol):
    """What servers were given."""

    async def find(self, token: str) -> RemoteTrigger | None:
        """Whose token it is, or None. Raises UnavailableError."""
        ...


class Askers(Protocol):
    """Who asked for what a server watches for."""

    def asked_for(self, watched: RemoteTrigger, snapshot: Snapshot) -> tuple[str, ...]:
        """The automations, by their stems, that can run now."""
        ...


class CallbackIntake:
    """Judges callbacks by the tokens and the snapshot of the moment."""

    def __init__(
        self,
        catalogue: Catalogue,
        tokens: Tokens,
        askers: Askers,
        causes: Causes,
        *,
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._catalogue = catalogue
        self._tokens = tokens
        self._askers = askers
        self._causes = causes
        self._clock = clock
        self._ids = ids

    async def verify(self, request: RawRequest) -> Verified | Refusal:
        """The event to commit, or the refusal to answer. Raises UnavailableError where nobody
        can say whose the token is, and what `read_body` raises."""
        headers = Headers(request.headers)
        if request.method != "POST":
            return Refusal(
                status=405, code="method_not_allowed", message="POST only",
                headers={"Allow": "POST"},
            )  # fmt: skip
        token = bearer_of(headers.all("authorization"))
        trigger = await self._tokens.find(token) if token else None
        if trigger is None:
            return UNKNOWN
        if headers.compressed():
            return self._refuse(trigger, 415, "compressed", "send the body as it is")
        body = await request.read_body(LARGEST)
        if body is None:
            return self._refuse(
                trigger, 413, "too_large", f"the body is over {LARGEST} bytes",
                headers={"Connection": "close"},
            )  # fmt: skip
        said = _read(bodies.parse_body(body, "application/json"))
        if isinstance(said, str):
            return self._refuse(trigger, 400, "bad_body", said)
        type, data, id = said
        if type != trigger.type:
            return self._refuse(
                trigger, 400, "wrong_type", f"this token is for events of type {trigger.type}"
            )
        snapshot = self._catalogue.snapshot()
        askers = self._askers.asked_for(trigger, snapshot)
        if not askers:
            return self._refuse(
                trigger, 503, "unavailable", "not possible right now",
                headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
            )  # fmt: skip
        return Verified(
            endpoint=endpoint_of(trigger),
            event=self._event(trigger, askers, data, id, headers),
            dedup=_dedup(trigger, askers, id),
            snapshot=snapshot,
        )

    def _event(
        self,
        trigger: RemoteTrigger,
        askers: tuple[str, ...],
        data: Mapping[str, object] | None,
        id: str | None,
        headers: Headers,
    ) -> Event:
        now = self._clock.now()
        # A server of this machine may say which run made it call, as it was told in the call.
        cause = self._causes.read(headers.all(HEADER))
        return Event(
            id=self._ids.event(),
            type=f"{trigger.connection}.{trigger.type}",
            source=f"/connections/{trigger.connection}",
            data=data,
            time=now,
            received_at=now,
            actor=f"run:{cause.run_id}" if cause and cause.run_id else None,
            cause=cause.run_id if cause else None,
            depth=cause.depth + 1 if cause else 0,
            address=",".join(askers),
            delivery_id=id,
            headers=headers.kept(also_secret=()),
        )

    def _refuse(
        self, trigger: RemoteTrigger, status: int, code: str, message: str,
        *, headers: Mapping[str, str] | None = None,
    ) -> Refusal:  # fmt: skip
        rejection = Rejection(
            endpoint=endpoint_of(trigger),
            automation=trigger.automation or None,
            reason=f"{code}: {message}",
            at=self._clock.now(),
        )
        return Refusal(
            status=status, code=code, message=message, headers=headers or {}, rejection=rejection
        )


def endpoint_of(trigger: RemoteTrigger) -> str:
    """What its callbacks and refusals are counted under."""
    return f"trigger:{_name(trigger)}"


def _dedup(trigger: RemoteTrigger, askers: tuple[str, ...], id: str | None) -> DedupKey | None:
    if id is None:
        return None
    endpoint, key = _known_by(_name(trigger), id)
    # What one asker wants in two ways its server reports twice, each time to other askers too.
    shared = () if trigger.automation else askers
    apiece = {each: _known_by(_name_for(each, trigger), id) for each in shared}
    return DedupKey(endpoint=endpoint, keys=(key,), apiece=apiece)


def _known_by(name: str, id: str) -> tuple[str, str]:
    return f"trigger:{name}", f"evt:{id}:trig:{name}"


def _name(trigger: RemoteTrigger) -> str:
    """The same for every token that the trigger ever had. To one automation an event is one,
    however often its server reports it; what is asked for several is told apart by its key."""
    if trigger.automation:
        return _name_for(trigger.automation, trigger)
    return f"{trigger.connection}.{trigger.type}/{trigger.place[1]}"


def _name_for(automation: str, trigger: RemoteTrigger) -> str:
    return f"{automation}/{trigger.connection}.{trigger.type}"


def _read(document: object) -> tuple[str, Mapping[str, object] | None, str | None] | str:
    """Type, data and id of a callback's body, or what is wrong with it."""
    if not isinstance(document, dict):
        return "the body is no JSON object"
    fields = cast("dict[str, object]", document)
    type, data, id = fields.get("type"), fields.get("data", {}), fields.get("id")
    if not isinstance(type, str) or not type:
        return "type must be a text of at least one character"
    if not isinstance(data, dict):
        return "data must be an object"
    if id is not None and not (isinstance(id, str) and 0 < len(id) <= _LONGEST_ID):
        return f"id must be a text of 1 to {_LONGEST_ID} characters"
    return type, cast("dict[str, object]", data) if "data" in fields else None, id
