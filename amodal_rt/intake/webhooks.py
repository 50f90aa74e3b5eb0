"""`POST /webhooks/<id>`: whose endpoint it is, and in what state that automation is."""

from functools import partial
from typing import Protocol

from amodal_rt.domain.workspace import AutomationState
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

    async def verify(self, request: RawRequest) -> Verified | Refusal | Answer:
        """The event to commit, the refusal, or the answer to a challenge. Only `read_body` may
        raise."""
        stem = self._endpoints.find(request.endpoint)
        snapshot = self._catalogue.snapshot()
        state = snapshot.automations.get(stem) if stem else None
        trigger = state.definition.automation.webhook if state and state.definition else None
        if state is None or (state.definition and trigger is None):
            return UNKNOWN
        place = _place(request, state)
        if refusal := self._examiner.wrong_method(request, place):
            return refusal
        if not state.runnable:
            return self._examiner.later(place, "the automation is invalid")
        environment = self._catalogue.environment()
        return await self._examiner.examine(
            request, place, snapshot=snapshot, environment=environment
        )


def _place(request: RawRequest, state: AutomationState) -> Place:
    automation = state.definition.automation if state.definition else None
    trigger = automation.webhook if automation else None
    auth = trigger.auth if trigger else None
    return Place(
        endpoint=request.endpoint,
        auth=auth,
        limit=automation.limits.webhook_bytes if automation else 0,
        name=partial(webhook_name, auth, state.name),
        address=state.name,
    )
