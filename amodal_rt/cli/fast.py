"""The everyday verbs without typer: a table of their plain forms.

What is not recognised to the letter (help, abbreviations, unknown options) is left to
typer, which knows how to explain. Imports nothing outside the standard library.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from amodal_rt.cli.connect import use
from amodal_rt.cli.payload import parse
from amodal_rt.cli.verbs import approvals, automations, outside, runs
from amodal_rt.cli.verbs.door import Door
from amodal_rt.errors import InvalidError

Words = Mapping[str, str]
Verb = Callable[[Door, Words], int]


class Form(NamedTuple):
    """A verb's plain form: its one argument, its options with a value, its flags."""

    verb: Verb
    argument: str | None = None
    options: frozenset[str] = frozenset()
    flags: frozenset[str] = frozenset()


def run(argv: Sequence[str]) -> int | None:
    """The exit code, or None when typer must read the line."""
    if len(argv) < 3 or argv[0] != "ops":
        return None
    form = _FORMS.get((argv[1], argv[2]))
    words = _read(argv[3:], form) if form else None
    if form is None or words is None:
        return None
    return use(
        lambda door: form.verb(door, words),
        as_json="json" in words,
        workspace=words.get("workspace"),
    )


def _read(argv: Sequence[str], form: Form) -> dict[str, str] | None:
    words: dict[str, str] = {}
    rest = iter(argv)
    for word in rest:
        if not word.startswith("-"):
            if form.argument is None or form.argument in words:
                return None
            words[form.argument] = word
            continue
        name, equals, value = word.removeprefix("--").partition("=")
        if not word.startswith("--") or name in words:
            return None
        if name in form.flags | {"json"} and not equals:
            words[name] = "yes"
        elif name in form.options | {"workspace"}:
            given = value if equals else next(rest, None)
            if given is None:
                return None
            words[name] = given
        else:
            return None
    if form.argument is not None and form.argument not in words:
        return None
    if not words.get("limit", "1").isdigit():
        return None
    return words


def _history(door: Door, words: Words) -> int:
    return automations.history(
        door, words["name"], status=words.get("status"), limit=int(words.get("limit", "20"))
    )


def _pause(door: Door, words: Words) -> int:
    return automations.pause(door, words["name"], reason=words.get("reason"), everything=False)


def _trigger(door: Door, words: Words) -> int:
    payload = parse(words["payload"]) if "payload" in words else None
    return automations.trigger(
        door,
        words["name"],
        payload=payload,
        wait="wait" in words,
        rehearse="rehearse" in words,
        detach="detach" in words,
    )


def _trigger_form(door: Door, words: Words) -> int:
    try:
        return _trigger(door, words)
    except ValueError as error:
        raise InvalidError(f"--payload is not JSON: {error}", code="usage") from None


def _runs(door: Door, words: Words) -> int:
    return runs.list_all(
        door,
        automation=words.get("automation"),
        status=words.get("status"),
        limit=int(words.get("limit", "20")),
    )


def _deliveries(door: Door, words: Words) -> int:
    return outside.list_deliveries(
        door, status=words.get("status"), limit=int(words.get("limit", "20"))
    )


def _list(door: Door, words: Words) -> int:
    return automations.list_all(door)


def _show(door: Door, words: Words) -> int:
    return automations.show(door, words["name"])


def _resume(door: Door, words: Words) -> int:
    return automations.resume(door, words["name"])


def _show_run(door: Door, words: Words) -> int:
    return runs.show(door, words["run"])


def _approvals(door: Door, words: Words) -> int:
    return approvals.list_all(
        door, automation=words.get("automation"), limit=int(words.get("limit", "20"))
    )


def _show_approval(door: Door, words: Words) -> int:
    return approvals.show(door, words["run"])


def _approve(door: Door, words: Words) -> int:
    return approvals.approve(door, words["run"], step=words.get("step"), note=words.get("note"))


def _deny(door: Door, words: Words) -> int:
    return approvals.deny(door, words["run"], step=words.get("step"), note=words.get("note"))


_FORMS: Mapping[tuple[str, str], Form] = {
    ("automations", "list"): Form(_list),
    ("automations", "show"): Form(_show, "name"),
    ("automations", "pause"): Form(_pause, "name", frozenset({"reason"})),
    ("automations", "resume"): Form(_resume, "name"),
    ("automations", "trigger"): Form(
        _trigger_form, "name", frozenset({"payload"}), frozenset({"wait", "rehearse", "detach"})
    ),
    ("automations", "history"): Form(_history, "name", frozenset({"limit", "status"})),
    ("runs", "list"): Form(_runs, options=frozenset({"automation", "status", "limit"})),
    ("runs", "show"): Form(_show_run, "run"),
    ("approvals", "list"): Form(_approvals, options=frozenset({"automation", "limit"})),
    ("approvals", "show"): Form(_show_approval, "run"),
    ("approvals", "approve"): Form(_approve, "run", frozenset({"step", "note"})),
    ("approvals", "deny"): Form(_deny, "run", frozenset({"step", "note"})),
    ("deliveries", "list"): Form(_deliveries, options=frozenset({"status", "limit"})),
}
