"""What starts an automation, one by one: named, added and taken away in its file."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from amodal_rt import ids
from amodal_rt.clock import iso
from amodal_rt.definitions.trigger_edit import with_trigger, without_trigger
from amodal_rt.domain.automation import Automation
from amodal_rt.domain.schedule import describe
from amodal_rt.domain.trigger import CronTrigger, EventTrigger, ManualTrigger, Trigger
from amodal_rt.domain.workspace import AutomationState
from amodal_rt.errors import NotFoundError
from amodal_rt.operations.automation_shapes import Standing
from amodal_rt.operations.managing import Managing
from amodal_rt.operations.references import Names
from amodal_rt.operations.starting import require_sound
from amodal_rt.ports import Caller

_PREFIX, _OWN, _OF_AUTOMATION = "trg_", "aut_", 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A trigger, what it is called, and where it stands among those of its automation."""

    id: str
    place: int
    trigger: Trigger


def placed(automation: Automation) -> Sequence[Placed]:
    """All triggers in file order. What a person starts alone is among them."""
    seen: Counter[str] = Counter()
    found: list[Placed] = []
    for place, trigger in enumerate(automation.triggers):
        told = _told(trigger)
        seen[told] += 1
        # Nothing forbids to wait for the very same twice.
        name = ids.trigger(automation.name, f"{told}\n{seen[told]}")
        found.append(Placed(id=name, place=place, trigger=trigger))
    return found


class Triggers:
    """Adds and removes; the file is written, and the change audited."""

    def __init__(self, managing: Managing, names: Names) -> None:
        self._managing = managing
        self._names = names

    async def add(
        self, caller: Caller, name: str, added: Mapping[str, object]
    ) -> tuple[Standing, Placed]:
        """Put a trigger (`{"type": "cron", "schedule": …}`, as in `triggers`) into its file.

        Raises NotFoundError, and as `Managing.update`.
        """
        before = {each.id for each in _of(await self._sound(caller, name))}
        after = await self._managing.edit(
            caller,
            name,
            lambda text, file: with_trigger(text or b"", file, added),
            action="automation.trigger_added",
            data={"type": added["type"]},
        )
        now = _of(after)
        return after, next((each for each in now if each.id not in before), now[-1])

    async def remove(self, caller: Caller, trigger_id: str) -> Standing:
        """Take a trigger out of its automation's file. Raises NotFoundError
        (`trigger_not_found`), and as `Managing.update`."""
        name = self._name(trigger_id)
        triggers = _of(await self._sound(caller, name))
        found = next((each for each in triggers if each.id == trigger_id), None)
        if found is None or isinstance(found.trigger, ManualTrigger):
            raise _missing()
        return await self._managing.edit(
            caller,
            name,
            lambda text, file: without_trigger(text or b"", file, found.place, of=len(triggers)),
            action="automation.trigger_removed",
            data={"type": found.trigger.kind.value},
        )

    async def _sound(self, caller: Caller, name: str) -> AutomationState:
        # Of a file that is wrong now, the triggers are those of another version.
        standing = await self._managing.show(caller, name)
        require_sound(standing.state)
        return standing.state

    def _name(self, trigger_id: str) -> str:
        suffix = trigger_id.removeprefix(_PREFIX)
        if suffix == trigger_id:
            raise _missing()
        try:
            return self._names.find(f"{_OWN}{suffix[:_OF_AUTOMATION]}")
        except NotFoundError:
            raise _missing() from None


def _of(found: AutomationState | Standing) -> Sequence[Placed]:
    state = found.state if isinstance(found, Standing) else found
    return placed(state.definition.automation) if state.definition else ()


def _told(trigger: Trigger) -> str:
    if isinstance(trigger, CronTrigger):
        when = trigger.schedule
        bounds = (iso(when.start_at) or "", iso(when.end_at) or "")
        return " ".join((trigger.kind.value, describe(when), when.timezone, *bounds))
    if isinstance(trigger, EventTrigger):
        return f"{trigger.kind.value} {trigger.conditions!r}"
    return trigger.kind.value


def _missing() -> NotFoundError:
    return NotFoundError(
        "there is no such trigger",
        code="trigger_not_found",
        hint="an automation's triggers have their ids in its document; another edit changes them",
    )
