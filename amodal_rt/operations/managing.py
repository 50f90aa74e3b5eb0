"""The verbs that change what automations are: the file is written, and the change audited."""

import asyncio
import difflib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from amodal_rt.clock import Clock
from amodal_rt.definitions.automation import fit_stem
from amodal_rt.definitions.changing import change, new_file
from amodal_rt.domain.automation import STEM, Automation, Definition, Lifecycle
from amodal_rt.domain.trigger import CronTrigger, TriggerKind
from amodal_rt.errors import ConflictError, DeniedError, InvalidError
from amodal_rt.guardrails.powers import widened
from amodal_rt.operations.automation_shapes import Standing
from amodal_rt.operations.automations import Automations
from amodal_rt.operations.changes import Changes, Told
from amodal_rt.operations.cursors import bad_cursor, cursor_of, place_of
from amodal_rt.operations.facts import KnownFacts
from amodal_rt.operations.run_pages import Wish
from amodal_rt.operations.starting import require_startable
from amodal_rt.ports import Caller, Catalogue, FactLedger
from amodal_rt.workspace.authoring import Allow, Edit
from amodal_rt.workspace.rewrite import Witness

OWNER_DOORS = frozenset({"cli"})
"""Doors of the one who owns the files anyhow: what they write may grant powers."""

TRIGGER, SCHEDULED, INVOKED = "trigger", "scheduled", "invoked"
TYPES = (TRIGGER, SCHEDULED, INVOKED)
"""What starts an automation, in the platform's words."""
_KIND = "automations"


class AutomationFiles(Protocol):
    """The files of automations; what is written is live on return.

    Each may raise DeniedError (`read_only`), ConflictError, InvalidError or UnavailableError.
    """

    async def create_automation(
        self, name: str, edit: Edit, allow: Allow, witness: Witness, *, ending: str = ".json"
    ) -> None:
        """Write a new file, once `allow` has seen the version that it would be."""
        ...

    async def change_automation(
        self, name: str, edit: Edit, allow: Allow, witness: Witness
    ) -> None:
        """Change the file, once `allow` has seen the version that it would be."""
        ...

    async def delete_automation(self, name: str, witness: Witness) -> str:
        """Take the file away; returns which it was."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A new automation, or what is to change of one: keys of the file in camelCase, None to take
    one away. `type` must be what its triggers make of it; `slug` is the name that a new one
    should have."""

    keys: Mapping[str, object]
    type: str | None = None
    slug: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AutomationPage:
    """Automations by name; `before` leads to those that follow, `after` to those in front."""

    standings: Sequence[Standing]
    before: str | None
    after: str | None
    more: bool


