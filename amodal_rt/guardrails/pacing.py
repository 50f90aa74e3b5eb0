"""Models that are asked no more for a while, because their provider said that it is too much.

A provider's limit slows the automations that ask it and no other: their runs wait without a slot.
When the time is over one automation asks first; the others follow once it was answered. Of this
process alone: after a start, or on another node, the first request is told again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from amodal_rt.clock import Clock
from amodal_rt.domain.automation import AgentWork
from amodal_rt.domain.models import configured_models, resolve_models
from amodal_rt.domain.workspace import Snapshot
from amodal_rt.errors import InvalidError
from amodal_rt.ports import CanRun, ModelPacing

FIRST = timedelta(seconds=15)
"""How long a model is left alone whose provider names no time; twice that each time after."""
LONGEST = timedelta(minutes=15)
LONGEST_NAMED = timedelta(hours=1)
"""A provider that asks for more is asked again after this."""
_TRIAL = timedelta(seconds=60)


@dataclass(slots=True)
class _Pause:
    until: datetime
    times: int
    trier: str | None = None
    """The automation that asks first, and until when the others leave that to it."""
    tried_until: datetime | None = None


class Pacing:
    """Which models wait, by the references of the files (`provider:name`)."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pauses: dict[str, _Pause] = {}

    def slow(self, reference: str, *, seconds: float | None) -> datetime:
        """The provider said that it is too much, and perhaps for how long. Returns until when
        the model is left alone."""
        now = self._clock.now()
        before = self._pauses.get(reference)
        times = before.times if before else 0
        # Those that were under way when the first was told say the same once more.
        if before is None or now >= before.until:
            times += 1
        wait = min(FIRST * 2 ** min(times - 1, 10), LONGEST)
        if seconds is not None:
            wait = min(timedelta(seconds=max(seconds, 1)), LONGEST_NAMED)
        until = max(now + wait, before.until if before else now)
        self._pauses[reference] = _Pause(until, times)
        return until

    def answered(self, reference: str) -> None:
        """The provider answers again."""
        self._pauses.pop(reference, None)

    def paused(self, reference: str) -> datetime | None:
        """Until when nobody asks this model; None where it may be asked."""
        pause = self._pauses.get(reference)
        return pause.until if pause and pause.until > self._clock.now() else None

    def held(self, snapshot: Snapshot, name: str) -> tuple[str, datetime] | None:
        """The model that a run of the automation waits for, and until when at least; None where
        one of its models may be asked, and for what is no agent's work."""
        if not self._pauses:
            return None
        waits = [(self._until(each, name), each) for each in _models_of(snapshot, name)]
        known = [(until, each) for until, each in waits if until is not None]
        if len(known) < len(waits) or not known:
            return None
        until, reference = min(known)
        return reference, until

    def may_start(self, snapshot: Snapshot, name: str) -> bool:
        """Whether a run of the automation that starts now need not wait: for a model that was left
        alone until now it asks first."""
        if self.held(snapshot, name) is not None:
            return False
        now = self._clock.now()
        for reference in _models_of(snapshot, name) if self._pauses else ():
            if self._until(reference, name) is not None:
                continue
            pause = self._pauses.get(reference)
            if pause is not None and (pause.tried_until is None or pause.tried_until <= now):
                pause.trier, pause.tried_until = name, now + _TRIAL
            break
        return True

    def next_at(self) -> datetime | None:
        """When the next model may be asked that now waits."""
        now = self._clock.now()
        return min((each.until for each in self._pauses.values() if each.until > now), default=None)

    def _until(self, reference: str, name: str) -> datetime | None:
        pause, now = self._pauses.get(reference), self._clock.now()
        if pause is None:
            return None
        if pause.until > now:
            return pause.until
        is_tried = pause.tried_until is not None and pause.tried_until > now
        return pause.tried_until if is_tried and pause.trier != name else None


def starting(can_run: CanRun, pacing: ModelPacing | None, snapshot: Snapshot) -> CanRun:
    """`can_run` of a claim: what it says yes to, starts."""
    if pacing is None:
        return can_run
    return lambda name, rehearse: (
        can_run(name, rehearse) and (rehearse or pacing.may_start(snapshot, name))
    )


def paced(can_run: CanRun, pacing: ModelPacing | None, snapshot: Snapshot) -> CanRun:
    """`can_run`, but for what waits for a provider, changing nothing; a rehearsal asks none."""
    if pacing is None:
        return can_run
    return lambda name, rehearse: (
        can_run(name, rehearse) and (rehearse or pacing.held(snapshot, name) is None)
    )


def _models_of(snapshot: Snapshot, name: str) -> Sequence[str]:
    state = snapshot.automations.get(name)
    definition = state.definition if state else None
    if definition is None or not isinstance(definition.automation.work, AgentWork):
        return ()
    automation = definition.automation
    agent = snapshot.agents.get(automation.agent)
    try:
        choices = resolve_models(
            configured_models(automation, agent, snapshot.settings), snapshot.settings
        )
    except InvalidError:
        return ()
    return [each.reference for each in choices]
