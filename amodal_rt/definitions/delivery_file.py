"""Who receives what: the part of an automation file and of `amodal.json` that names targets."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from amodal_rt.definitions.filtering import ResultFilterField
from amodal_rt.definitions.shapes import (
    Duration,
    EnvText,
    FileShape,
    Filled,
    Listed,
    Url,
    complaint,
    described,
)
from amodal_rt.definitions.trigger_file import written_out
from amodal_rt.domain.parked import EXPIRES, LONGEST

SCHEMA_REFERENCE = "[a-z0-9][a-z0-9_-]{0,63}(@[1-9][0-9]{0,5})?"
# A key that no file can hold: the name of a target, told apart from its written-out form.
BY_NAME = "\0ref"


def _as_target(value: object) -> object:
    return written_out(value, meaning="the name of a target", long={BY_NAME: value})


def as_targets(value: object) -> object:
    """A name of a target where a list of them may stand."""
    return written_out(value, meaning="the name of a target", long={"targets": [value]})


class TargetShape(FileShape):
    """A receiver of messages: a `webhook`, a `callback`, or the name of one in `amodal.json`."""

    type: Annotated[
        Literal["webhook", "callback"] | None,
        described("`webhook` sends to `url`; `callback` calls the embedding program."),
    ] = None
    ref: Annotated[str | None, Field(validation_alias=BY_NAME, exclude=True)] = None
    url: Annotated[Url | None, described("Where to POST: an http(s) URL or `env:NAME`.")] = None
    format: Annotated[
        Literal["json", "slack", "discord"],
        described("`slack` and `discord` send the text alone, as their webhooks need it."),
    ] = "json"
    label: Annotated[
        Filled | None, described("What history shows; default the variable's name or the host.")
    ] = None
    secret: Annotated[
        EnvText | None, described("`env:NAME`: signs each message by Standard Webhooks.")
    ] = None
    name: Annotated[
        Filled | None, described("Of a callback: which of the program's callbacks to call.")
    ] = None


TargetField = Annotated[TargetShape, BeforeValidator(_as_target)]


class DeliveryShape(FileShape):
    """Where the result goes; or the name of one target alone, as a text."""

    targets: Annotated[
        list[TargetField], Listed, Field(min_length=1, description="Who receives the result.")
    ]
    template: Annotated[
        str | None, described("Liquid over the result; becomes `message` in the payload.")
    ] = None
    when: Annotated[
        ResultFilterField, described("A filter over `{result, data}`: what it stops is not sent.")
    ] = None


class FailureAlertShape(FileShape):
    """Whom to tell when it keeps failing; or the name of one target alone, as a text."""

    after: Annotated[
        int, Field(ge=1, le=1_000, description="After how many failures in a row.")
    ] = 1
    cooldown_minutes: Annotated[
        int, Field(ge=0, le=525_600, description="How long to stay quiet after an alert.")
    ] = 60
    targets: Annotated[
        list[TargetField],
        Listed,
        Field(min_length=1, description="Who is told, and told again when it works."),
    ]


def _expires(value: timedelta) -> timedelta:
    if not timedelta(minutes=1) <= value <= LONGEST:
        hint = 'as in "2d"; what nobody decided on in a month, nobody will'
        raise complaint("wrong_value", "a person has from 1m to 30d", hint)
    return value


class ApprovalsShape(FileShape):
    """Who decides on writes that need a person, and until when."""

    expires: Annotated[
        Duration,
        AfterValidator(_expires),
        described('How long a person may take, "1m" to "30d"; after that the write is not made.'),
    ] = EXPIRES
    approvers: Annotated[
        list[Filled],
        Listed,
        Field(
            default_factory=list[str],
            max_length=100,
            description="Who may decide, as the audit trail names them: `ada`, `token:ops`, "
            "globs; default all who may manage.",
        ),
    ]
    targets: Annotated[
        list[TargetField],
        Listed,
        Field(
            default_factory=list["TargetShape"],
            max_length=20,
            description="Who gets a message for each parked write, with a link to a page that "
            "decides: whoever reads the message may. Needs `publicUrl` for the link.",
        ),
    ]
