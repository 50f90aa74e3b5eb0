"""Put one more trigger into an automation's file, or take one out, whichever form it has there.

One trigger stands in the keys at the top of the file, several in its list.
"""

from collections.abc import Mapping, Sequence
from typing import cast

from amodal_rt.definitions import markdown
from amodal_rt.definitions.changing import change
from amodal_rt.definitions.source import SourceError, read_json
from amodal_rt.definitions.words import camel
from amodal_rt.errors import ConflictError, InvalidError

Keys = Mapping[str, object]

_LIST = "triggers"
_SHORT = (
    "trigger",
    "schedule",
    "webhookAuth",
    "eventConditions",
    "params",
    "filter",
    "actors",
)
_KINDS = ("cron", "webhook", "event", "manual")


def with_trigger(text: bytes, file: str, added: Keys) -> bytes:
    """The file with `added`, which is written as one of a list (`{"type": "cron", …}`).

    Raises InvalidError when the file cannot be read, ConflictError (`legacy_markdown`).
    """
    there = _keys(text, file)
    listed = there.get(_LIST)
    if isinstance(listed, list):
        return change(text, file, {_LIST: [*cast("list[object]", listed), dict(added)]})
    short = {key: there[key] for key in _SHORT if there.get(key) is not None}
    if not short:
        return change(text, file, _alone(added))
    # What is at the top goes into the list: both at once would be a contradiction.
    together = [*_listed(short), dict(added)]
    return change(text, file, {**dict.fromkeys(_SHORT), _LIST: together})


def without_trigger(text: bytes, file: str, place: int, *, of: int) -> bytes:
    """The file without its trigger at `place` (from 0) of as many.

    Raises as `with_trigger`, and ConflictError (`changed`) when there are not as many.
    """
    listed = _keys(text, file).get(_LIST)
    if not isinstance(listed, list):
        if of != 1:
            raise _changed(file)
        return change(text, file, dict.fromkeys(_SHORT))
    there = cast("list[object]", listed)
    if len(there) != of:
        raise _changed(file)
    kept = [*there[:place], *there[place + 1 :]]
    return change(text, file, {_LIST: kept or None})


def _keys(text: bytes, file: str) -> Keys:
    try:
        read = read_json if file.endswith(".json") else markdown.read
        value = read(text, file).value
    except SourceError as error:
        problem = error.problem
        raise InvalidError(problem.sentence(), code=problem.code) from None
    return {camel(key): each for key, each in value.items()}


def _alone(added: Keys) -> Keys:
    """The keys at the top of a file that has no other trigger; the list where they cannot say
    it."""
    rest = {key: each for key, each in added.items() if key not in ("type", "event")}
    if added["type"] == "cron":
        return rest
    if added["type"] == "event" and "connection" not in added:
        return {"trigger": added["event"], **rest}
    return {"trigger": "webhook", **rest} if added["type"] == "webhook" else {_LIST: [dict(added)]}


def _listed(short: Keys) -> Sequence[Keys]:
    """The trigger at the top of a file as it stands in a list."""
    conditions = short.get("eventConditions")
    if isinstance(conditions, list):
        # In a list each is a trigger of its own; any one of them is enough, as before.
        return [{"type": "event", **each} for each in cast("list[Keys]", conditions)]
    named = short.get("trigger")
    rest = {key: each for key, each in short.items() if key != "trigger"}
    if isinstance(named, str) and named not in _KINDS:
        return [{"type": "event", "event": named, **rest}]
    usual = "cron" if "schedule" in short else "webhook" if "webhookAuth" in short else "manual"
    return [{"type": named or usual, **rest}]


def _changed(file: str) -> ConflictError:
    return ConflictError(
        f"the triggers of {file} were changed by somebody else just now",
        code="changed",
        hint="look at it and try again",
    )
