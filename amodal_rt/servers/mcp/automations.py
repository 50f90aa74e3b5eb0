"""The tools that look at automations and change them: files are written."""

import json
from collections.abc import Mapping
from functools import cache
from typing import cast

from pydantic import TypeAdapter, ValidationError

from amodal_rt import ids
from amodal_rt.clock import Clock, iso
from amodal_rt.domain.automation import Lifecycle
from amodal_rt.domain.token import Scope
from amodal_rt.errors import InvalidError, NotFoundError
from amodal_rt.operations.automation_shapes import Standing
from amodal_rt.operations.automations import Automations
from amodal_rt.operations.managing import Managing, Wanted
from amodal_rt.operations.references import Names
from amodal_rt.operations.shapes import Document
from amodal_rt.operations.triggers import Triggers
from amodal_rt.ports import Catalogue
from amodal_rt.servers.mcp.inputs import (
    CreateInput,
    ListInput,
    Message,
    Models,
    OneInput,
    TriggerAddInput,
    TriggerRemoveInput,
    UpdateInput,
)
from amodal_rt.servers.mcp.objects import (
    automation_row,
    automation_whole,
    is_active,
    trigger_object,
)
from amodal_rt.servers.mcp.visit import Visit

_WORK = (
    "messages",
    "promptFile",
    "inputTemplate",
    "instructions",
    "workflow",
    "prompt",
)
"""Keys of a file that say what runs; a Markdown file's prompt, its body, is emptied last."""


@cache
def _messages() -> TypeAdapter[list[Message]]:
    return TypeAdapter(list[Message])


class AutomationTools:
    """One method a tool: arguments in, document out."""

    def __init__(
        self,
        automations: Automations,
        managing: Managing,
        triggers: Triggers,
        names: Names,
        catalogue: Catalogue,
        *,
        clock: Clock,
    ) -> None:
        self._automations = automations
        self._managing = managing
        self._triggers = triggers
        self._names = names
        self._catalogue = catalogue
        self._clock = clock

    async def create(self, visit: Visit, asked: CreateInput) -> Document:
        """Write a file. Raises as `Managing.create`."""
        steps = asked.maxAgentSteps
        status = Lifecycle.ACTIVE if asked.active else Lifecycle.DRAFT
        keys: dict[str, object] = {
            "title": asked.name,
            "description": asked.description,
            "status": status.value,
            **_work(asked.messages),
            "agent": asked.virtual_mcp_id,
            "model": _model(asked.models),
            "temperature": asked.temperature,
            "tools": asked.tools,
            "limits": None if steps is None else {"maxTurns": steps},
        }
        made = await self._managing.create(visit.caller, Wanted(keys=keys, slug=asked.lookup_key))
        return {**_told(made, asked.name), "created_at": iso(self._clock.now())}

    async def get(self, visit: Visit, asked: OneInput) -> Document:
        """The automation, or null."""
        try:
            name = self._names.find(asked.id)
        except NotFoundError:
            return {"automation": None}
        standing = await self._managing.show(visit.caller, name)
        snapshot = self._catalogue.snapshot()
        whole = automation_whole(standing, snapshot, url=_url(visit, standing))
        return {"automation": whole}

    async def list_all(self, visit: Visit, asked: ListInput) -> Document:
        """All of them, or those of an agent, by name."""
        rows = [automation_row(each) for each in await self._automations.standings()]
        wanted = asked.virtual_mcp_id
        return {"automations": [each for each in rows if wanted in (None, each["virtual_mcp_id"])]}

    async def update(self, visit: Visit, asked: UpdateInput) -> Document:
        """Change keys of its file; pause or activate it. Raises as `Managing.update`."""
        name = self._names.find(asked.id)
        given: dict[str, object] = {
            "title": asked.name,
            "description": asked.description,
            "model": _model(asked.models),
            "temperature": asked.temperature,
        }
        keys = {key: value for key, value in given.items() if value is not None}
        if asked.messages is not None:
            keys |= _instead(_work(asked.messages))
        if not keys and asked.active is None:
            raise InvalidError("nothing is to change", code="bad_input")
        if asked.active is False:
            await self._managing.pause(visit.caller, name, reason=None)
        if keys:
            await self._managing.update(visit.caller, name, Wanted(keys=keys))
        if asked.active is True:
            await self._managing.activate(visit.caller, name)
        changed = await self._managing.show(visit.caller, name)
        return {**_told(changed, name), "updated_at": iso(self._clock.now())}

    async def delete(self, visit: Visit, asked: OneInput) -> Document:
        """Take its file away. Raises as `Managing.delete`."""
        await self._managing.delete(visit.caller, self._names.find(asked.id))
        return {"success": True}

    async def add_trigger(self, visit: Visit, asked: TriggerAddInput) -> Document:
        """Put a trigger into its file. Raises as `Triggers.add`."""
        name = self._names.find(asked.automation_id)
        standing, found = await self._triggers.add(visit.caller, name, _added(asked))
        snapshot, url = self._catalogue.snapshot(), _url(visit, standing)
        told = trigger_object(found, standing, snapshot, url=url)
        return {
            "id": found.id,
            "automation_id": ids.automation(name),
            "type": asked.type,
            "url": told["url"],
            "created_at": iso(self._clock.now()),
        }

    async def remove_trigger(self, visit: Visit, asked: TriggerRemoveInput) -> Document:
        """Take a trigger out of its file. Raises as `Triggers.remove`."""
        await self._triggers.remove(visit.caller, asked.trigger_id)
        return {"success": True}