class Managing:
    """Creates, changes, deletes, activates and pauses automations for programs and people."""

    def __init__(
        self,
        catalogue: Catalogue,
        files: AutomationFiles,
        ledger: FactLedger,
        automations: Automations,
        facts: KnownFacts,
        *,
        changes: Changes,
        clock: Clock,
    ) -> None:
        self._catalogue = catalogue
        self._files = files
        self._ledger = ledger
        self._automations = automations
        self._facts = facts
        self._changes = changes
        self._clock = clock
        # Of two who write at once, the second would find the file changed under its hands.
        self._one_at_a_time = asyncio.Lock()

    async def page(
        self, caller: Caller, wish: Wish, *, type: str | None, status: Lifecycle | None
    ) -> AutomationPage:
        """One page of all, or of those of a type or status. Raises InvalidError (`bad_cursor`)."""
        if wish.before and wish.after:
            raise InvalidError(
                "before_cursor and after_cursor exclude each other", code="bad_cursor"
            )
        rows = [
            each
            for each in await self._automations.standings()
            if type in (None, type_of(_parsed(each))) and status in (None, lifecycle_of(each))
        ]
        if wish.after:
            first = _place(wish.after)
            rows = [each for each in rows if each.state.name < first]
            found, more = rows[-wish.limit :], len(rows) > wish.limit
            below = True
        else:
            last = _place(wish.before) if wish.before else ""
            rows = [each for each in rows if each.state.name > last]
            found, more = rows[: wish.limit], len(rows) > wish.limit
            below = more
        names = [each.state.name for each in found]
        return AutomationPage(
            standings=found,
            before=cursor_of(_KIND, names[-1]) if names and below else None,
            after=cursor_of(_KIND, names[0]) if names else wish.after,
            more=more,
        )

    async def show(self, caller: Caller, name: str) -> Standing:
        """One as it stands. Raises NotFoundError."""
        return await self._automations.standing(name)

    async def create(self, caller: Caller, wanted: Wanted) -> Standing:
        """Write a new file, `draft` unless it says otherwise.

        Raises ConflictError (`automation_exists`), InvalidError for what could not run here,
        DeniedError (`power_not_granted`, `read_only`), UnavailableError.
        """
        name = self._free_name(wanted)
        keys = {"status": Lifecycle.DRAFT.value, **wanted.keys}
        told = Told(action="automation.created", subject=name, data={"keys": sorted(wanted.keys)})
        async with self._one_at_a_time:
            allow = self._allow(caller, wanted.type, None)
            await self._written(
                caller,
                told,
                lambda witness: self._files.create_automation(
                    name, lambda _, __: new_file(keys), allow, witness
                ),
            )
        return await self.show(caller, name)

    async def update(self, caller: Caller, name: str, wanted: Wanted) -> Standing:
        """Change keys of its file; all else stays as it was. Raises as `create`, NotFoundError."""
        return await self.edit(
            caller,
            name,
            lambda text, file: change(text or b"", file, wanted.keys),
            action="automation.updated",
            data={"keys": sorted(wanted.keys)},
            type=wanted.type,
        )

    async def edit(
        self,
        caller: Caller,
        name: str,
        edit: Edit,
        *,
        action: str,
        data: Mapping[str, object],
        type: str | None = None,
    ) -> Standing:
        """Make of its file what `edit` makes of it; the change is on record as `action` with
        `data`. Raises as `create`, NotFoundError, and what `edit` raises."""
        self._automations.require(name)
        async with self._one_at_a_time:
            before = self._catalogue.snapshot().automations[name].definition
            allow = self._allow(caller, type, before)
            await self._written(
                caller,
                Told(action=action, subject=name, data=data),
                lambda witness: self._files.change_automation(name, edit, allow, witness),
            )
        return await self.show(caller, name)

    async def put(self, caller: Caller, name: str, text: bytes, *, ending: str) -> Standing:
        """Write a whole new file, `.json` or `.md` by its `ending`. Raises as `create`."""
        self._require_free(name)
        async with self._one_at_a_time:
            allow = self._allow(caller, None, None)
            await self._written(
                caller,
                Told(action="automation.created", subject=name, data={"ending": ending}),
                lambda witness: self._files.create_automation(
                    name, lambda _, __: text, allow, witness, ending=ending
                ),
            )
        return await self.show(caller, name)

    async def replace(self, caller: Caller, name: str, text: bytes, *, ending: str) -> Standing:
        """Write its whole file anew. Raises as `update`, and ConflictError (`other_form`) when
        that ends otherwise."""

        def edit(_: bytes | None, file: str) -> bytes:
            if not file.endswith(ending):
                message = f"{file} is no file that ends in {ending}"
                hint = "give the other form, or delete the automation and create it anew"
                raise ConflictError(message, code="other_form", hint=hint)
            return text

        data = {"ending": ending}
        return await self.edit(caller, name, edit, action="automation.updated", data=data)

    async def delete(self, caller: Caller, name: str) -> str:
        """Take its file away, and say which it was: pending runs are cancelled, what it did
        stays on record.

        Raises NotFoundError, ConflictError, DeniedError (`read_only`), UnavailableError.
        """
        self._automations.require(name)
        async with self._one_at_a_time:
            file = self._catalogue.snapshot().automations[name].file
            told = Told(action="automation.deleted", subject=name, data={"file": file})
            return await self._changes.make(
                caller, lambda: told, lambda witness: self._files.delete_automation(name, witness)
            )

    async def activate(self, caller: Caller, name: str) -> Standing:
        """Let it run, whether its file or the ledger kept it from it. Raises as
        `Automations.activate`."""
        standing = await self.show(caller, name)
        definition = require_startable(standing.state)
        if definition.automation.status is not Lifecycle.ACTIVE:
            await self._automations.activate(caller, name)
        if self._facts.of(name).paused:
            await self._automations.resume(caller, name)
        return await self.show(caller, name)

    async def pause(self, caller: Caller, name: str, *, reason: str | None) -> Standing:
        """Nothing of it starts until it is activated; its pending runs are cancelled."""
        await self._automations.pause(caller, name, reason=reason)
        return await self.show(caller, name)

    async def _written(
        self, caller: Caller, told: Told, work: Callable[[Witness], Awaitable[None]]
    ) -> None:
        try:
            await self._changes.make(caller, lambda: told, work)
        except _PowerError as error:
            await self._ledger.audit(
                "automation.powers_denied",
                subject=told.subject,
                caller=caller,
                at=self._clock.now(),
                data={"keys": error.keys},
            )
            raise

    def _allow(self, caller: Caller, type: str | None, before: Definition | None) -> Allow:
        snapshot = self._catalogue.snapshot()
        free = caller.door in OWNER_DOORS or snapshot.settings.may_grant_powers

        def allow(after: Definition) -> None:
            found = type_of(after.automation)
            if type is not None and type != found:
                raise InvalidError(
                    f"its triggers make it {found}, not {type}", code="type_mismatch"
                )
            keys = [] if free else widened(before, after, snapshot)
            if keys:
                raise _PowerError(_widening(keys), keys)

        return allow

    def _free_name(self, wanted: Wanted) -> str:
        said = wanted.slug or ""
        title = wanted.keys.get("title")
        name = said if STEM.fullmatch(said) else fit_stem(str(said or title or ""))
        self._require_free(name)
        return name

    def _require_free(self, name: str) -> None:
        if not STEM.fullmatch(name):
            hint = f"for example {fit_stem(name)}: lower-case letters, digits, - and _; at most 64"
            message = f"{name[:80]!r} is no name for an automation"
            raise InvalidError(message, code="bad_name", hint=hint)
        if name in self._catalogue.snapshot().automations:
            raise ConflictError(
                f"there is an automation {name!r} already",
                code="automation_exists",
                hint="give another name or lookup_key, or update that one",
            )


