"""Schedules and triggers, as automation files spell them."""

from typing import Annotated

from pydantic import BeforeValidator

from amodal_rt.definitions.event_file import Actors, EventName
from amodal_rt.definitions.filtering import FilterField, ParamsField
from amodal_rt.definitions.proof_file import WebhookAuthShape
from amodal_rt.definitions.shapes import (
    Duration,
    FileShape,
    Filled,
    Instant,
    Zone,
    complaint,
    described,
)
from amodal_rt.definitions.words import type_name


def written_out(value: object, *, meaning: str, long: object) -> object:
    """`long` where a text alone was written; complains of what is neither that nor an object."""
    if isinstance(value, str):
        return long
    if value is None or type(value) is dict:
        return value  # pyright: ignore[reportUnknownVariableType]
    message = f"must be {meaning} or an object, not {type_name(value)}"
    raise complaint("wrong_type", message)


def _as_schedule(value: object) -> object:
    return written_out(value, meaning="a cron expression", long={"cron": value})


class ScheduleShape(FileShape):
    """When: exactly one of `cron`, `every`, `at`; or the cron expression alone, as a text."""

    cron: Annotated[
        Filled | None,
        described("Standard cron: minute hour day-of-month month day-of-week; or `@daily`."),
    ] = None
    every: Annotated[
        Duration | None, described('A fixed interval of at least a minute, as in "15m".')
    ] = None
    at: Annotated[
        Instant | None, described("Once, at this ISO time; without an offset in `timezone`.")
    ] = None
    timezone: Annotated[
        Zone | None, described("IANA zone of this schedule; default the file's `timezone`.")
    ] = None
    start_at: Annotated[
        Instant | None, described("Not due before this ISO time; `every` counts from it.")
    ] = None
    end_at: Annotated[Instant | None, described("Due only before this ISO time.")] = None


ScheduleField = Annotated[ScheduleShape, BeforeValidator(_as_schedule)]


class TriggerShape(FileShape):
    """One of several triggers."""

    type: Annotated[str, described("`cron`, `webhook`, `event` or `manual`.")]
    schedule: Annotated[
        ScheduleField | None, described("Of `cron`: a cron expression or an object.")
    ] = None
    webhook_auth: Annotated[
        WebhookAuthShape | None, described("Of `webhook`: the proof that senders must give.")
    ] = None
    event: Annotated[
        EventName | None, described("Of `event`: the type of event; `*` stands for any text.")
    ] = None
    event_type: Annotated[EventName | None, described("Another word for `event`.")] = None
    connection: Annotated[
        Filled | None,
        described("Of `event`: the MCP connection whose server calls the event so."),
    ] = None
    params: Annotated[
        ParamsField,
        described("Of `event` and `webhook`: which of them, by their top-level keys."),
    ] = ()
    filter: Annotated[
        FilterField, described("Of `event` and `webhook`: a filter over their data.")
    ] = None
    payload_filter: Annotated[FilterField, described("Another word for `filter`.")] = None
    actors: Annotated[
        Actors | None,
        described("Whose: accounts (`github:octocat`), ids of members, globs (`slack:*`)."),
    ] = None
