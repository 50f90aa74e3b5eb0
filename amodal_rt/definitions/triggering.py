"""What starts an automation: the shorthand at the top of the file, and the list."""

from datetime import timedelta
from functools import lru_cache

from amodal_rt.definitions.automation_file import AutomationShape
from amodal_rt.definitions.document import Document, Loc
from amodal_rt.definitions.event_file import is_event_name
from amodal_rt.definitions.eventing import Eventing, said, wanted
from amodal_rt.definitions.other_names import INBOUND
from amodal_rt.definitions.proofs import Proofs
from amodal_rt.definitions.shapes import in_gap, instant
from amodal_rt.definitions.targets import Complain
from amodal_rt.definitions.trigger_file import ScheduleShape, TriggerShape
from amodal_rt.definitions.words import shown, suggestion
from amodal_rt.domain.schedule import EPOCH, ScheduleError, first_after, parse_cron
from amodal_rt.domain.trigger import (
    CronTrigger,
    ManualTrigger,
    Schedule,
    Trigger,
    WebhookTrigger,
)

MINIMUM_INTERVAL = timedelta(seconds=60)
_KINDS = ("cron", "webhook", "event", "manual")
_USED_BY = {
    "schedule": ("cron",),
    "webhookAuth": ("webhook",),
    "event": ("event",),
    "eventType": ("event",),
    "eventConditions": ("event",),
    "connection": ("event",),
    "payloadFilter": ("event",),
    "params": ("event", "webhook"),
    "filter": ("event", "webhook"),
    "actors": ("event", "webhook"),
}
"""Which kinds of trigger have a use for a key."""


class Triggering:
    """Reads triggers; collects the variables that their proofs need."""

    def __init__(self, document: Document, complain: Complain) -> None:
        self._document = document
        self._complain = complain
        self._proofs = Proofs(complain)
        self._eventing = Eventing(complain)

    @property
    def secrets(self) -> set[str]:
        """Every environment variable that a proof needs."""
        return self._proofs.secrets

    def triggers(self, shape: AutomationShape) -> tuple[Trigger, ...]:
        """All triggers in file order; complaints for what contradicts itself."""
        if shape.triggers is None:
            found = self._short(shape)
            return (found,) if found else ()
        both = _short_keys(shape)
        if both:
            self._complain(
                "conflict",
                f"triggers and {both[0]} are two ways of one thing",
                (both[0],),
                hint=f"move {both[0]} into triggers",
            )
        found = [
            self._listed(each, ("triggers", place), place, shape)
            for place, each in enumerate(shape.triggers)
        ]
        kept = tuple(each for each in found if each is not None)
        if sum(isinstance(each, WebhookTrigger) for each in kept) > 1:
            self._complain(
                "conflict",
                "an automation has one webhook URL, so one webhook trigger",
                ("triggers",),
                hint="keep one of them",
            )
        schedules = [each.schedule if isinstance(each, CronTrigger) else None for each in found]
        for place, schedule in enumerate(schedules):
            if schedule is not None and schedule in schedules[:place]:
                message = "this schedule stands twice, and each slot is one run"
                loc = ("triggers", place, "schedule")
                self._complain("conflict", message, loc, hint="keep one of them")
        return kept

    def _short(self, shape: AutomationShape) -> Trigger | None:
        kind = _kind(shape)
        if kind not in _KINDS:
            self._unknown(kind, ("trigger",))
            return None
        for key in _short_keys(shape):
            if key != "trigger" and kind not in _USED_BY[key]:
                self._unused(shape, kind, key)
        if kind == "cron":
            if shape.schedule is None:
                self._complain(
                    "missing_key",
                    'trigger "cron" needs a schedule',
                    ("trigger",),
                    hint='add "schedule": "0 9 * * *", or say "trigger": "manual"',
                )
                return None
            schedule = self._schedule(shape.schedule, shape.timezone, ("schedule",))
            return CronTrigger(schedule=schedule, key="0") if schedule else None
        if kind == "webhook":
            auth = self._proofs.auth(shape.webhook_auth, ("webhookAuth",))
            return WebhookTrigger(auth=auth, wanted=wanted(shape))
        return self._short_event(shape) if kind == "event" else ManualTrigger()

    def _short_event(self, shape: AutomationShape) -> Trigger | None:
        name = None if shape.trigger in _KINDS else shape.trigger
        if shape.event_conditions is None:
            if name is not None:
                return self._eventing.named(name, shape)
            self._complain(
                "missing_key",
                'trigger "event" names no event',
                ("trigger",),
                hint='write its name, as in "trigger": "github.issues.opened"',
            )
            return None
        if name is not None:
            self._complain(
                "conflict",
                "trigger and eventConditions both name events",
                ("trigger",),
                hint="keep eventConditions, and name the event there",
            )
        for key in said(shape):
            message = f"{key} and eventConditions are two ways of one thing"
            self._complain("conflict", message, (key,), hint=f"move {key} into each condition")
        return self._eventing.any_of(shape.event_conditions, ("eventConditions",))

    def _unused(self, shape: AutomationShape, kind: str, key: str) -> None:
        what = f"the {key}" if key == "schedule" else key
        hint = "for both, give a list of triggers"
        if key == "webhookAuth" and shape.schedule is None:
            hint = 'say "trigger": "webhook"'
        if key in ("params", "filter", "actors"):
            hint = 'name the event, as in "trigger": "github.issues.opened"'
        self._complain(
            "conflict", f'trigger "{shape.trigger or kind}" does not use {what}', (key,), hint=hint
        )

    def _listed(
        self, shape: TriggerShape, loc: Loc, place: int, owner: AutomationShape
    ) -> Trigger | None:
        if shape.type not in _KINDS:
            self._unknown_type(shape.type, (*loc, "type"))
            return None
        for key in _listed_keys(shape):
            if shape.type not in _USED_BY[key]:
                kinds = " and ".join(_USED_BY[key])
                message = f"{key} belongs to triggers of type {kinds}, and this is {shape.type}"
                self._complain("conflict", message, (*loc, key), hint=f"take {key} away")
                return None
        if shape.type == "cron":
            if shape.schedule is None:
                hint = 'add "schedule": "0 9 * * *"'
                self._complain("missing_key", "a cron trigger needs a schedule", loc, hint=hint)
                return None
            schedule = self._schedule(shape.schedule, owner.timezone, (*loc, "schedule"))
            return CronTrigger(schedule=schedule, key=str(place)) if schedule else None
        if shape.type == "webhook":
            auth = self._proofs.auth(shape.webhook_auth, (*loc, "webhookAuth"))
            return WebhookTrigger(auth=auth, wanted=wanted(shape))
        if shape.type == "event":
            return self._eventing.listed(shape, shape.connection, loc, str(place))
        return ManualTrigger()

    def _unknown(self, kind: str, loc: Loc) -> None:
        near = suggestion(kind, _KINDS)
        hint = near or "there are cron, webhook, manual, and the names of events"
        self._complain("unknown_trigger", f"{shown(kind)} is no trigger", loc, hint=hint)

    def _unknown_type(self, kind: str, loc: Loc) -> None:
        hint = suggestion(kind, _KINDS) or f"there are {', '.join(_KINDS)}"
        if is_event_name(kind) and ("." in kind or "*" in kind):
            hint = f'{{"type": "event", "event": {shown(kind)}}}'
        self._complain("unknown_trigger", f"{shown(kind)} is no type of trigger", loc, hint=hint)

    def _schedule(self, shape: ScheduleShape, zone: str | None, loc: Loc) -> Schedule | None:
        given = [key for key in ("cron", "every", "at") if getattr(shape, key) is not None]
        if len(given) != 1:
            self._complain(
                "one_of",
                "a schedule has exactly one of cron, every, at",
                loc,
                hint=f"it has {' and '.join(given)}"
                if given
                else 'for example {"cron": "0 9 * * 1-5"}',
            )
            return None
        if shape.cron is not None and not self._cron(shape.cron, loc):
            return None
        if shape.every is not None and shape.every < MINIMUM_INTERVAL:
            message = "every is shorter than a minute"
            self._complain("interval_too_short", message, (*loc, "every"), hint="at least 60s")
            return None
        zone = shape.timezone or zone or "UTC"
        for key, value in (("at", shape.at), ("startAt", shape.start_at), ("endAt", shape.end_at)):
            if value is not None and in_gap(value, zone):
                message = f"{key}: clocks in {zone} never show {shown(value)}, they go forward"
                self._complain("bad_time", message, (*loc, key), hint="an hour later, or with Z")
                return None
        schedule = Schedule(
            cron=" ".join(shape.cron.split()) if shape.cron else None,
            every=shape.every,
            at=instant(shape.at, zone) if shape.at else None,
            timezone=zone,
            start_at=instant(shape.start_at, zone) if shape.start_at else None,
            end_at=instant(shape.end_at, zone) if shape.end_at else None,
        )
        if not _ever_due(schedule):
            self._complain(
                "never_due",
                "the schedule is never due between startAt and endAt",
                (*loc, "endAt" if shape.end_at else "startAt"),
                hint="startAt ≤ time < endAt",
            )
            return None
        return schedule

    def _cron(self, expression: str, loc: Loc) -> bool:
        try:
            _check_cron(expression)
        except ScheduleError as error:
            name = self._document.name((*loc, "cron"))
            self._complain(error.code, f"{name}: {error.message}", (*loc, "cron"), hint=error.hint)
            return False
        return True


