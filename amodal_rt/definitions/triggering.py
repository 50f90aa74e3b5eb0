"""What starts an automation: the shorthand at the top of the file, and the list."""

from datetime import timedelta
from functools import lru_cache

from amodal_rt.definitions.automation_file import (
    AutomationShape,
    ScheduleShape,
    TriggerShape,
)
from amodal_rt.definitions.document import Document, Loc
from amodal_rt.definitions.proofs import Proofs
from amodal_rt.definitions.shapes import in_gap, instant
from amodal_rt.definitions.targets import Complain
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
_KINDS = ("cron", "webhook", "manual")
_SHORT = ("trigger", "schedule", "webhookAuth")


class Triggering:
    """Reads triggers; collects the variables that their proofs need."""

    def __init__(self, document: Document, complain: Complain) -> None:
        self._document = document
        self._complain = complain
        self._proofs = Proofs(complain)

    @property
    def secrets(self) -> set[str]:
        """Every environment variable that a proof needs."""
        return self._proofs.secrets

    def triggers(self, shape: AutomationShape) -> tuple[Trigger, ...]:
        """All triggers in file order; complaints for what contradicts itself."""
        if shape.triggers is None:
            return self._short(shape)
        both = [
            key
            for key, value in zip(
                _SHORT, (shape.trigger, shape.schedule, shape.webhook_auth), strict=True
            )
            if value is not None
        ]
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

    def _short(self, shape: AutomationShape) -> tuple[Trigger, ...]:
        kind = _inferred(shape) if shape.trigger is None else shape.trigger
        if not self._known(kind, ("trigger",)):
            return ()
        if shape.schedule is not None and kind != "cron":
            self._complain(
                "conflict",
                f'trigger "{kind}" does not use the schedule',
                ("schedule",),
                hint="for both, give a list of triggers",
            )
        if shape.webhook_auth is not None and kind != "webhook":
            self._complain(
                "conflict",
                f'trigger "{kind}" does not use webhookAuth',
                ("webhookAuth",),
                hint="for both, give a list of triggers"
                if shape.schedule is not None
                else 'say "trigger": "webhook"',
            )
        if kind == "cron":
            if shape.schedule is None:
                self._complain(
                    "missing_key",
                    'trigger "cron" needs a schedule',
                    ("trigger",),
                    hint='add "schedule": "0 9 * * *", or say "trigger": "manual"',
                )
                return ()
            schedule = self._schedule(shape.schedule, shape.timezone, ("schedule",))
            return (CronTrigger(schedule=schedule, key="0"),) if schedule else ()
        if kind == "webhook":
            return (WebhookTrigger(auth=self._proofs.auth(shape.webhook_auth, ("webhookAuth",))),)
        return (ManualTrigger(),)

    def _listed(
        self, shape: TriggerShape, loc: Loc, place: int, owner: AutomationShape
    ) -> Trigger | None:
        if not self._known(shape.type, (*loc, "type")):
            return None
        for key, value, kind in (
            ("schedule", shape.schedule, "cron"),
            ("webhookAuth", shape.webhook_auth, "webhook"),
        ):
            if value is not None and shape.type != kind:
                message = f"{key} belongs to triggers of type {kind}, and this is {shape.type}"
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
            return WebhookTrigger(auth=self._proofs.auth(shape.webhook_auth, (*loc, "webhookAuth")))
        return ManualTrigger()

    def _known(self, kind: str, loc: Loc) -> bool:
        if kind in _KINDS:
            return True
        if "." in kind or kind == "event":
            self._complain(
                "not_yet",
                f"{shown(kind)}: starting from events is not built yet",
                loc,
                hint="there are cron, webhook and manual",
            )
            return False
        hint = suggestion(kind, _KINDS) or "there are cron, webhook and manual"
        self._complain("unknown_trigger", f"{shown(kind)} is no trigger", loc, hint=hint)
        return False

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


def _inferred(shape: AutomationShape) -> str:
    if shape.schedule is not None:
        return "cron"
    return "manual" if shape.webhook_auth is None else "webhook"


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
