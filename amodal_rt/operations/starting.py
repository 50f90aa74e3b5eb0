"""Runs that a person or a program asks for."""

from typing import cast

from amodal_rt.clock import Clock
from amodal_rt.domain.automation import Definition
from amodal_rt.domain.cause import Cause
from amodal_rt.domain.run import Start
from amodal_rt.domain.trigger import TriggerKind
from amodal_rt.domain.workspace import AutomationState
from amodal_rt.errors import InvalidError
from amodal_rt.ids import Ids
from amodal_rt.operations import asked, shapes
from amodal_rt.operations.shapes import Document
from amodal_rt.ports import RUNS_PENDING, Act, Caller, Catalogue, Ledger, Signals
from amodal_rt.triggers.starts import caused_by, start_for

DEEPEST = 64
"""Levels of a payload; as of a webhook's body."""


REPLAYED = "run.replayed"
"""The act that names the run that is replayed as `replay_of`."""


class Starting:
    """Turns a wish for a run into a row of the ledger."""

    def __init__(
        self, catalogue: Catalogue, ledger: Ledger, *, signals: Signals, clock: Clock, ids: Ids
    ) -> None:
        self._catalogue = catalogue
        self._ledger = ledger
        self._signals = signals
        self._clock = clock
        self._ids = ids

    async def start(
        self,
        name: str,
        *,
        caller: Caller,
        payload: object = None,
        event_id: str | None = None,
        rehearse: bool = False,
        cause: Cause | None = None,
        replay_of: str | None = None,
    ) -> Document:
        """The new run's document, at once; paused and draft automations start too.

        `cause` is the run that asks for it: too deep in a chain, the new one is skipped. Of a
        replay the audit trail names the run that is replayed.

        Raises NotFoundError, InvalidError (nothing of the file can run; `bad_payload`),
        UnavailableError.
        """
        require_depth(payload)
        definition = self.definition(name, rehearse=rehearse)
        start = start_for(
            definition,
            TriggerKind.MANUAL,
            ids=self._ids,
            now=self._clock.now(),
            payload=payload,
            event_id=event_id,
            caller=caller,
            rehearse=rehearse,
        )
        wish = start if cause is None else caused_by(cause, start)
        (ref,) = await self._ledger.admit([wish], act=_act(wish, caller, replay_of))
        self._signals.notify(RUNS_PENDING)
        found = await self._ledger.find_run(ref.run_id)
        assert found is not None, "a row that was just committed"
        return shapes.run_in_full(found, ())

    def definition(self, name: str, *, rehearse: bool) -> Definition:
        """The version that a run by hand is of. Raises NotFoundError, InvalidError."""
        state = self.state(name)
        return (state.to_rehearse if rehearse else None) or runnable(state)

    def state(self, name: str) -> AutomationState:
        """The automation as it stands. Raises NotFoundError with the nearest name."""
        automations = self._catalogue.snapshot().automations
        if name not in automations:
            raise asked.unknown("automation", name, automations)
        return automations[name]


def _act(start: Start, caller: Caller, replay_of: str | None) -> Act:
    told: Document = {"automation": start.automation}
    if start.rehearse:
        told["rehearse"] = True
    if replay_of is not None:
        told["replay_of"] = replay_of
    action = "run.triggered" if replay_of is None else REPLAYED
    return Act(action=action, subject=start.run_id, caller=caller, at=start.created_at, data=told)


def require_sound(state: AutomationState) -> None:
    """Raise InvalidError with what is wrong with the file as it is now."""
    wrong = next((each for each in state.problems if each.severity == "error"), None)
    if wrong is not None:
        raise InvalidError(
            f"{state.name} is invalid: {wrong.finding()}", code=wrong.code, hint=wrong.hint
        )


def require_startable(state: AutomationState) -> Definition:
    """The version that runs once the automation is active: that of the file as it is now. Raises
    InvalidError with what is wrong with it or stands in its way."""
    require_sound(state)
    return runnable(state)


def runnable(state: AutomationState) -> Definition:
    """The version that may run now. Raises InvalidError with what stands in its way."""
    if state.definition is not None and not state.blocked:
        return state.definition
    wrong = [each for each in (*state.blocked, *state.problems) if each.severity == "error"]
    first = next(iter(wrong or state.blocked), None)
    if first is None:
        raise InvalidError(f"{state.name} has no version that can run")
    raise InvalidError(
        f"{state.name} cannot run: {first.finding()}", code=first.code, hint=first.hint
    )


def require_depth(payload: object) -> None:
    """Raises InvalidError: what is written down here is read by recursion elsewhere."""
    layer = [payload]
    for _ in range(DEEPEST):
        layer = [inner for outer in layer for inner in _children(outer)]
        if not layer:
            return
    raise InvalidError(f"the payload is nested deeper than {DEEPEST} levels", code="bad_payload")


def _children(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(cast("dict[str, object]", value).values())
    return cast("list[object]", value) if isinstance(value, list) else []