def _kind(shape: AutomationShape) -> str:
    """What `trigger` says, or what the other keys say without it."""
    if shape.trigger == INBOUND:
        return "webhook"
    if shape.trigger is not None:
        named = shape.trigger not in _KINDS and is_event_name(shape.trigger)
        return "event" if named else shape.trigger
    if shape.schedule is not None:
        return "cron"
    if shape.webhook_auth is not None:
        return "webhook"
    return "manual" if shape.event_conditions is None else "event"


def _short_keys(shape: AutomationShape) -> list[str]:
    """The top-level keys about triggers that are there."""
    found = {
        "trigger": shape.trigger,
        "schedule": shape.schedule,
        "webhookAuth": shape.webhook_auth,
        "eventConditions": shape.event_conditions,
    }
    return [*(key for key, value in found.items() if value is not None), *said(shape)]


def _listed_keys(shape: TriggerShape) -> list[str]:
    found = {
        "schedule": shape.schedule,
        "webhookAuth": shape.webhook_auth,
        "event": shape.event,
        "eventType": shape.event_type,
        "connection": shape.connection,
        "payloadFilter": shape.payload_filter,
    }
    return [*(key for key, value in found.items() if value is not None), *said(shape)]


@lru_cache(maxsize=4096)
def _check_cron(expression: str) -> None:
    """`parse_cron`, once for each of the few expressions that people write."""
    parse_cron(expression)


def _ever_due(schedule: Schedule) -> bool:
    """Whether any instant satisfies `startAt <= t < endAt`; costs nothing without both."""
    if schedule.at is not None and schedule.start_at is not None:
        return schedule.at >= schedule.start_at and _ends_after(schedule)
    if schedule.end_at is None:
        return True
    return _ends_after(schedule) and first_after(schedule, EPOCH - MINIMUM_INTERVAL) is not None


def _ends_after(schedule: Schedule) -> bool:
    first = schedule.at or schedule.start_at or EPOCH
    return schedule.end_at is None or first < schedule.end_at
