"""`POST /webhooks/<id>`: whose endpoint it is, and in what state that automation is."""

from functools import partial
from typing import Protocol

from amodal_rt.domain.workspace import AutomationState, Snapshot
from amodal_rt.intake.examining import Examiner, Place
from amodal_rt.intake.naming import webhook_name
from amodal_rt.intake.requests import Answer, RawRequest, Refusal, Verified
from amodal_rt.ports import Catalogue


class EndpointNames(Protocol):
    """Whose endpoint an id is."""

    def find(self, endpoint: str) -> str | None:
        """The automation's stem, or None for an unknown id."""
        ...


UNKNOWN = Refusal(status=404, code="not_found", message="no such webhook")


class WebhookIntake:
    """Judges requests by the newest snapshot and the environment of the moment."""

    def __init__(self, catalogue: Catalogue, endpoints: EndpointNames, examiner: Examiner) -> None:
        self._catalogue = catalogue
        self._endpoints = endpoints
        self._examiner = examiner
        self._read: Snapshot | None = None
        self._places: dict[str, tuple[AutomationState, Place]] = {}

    async def verify(self, request: RawRequest) -> Verified | Refusal | Answer:
        """The event to commit, the refusal, or the answer to a challenge. Only `read_body` may
        raise."""
        snapshot = self._catalogue.snapshot()
        found = self._find(request.endpoint, snapshot)
        if found is None:
            return UNKNOWN
        state, place = found
        if not state.runnable:
            refusal = self._examiner.wrong_method(request, place)
            return refusal or self._examiner.later(place, "the automation is invalid")
        environment = self._catalogue.environment()
        return await self._examiner.examine(
            request, place, snapshot=snapshot, environment=environment
        )

    def _find(self, endpoint: str, snapshot: Snapshot) -> tuple[AutomationState, Place] | None:
        """Whose endpoint it is and what a request finds there, made once for each snapshot."""
        # Asked every time: an id can be rotated away within one snapshot.
        stem = self._endpoints.find(endpoint)
        if stem is None:
            return None
        if snapshot is not self._read:
            self._read, self._places = snapshot, {}
        found = self._places.get(endpoint)
        if found is None:
            state = snapshot.automations.get(stem)
            if state is None or (state.definition and state.definition.automation.webhook is None):
                return None
            found = self._places[endpoint] = state, _place(endpoint, state)
        return found


def _place(endpoint: str, state: AutomationState) -> Place:
    automation = state.definition.automation if state.definition else None
    trigger = automation.webhook if automation else None
    auth = trigger.auth if trigger else None
    return Place(
        endpoint=endpoint,
        auth=auth,
        limit=automation.limits.webhook_bytes if automation else 0,
        name=partial(webhook_name, auth, state.name),
        address=state.name,
    )
