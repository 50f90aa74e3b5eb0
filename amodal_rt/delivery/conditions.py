"""When a condition of the workspace begins and ends, and whom that is told.

Each is ruled on inside the ledger's transaction, by how the ledger knows it, so that several
nodes that see one thing at once send one alert, and a restart sends none again.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from amodal_rt.clock import Clock
from amodal_rt.delivery import notices
from amodal_rt.domain.condition import Condition, ConditionKind, Ruling
from amodal_rt.domain.delivery import OutboxMessage, Target
from amodal_rt.ids import Ids
from amodal_rt.logs import Log
from amodal_rt.ports import OUTBOX, Catalogue, ConditionLedger, Outbox, Signals

COOLDOWN = timedelta(minutes=60)
"""A condition that comes and goes alerts no more often than this."""
EARLIER = 2
"""Of how many alerts that nobody heard of is quoted beside the newest."""
_FIRST_WORDS = 120
_OF_A_KIND = 2
"""Of how many that reach nobody each has its own line of the log: a first start without its
variables would fill the terminal."""

_log = Log("workspace")
Write = Callable[[Condition], tuple[OutboxMessage, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """Something wrong, as somebody sees it now. Words as in `Condition`.

    `lost` is the id of an alert that was given up: what it said must reach somebody, although
    the condition is known already, and whatever was told lately. `delivery_id` is the message
    that does not arrive, given up or late.
    """

    kind: ConditionKind
    about: str
    subject: str
    automation: str | None = None
    detail: str | None = None
    target: str | None = None
    since: datetime | None = None
    seen_by: str | None = None
    lost: str | None = None
    delivery_id: str | None = None

    @property
    def key(self) -> str:
        """The condition that this is a sighting of."""
        return f"{self.kind} {self.about}"


class ToldLedger(ConditionLedger, Outbox, Protocol):
    """What tells how conditions stand, and which targets take messages."""


class Conditions:
    """Begins and ends conditions, and tells the `alerts.targets` of `amodal.json`."""

    def __init__(
        self,
        *,
        ledger: ToldLedger,
        catalogue: Catalogue,
        signals: Signals,
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._ledger = ledger
        self._catalogue = catalogue
        self._signals = signals
        self._clock = clock
        self._ids = ids

    async def begin_all(self, sightings: Sequence[Sighting]) -> None:
        """`begin` each. Many of a kind that reach nobody share a line of the log."""
        unsent = defaultdict[ConditionKind, list[Condition]](list)
        for sighting in sightings:
            ruling = await self._begin(sighting)
            if ruling is not None and ruling.messages:
                self._said("alert", ruling)
            elif ruling is not None:
                unsent[ruling.condition.kind].append(ruling.condition)
        for of_a_kind in unsent.values():
            if len(of_a_kind) > _OF_A_KIND:
                _say_all(of_a_kind)
            else:
                for condition in of_a_kind:
                    self._said("alert", Ruling(condition))

    async def begin(self, sighting: Sighting) -> None:
        """It is so: alert, once in each period and at most once in the cooldown.

        An alert that failed is told to the targets that are not failing themselves, each that
        was given up; when there is none it stands as `unreported`, and each later call tries
        again, whatever was told lately.
        """
        self._said("alert", await self._begin(sighting))

    async def _begin(self, sighting: Sighting) -> Ruling | None:
        targets = await self._targets_for(sighting)
        now = self._clock.now()

        def write(condition: Condition) -> tuple[OutboxMessage, ...]:
            return notices.alert(condition, targets, workspace=self._name(), now=now, ids=self._ids)

        return await self._ledger.rule_on_condition(
            sighting.key, lambda known: begun(known, sighting, targets, write, now)
        )

    async def end(self, key: str) -> None:
        """It is so no more: tell those who were told that it was."""
        targets = self._catalogue.snapshot().settings.alerts.targets
        now = self._clock.now()

        def write(condition: Condition) -> tuple[OutboxMessage, ...]:
            return notices.recovery(
                condition, targets, workspace=self._name(), now=now, ids=self._ids
            )

        ruling = await self._ledger.rule_on_condition(key, lambda known: ended(known, write, now))
        self._said("recovered", ruling)

    async def is_unheard(self, key: str) -> bool:
        """Whether it had to be told, and there is nobody to tell."""
        known = await self._ledger.find_condition(key)
        return known is not None and known.standing and known.unreported

    async def heard(self, key: str) -> None:
        """What it told of has reached somebody after all: it stands, and degrades nothing."""

        def rule(known: Condition | None) -> Ruling | None:
            if known is None or not known.standing or not known.unreported:
                return None
            return Ruling(replace(known, unreported=False, told=True, earlier=(), more=0))

        await self._ledger.rule_on_condition(key, rule)

    async def _targets_for(self, sighting: Sighting) -> Sequence[Target]:
        targets = self._catalogue.snapshot().settings.alerts.targets
        if sighting.kind is not ConditionKind.ALERT_FAILED:
            return targets
        failing = {sighting.target}
        for each in await self._ledger.conditions():
            if each.kind is ConditionKind.ALERT_FAILED and each.target not in failing:
                # One that took a message since is well, though nobody has ruled on that yet.
                well = await self._ledger.has_delivered(each.since, target=each.target)
                failing |= set() if well else {each.target}
        return tuple(each for each in targets if each.key not in failing)

    def _name(self) -> str | None:
        return self._catalogue.snapshot().settings.name

    def _said(self, status: str, ruling: Ruling | None) -> None:
        if ruling is None:
            return
        condition = ruling.condition
        say = _log.warning if status == "alert" else _log.info
        say(
            f"workspace.{status}",
            condition=condition.kind.value,
            subject=condition.subject,
            error=condition.said if status == "alert" else None,
            messages=len(ruling.messages),
        )
        if ruling.messages:
            self._signals.notify(OUTBOX)


def _say_all(conditions: Sequence[Condition]) -> None:
    _log.warning(
        "workspace.alert",
        condition=conditions[0].kind.value,
        subjects=", ".join(each.subject for each in conditions),
        first=conditions[0].said,
        messages=0,
    )


def begun(
    known: Condition | None,
    sighting: Sighting,
    targets: Sequence[Target],
    write: Write,
    now: datetime,
) -> Ruling | None:
    """What follows from seeing it; None when that is known already."""
    standing = known if known is not None and known.standing else None
    if standing is not None and standing.told and not _is_new(sighting, standing):
        return None
    since = _start(known, sighting, now) if standing is None else standing.since
    must = sighting.kind is ConditionKind.ALERT_FAILED
    earlier, more = _unheard(standing, sighting)
    condition = Condition(
        key=sighting.key,
        kind=sighting.kind,
        since=since,
        subject=sighting.subject,
        automation=sighting.automation,
        detail=sighting.detail,
        alerted_at=known.alerted_at if known else None,
        unreported=must and not targets,
        target=sighting.target,
        seen_by=sighting.seen_by,
        earlier=earlier,
        more=more,
        delivery_id=sighting.delivery_id,
    )
    unheard = standing is not None and standing.unreported
    due = unheard or sighting.lost is not None or _is_cool(condition, now)
    messages = write(condition) if targets and due else ()
    if messages:
        return Ruling(replace(condition, told=True, alerted_at=now), messages)
    if standing is None or standing.unreported != condition.unreported:
        return Ruling(condition)
    # One more that nobody heard of.
    return Ruling(condition) if condition.unreported and _is_new(sighting, standing) else None


def ended(known: Condition | None, write: Write, now: datetime) -> Ruling | None:
    """What follows from seeing it no more; None when it did not stand."""
    if known is None or not known.standing:
        return None
    over = replace(known, cleared_at=now, unreported=False)
    return Ruling(over, write(over) if known.told else ())


def _is_new(sighting: Sighting, standing: Condition) -> bool:
    """Whether an alert was lost that the condition does not tell of yet."""
    told = (standing.detail or "", *standing.earlier)
    return sighting.lost is not None and not any(
        each.startswith(f"{sighting.lost}:") for each in told
    )


def _unheard(standing: Condition | None, sighting: Sighting) -> tuple[tuple[str, ...], int]:
    """What nobody has heard of yet beside the sighting: the first words of some, and how many
    others."""
    if standing is None or not standing.unreported:
        return (), 0
    if not _is_new(sighting, standing):
        return standing.earlier, standing.more
    known = (_first_words(standing.detail), *standing.earlier)
    return known[:EARLIER], standing.more + len(known[EARLIER:])


def _first_words(said: str | None) -> str:
    text = said or ""
    return text if len(text) <= _FIRST_WORDS else f"{text[:_FIRST_WORDS].rstrip()}…"


def _start(known: Condition | None, sighting: Sighting, now: datetime) -> datetime:
    since = sighting.since or now
    return max(since, known.cleared_at) if known and known.cleared_at else since


def _is_cool(condition: Condition, now: datetime) -> bool:
    told_at = condition.alerted_at
    # A clock that was set back must not silence alerts until it has caught up.
    return told_at is None or abs(now - told_at) >= COOLDOWN