def _told(standing: Standing, title: str) -> Document:
    definition = standing.state.definition
    return {
        "id": ids.automation(standing.state.name),
        "name": definition.automation.title if definition else title,
        "active": is_active(standing),
    }


def _url(visit: Visit, standing: Standing) -> str | None:
    # Whoever holds the URL of an unsigned webhook may start it.
    return standing.webhook_url if visit.allows(Scope.TRIGGER) else None


def _work(messages: str | list[Message]) -> dict[str, object]:
    """The key of a file that says what runs: `prompt` where one message of the user is all."""
    listed = _listed(messages) if isinstance(messages, str) else messages
    if isinstance(listed, str):
        return {"prompt": listed}
    said = [(each.role, "\n".join(part.text for part in each.parts)) for each in listed]
    if len(said) == 1 and said[0][0] == "user":
        return {"prompt": said[0][1]}
    return {"messages": [{"role": role, "content": content} for role, content in said]}


def _listed(text: str) -> str | list[Message]:
    """A text that is a JSON list of messages as that list; any other as it is."""
    if not text.lstrip().startswith("["):
        return text
    try:
        value = cast("object", json.loads(text))
    except (ValueError, RecursionError):
        return text
    try:
        return _messages().validate_python(value)
    except ValidationError:
        return text


def _instead(work: Mapping[str, object]) -> dict[str, object]:
    """The keys that put `work` in the place of what runs now."""
    return {**{key: None for key in _WORK if key not in work}, **work}


def _model(models: Models | None) -> str | None:
    if models is None:
        return None
    found = models.modelId or models.tier or (models.thinking.id if models.thinking else None)
    if found is None or found == models.tier or ":" in found or models.credentialId is None:
        return found
    return f"{models.credentialId}:{found}"


def _added(asked: TriggerAddInput) -> dict[str, object]:
    """As it stands in a list of triggers. Raises InvalidError (`bad_input`)."""
    fields = {
        "cron": ("cron_expression",),
        "event": ("event_type", "connection_id", "params"),
        "webhook": (),
    }
    for kind, names in fields.items():
        for name in names:
            if getattr(asked, name) is not None and kind != asked.type:
                raise InvalidError(f"{name} belongs to triggers of type {kind}", code="bad_input")
    if asked.type == "cron":
        if asked.cron_expression is None:
            raise InvalidError("a cron trigger needs cron_expression", code="bad_input")
        return {"type": "cron", "schedule": asked.cron_expression}
    if asked.type == "webhook":
        return {"type": "webhook"}
    if asked.event_type is None:
        raise InvalidError("an event trigger needs event_type", code="bad_input")
    given = {"connection": asked.connection_id, "params": asked.params or None}
    named = {key: value for key, value in given.items() if value is not None}
    return {"type": "event", "event": asked.event_type, **named}