class _PowerError(DeniedError):
    """A program would grant powers."""

    def __init__(self, told: DeniedError, keys: Sequence[str]) -> None:
        super().__init__(told.message, code=told.code, hint=told.hint)
        self.keys = list(keys)


def _widening(keys: Sequence[str]) -> DeniedError:
    return DeniedError(
        f"programs may not set or widen {', '.join(keys)}",
        code="power_not_granted",
        hint='edit the file, or write "api": {"mayGrantPowers": true} into amodal.json',
    )


def type_of(parsed: Automation | None) -> str:
    """What starts it, in the platform's words; one that cannot be read is only invoked."""
    triggers = parsed.triggers if parsed else ()
    if any(isinstance(each, CronTrigger) for each in triggers):
        return SCHEDULED
    waits = (TriggerKind.WEBHOOK, TriggerKind.EVENT)
    return TRIGGER if any(each.kind in waits for each in triggers) else INVOKED


def lifecycle_of(standing: Standing) -> Lifecycle:
    """The stricter of file and ledger, whether or not the file can be read as it is now."""
    parsed = _parsed(standing)
    if standing.facts.paused or standing.creator_rule is not None:
        return Lifecycle.PAUSED
    return parsed.status if parsed else Lifecycle.DRAFT


def type_asked(text: str | None) -> str | None:
    """A type, or None. Raises InvalidError (`bad_type`)."""
    if text is not None and text not in TYPES:
        near = difflib.get_close_matches(text, TYPES, n=1)
        hint = f"did you mean {near[0]}?" if near else None
        raise InvalidError(f"type is none of: {', '.join(TYPES)}", code="bad_type", hint=hint)
    return text


def _parsed(standing: Standing) -> Automation | None:
    definition = standing.state.definition
    return definition.automation if definition else None


def _place(cursor: str) -> str:
    name = place_of(_KIND, cursor)
    if not STEM.fullmatch(name):
        raise bad_cursor()
    return name
