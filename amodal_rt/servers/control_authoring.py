"""The verbs that write, change and delete automations' files."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import cast

from aiohttp import web

from amodal_rt.domain.automation import STEM
from amodal_rt.errors import InvalidError
from amodal_rt.guardrails.causes import HEADER, Causes
from amodal_rt.operations.automations import Automations
from amodal_rt.operations.managing import Managing, Wanted
from amodal_rt.ports import Caller
from amodal_rt.servers.control_requests import body_of, caller_of, name_of, text_of

Answering = Callable[[web.Request], Awaitable[object]]

ENDINGS = (".json", ".md")
"""Which files of automations there are."""


class AuthoringDoor:
    """One method a route: arguments in, document out."""

    def __init__(self, managing: Managing, automations: Automations, causes: Causes) -> None:
        self._managing = managing
        self._automations = automations
        self._causes = causes

    def changes(self) -> Mapping[str, Answering]:
        """By path."""
        return {
            "/v1/automations": self._create,
            "/v1/automations/{name}/update": self._update,
            "/v1/automations/{name}/delete": self._delete,
        }

    async def _create(self, request: web.Request) -> object:
        body = await body_of(request)
        caller, name = self._caller(request), text_of(body, "name") or ""
        text, ending = _file(body)
        if text is not None:
            await self._managing.put(caller, name, text, ending=ending)
        else:
            if not STEM.fullmatch(name):
                hint = "lower-case letters, digits, - and _; at most 64"
                message = f"{name[:80]!r} is no name for an automation"
                raise InvalidError(message, code="bad_name", hint=hint)
            # As of every file: without a status it is active.
            keys = {"status": None, **_keys(body)}
            await self._managing.create(caller, Wanted(keys=keys, slug=name))
        return await self._automations.show(caller, name)

    async def _update(self, request: web.Request) -> object:
        body = await body_of(request)
        caller, name = self._caller(request), name_of(request)
        text, ending = _file(body)
        if text is not None:
            await self._managing.replace(caller, name, text, ending=ending)
        else:
            await self._managing.update(caller, name, Wanted(keys=_keys(body)))
        return await self._automations.show(caller, name)

    async def _delete(self, request: web.Request) -> object:
        name = name_of(request)
        file = await self._managing.delete(self._caller(request), name)
        return {"name": name, "deleted": True, "file": file}

    def _caller(self, request: web.Request) -> Caller:
        """Who asks. What a run makes one of its child processes ask for is the run's own wish,
        which grants no powers, and not that of the user whose process it is."""
        caller = caller_of(request)
        cause = self._causes.read(request.headers.getall(HEADER, []))
        if cause is None or caller.door != "cli":
            return caller
        return replace(caller, actor=f"run:{cause.run_id or '-'}", door="run")


def _keys(body: Mapping[str, object]) -> Mapping[str, object]:
    keys = body.get("keys")
    if not isinstance(keys, dict) or not keys:
        raise InvalidError(
            "keys is no object with keys of the file, and there is no text", code="bad_body"
        )
    return cast("Mapping[str, object]", keys)


def _file(body: Mapping[str, object]) -> tuple[bytes | None, str]:
    """A whole file's text, if one was sent, and how its name ends."""
    text, ending = text_of(body, "text"), text_of(body, "ending") or ENDINGS[0]
    if ending not in ENDINGS:
        raise InvalidError(f"ending is none of: {', '.join(ENDINGS)}", code="bad_body")
    if text is None:
        return None, ending
    try:
        return text.encode(), ending
    except UnicodeEncodeError:
        raise InvalidError("the text holds half a character", code="bad_body") from None
