"""The workspace as the other rooms see it: one snapshot at a time, never half of a reload."""

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from amodal_rt.clock import Clock
from amodal_rt.definitions.automation import reparse
from amodal_rt.definitions.graph import reread_workflow
from amodal_rt.definitions.profile import reread_profile
from amodal_rt.domain.automation import Definition
from amodal_rt.domain.connection import Agent
from amodal_rt.domain.problem import Problem
from amodal_rt.domain.profile import Profile, used_key
from amodal_rt.domain.workflow import Workflow
from amodal_rt.domain.workspace import Snapshot
from amodal_rt.errors import AmodalError, InvalidError
from amodal_rt.logs import Log
from amodal_rt.ports import SNAPSHOT, ArchivedDefinition, DefinitionArchive, Signals
from amodal_rt.settings import Environment
from amodal_rt.workspace import authoring
from amodal_rt.workspace.authoring import Allow, Edit, Judge
from amodal_rt.workspace.reader import Reader, Reading, Remembered
from amodal_rt.workspace.reading import IDENTITIES, SETTINGS, profile_labels
from amodal_rt.workspace.rewrite import Witness
from amodal_rt.workspace.watching import SWEEP_SECONDS, watch_folders

_log = Log("workspace")

_Write = Callable[[Path, str, Edit, Judge, Allow, Witness], None]

AUTOMATION = "automation"
AGENT = "agent"
WORKFLOW = "workflow"
PROFILE = "profile"
SETTINGS_KIND = "settings"
IDENTITIES_KIND = "identities"
"""Kinds under which the archive keeps what is brought back after a restart."""

MOST_WARNED = 20
"""How many problems of one reload are logged each for itself."""


class WorkspaceArchive(DefinitionArchive, Protocol):
    """What the workspace asks the ledger."""

    async def fact(self, key: str) -> str | None:
        """As `ports.FactLedger`."""
        ...


@dataclass(slots=True)
class _Live:
    """What stood when the last process ended."""

    automations: dict[str, Remembered] = field(default_factory=dict[str, Remembered])
    agents: dict[str, Agent] = field(default_factory=dict[str, Agent])
    workflows: dict[str, Workflow] = field(default_factory=dict[str, Workflow])
    profiles: dict[str, Profile] = field(default_factory=dict[str, Profile])
    settings: str | None = None
    identities: str | None = None

    def take(self, version: ArchivedDefinition) -> None:
        """One version; of another release, it may not be understood any more."""
        document, file = version.document, version.file
        if version.kind == AUTOMATION:
            self.automations[version.name] = Remembered(document=document, file=file)
        elif version.kind == AGENT and (agent := _agent(document)):
            self.agents[file] = agent
        elif version.kind == WORKFLOW and (workflow := reread_workflow(document, file=file)):
            self.workflows[file] = workflow
        elif version.kind == PROFILE and (profile := reread_profile(document, file=file)):
            self.profiles[file] = profile
        elif version.kind == SETTINGS_KIND:
            self.settings = document
        elif version.kind == IDENTITIES_KIND:
            self.identities = document


class Workspace:
    """Implements `ports.VersionedCatalogue` and `ports.Versions` over a folder that may change at
    any moment.

    `archive` keeps every version that was ever live, and gives back the last good one of a
    file that is broken when the process starts.
    """

    def __init__(
        self,
        root: Path,
        *,
        archive: WorkspaceArchive | None,
        signals: Signals,
        clock: Clock,
        process_env: Mapping[str, str],
    ) -> None:
        self._root = root
        self._archive = archive
        self._signals = signals
        self._clock = clock
        self._process_env = process_env
        self._reader = Reader(root, process_env)
        self._reading: Reading | None = None
        self._snapshot = Snapshot(version=0)
        self._environment = Environment(process=process_env)
        self._recorded: dict[tuple[str, str], str] = {}
        self._used: dict[str, str] = {}
        self._one_at_a_time = asyncio.Lock()

    def snapshot(self) -> Snapshot:
        return self._snapshot

    def environment(self) -> Environment:
        return self._environment

    async def find_version(self, name: str, hash: str) -> Definition | None:
        if self._archive is None:
            return None
        found = await self._archive.find_definition(hash, kind=AUTOMATION, name=name)
        if found is None:
            return None
        return self._parse(found)

    async def versions(self, name: str) -> Sequence[Definition]:
        found = await self._archive.versions_of(AUTOMATION, name) if self._archive else []
        return [version for each in found if (version := self._parse(each)) is not None]

    def _parse(self, found: ArchivedDefinition) -> Definition | None:
        parsed = reparse(found.document, file=found.file, settings=self._snapshot.settings)
        if parsed.definition is None:
            return None
        # As it was named then: another release may spell its defaults differently.
        return replace(parsed.definition, hash=found.hash)

    async def load(self) -> None:
        """Read everything for the first time.

        Raises InvalidError when `amodal.json` is wrong and the archive has no good one: there
        are no settings to go on with.
        Every other wrong file is a problem in the snapshot.
        """
        live = _Live()
        if self._archive:
            for version in await self._archive.live():
                self._recorded[version.kind, version.name] = version.hash
                live.take(version)
        self._reader = Reader(
            self._root,
            self._process_env,
            live.automations,
            live.agents,
            live.settings,
            live.identities,
            live.workflows,
            live.profiles,
        )
        await self.reload()
        assert self._reading is not None
        if wrong := self._reading.settings_broken:
            raise InvalidError(wrong[0].sentence(), code=wrong[0].code, hint=wrong[0].hint)

    async def reload(self) -> bool:
        """Read what changed; True when there is a new snapshot or environment."""
        async with self._one_at_a_time:
            before = self._reading
            self._reader.know_used(await self._used_profiles())
            reading = await asyncio.to_thread(
                self._reader.read, self._clock.now(), self._clock.monotonic()
            )
            await self._record(reading.snapshot)
            self._reading = reading
            if before is not None and _alike(before, reading):
                return False
            version = self._snapshot.version + 1
            self._snapshot = replace(reading.snapshot, version=version)
            self._environment = reading.environment
        self._signals.notify(SNAPSHOT)
        _log.info(
            "workspace.reloaded",
            version=version,
            automations=len(self._snapshot.automations),
            invalid=sum(state.invalid for state in self._snapshot.automations.values()),
        )
        if before is not None:
            _warn(_problems(before.snapshot), _problems(self._snapshot))
        return True

    async def _used_profiles(self) -> Mapping[str, str]:
        """The hashes that stand on record of the versions that have files."""
        if self._archive is None:
            return self._used
        labels = await asyncio.to_thread(profile_labels, self._root)
        for label in labels - self._used.keys():
            try:
                hash = await self._archive.fact(used_key(label))
            except AmodalError as error:
                # Nothing of it runs before the ledger has said so, too.
                _log.warning("workspace.profiles_unknown", code=error.code)
                break
            if hash is not None:
                self._used[label] = hash
        return self._used

    async def create_automation(
        self, name: str, edit: Edit, allow: Allow, witness: Witness, *, ending: str = ".json"
    ) -> None:
        """As `authoring.create`; live on return."""
        await self._author(partial(authoring.create, ending=ending), name, edit, allow, witness)

    async def change_automation(
        self, name: str, edit: Edit, allow: Allow, witness: Witness
    ) -> None:
        """As `authoring.change`; live on return."""
        await self._author(authoring.change, name, edit, allow, witness)

    async def delete_automation(self, name: str, witness: Witness) -> str:
        """As `authoring.delete`; gone on return."""
        async with self._one_at_a_time:
            file = await asyncio.to_thread(authoring.delete, self._root, name, witness)
            self._reader.believe_deleted(name)
        await self.reload()
        return file

    async def _author(
        self, write: _Write, name: str, edit: Edit, allow: Allow, witness: Witness
    ) -> None:
        # The reader is asked as it stands: nobody may read anew meanwhile.
        async with self._one_at_a_time:
            judge = self._reader.try_out
            await asyncio.to_thread(write, self._root, name, edit, judge, allow, witness)
        await self.reload()

    async def watch(self, *, sweep_seconds: float = SWEEP_SECONDS) -> None:
        """Reload after every change, until cancelled. Call `load` before.

        Every `sweep_seconds` it looks without having been told to.
        """
        await watch_folders(
            self._folders, self._look, clock=self._clock, sweep_seconds=sweep_seconds
        )

    def _folders(self) -> Mapping[str, tuple[int, int]]:
        return self._reading.folders if self._reading else {}

    async def _look(self) -> None:
        try:
            await self.reload()
        except Exception as error:  # noqa: BLE001 - whatever a folder holds, the next look may do better
            _log.exception("workspace.reload_failed", error)

    async def _record(self, snapshot: Snapshot) -> None:
        """Keep the versions that are live now, before anything can run them."""
        if self._archive is None:
            return
        versions = self._versions(snapshot)
        fresh = [
            version
            for version in versions
            if self._recorded.get((version.kind, version.name)) != version.hash
        ]
        there = {(version.kind, version.name) for version in versions}
        there |= {(AUTOMATION, name) for name in snapshot.automations}
        gone = [each for each in self._recorded if each not in there]
        try:
            if fresh:
                await self._archive.record_live(fresh)
                self._recorded |= {(each.kind, each.name): each.hash for each in fresh}
            for kind, name in gone:
                await self._archive.forget_live(kind, name)
                del self._recorded[kind, name]
        except AmodalError as error:
            # The files are good even when the ledger is not; the next look tries again.
            _log.warning("workspace.not_archived", code=error.code, versions=len(fresh))

    def _versions(self, snapshot: Snapshot) -> list[ArchivedDefinition]:
        now = self._clock.now()

        def version(
            kind: str, name: str, hash: str, document: str, file: str
        ) -> ArchivedDefinition:
            return ArchivedDefinition(
                kind=kind, name=name, hash=hash, document=document, file=file, recorded_at=now
            )

        return [
            *(
                version(kind, file, _digest(each), each, file)
                for kind, file, each in (
                    (SETTINGS_KIND, SETTINGS, self._reader.settings_document),
                    (IDENTITIES_KIND, IDENTITIES, self._reader.identities_document),
                )
                if each is not None
            ),
            *(
                version(AUTOMATION, name, good.hash, good.document, good.file)
                for name, good in self._reader.good.items()
            ),
            *(
                version("connection", name, each.hash, each.document, f"connections/{name}")
                for name, each in snapshot.connections.items()
            ),
            *(
                version(AGENT, name, each.hash, _document(asdict(each)), f"agents/{name}.md")
                for name, each in snapshot.agents.items()
            ),
            *(
                version(WORKFLOW, name, each.hash, each.document, each.file)
                for name, each in snapshot.workflows.items()
            ),
            *(
                version(PROFILE, each.label, each.hash, each.document, each.file)
                for each in snapshot.profiles
            ),
            *(
                version("store", name, each.hash, _document(asdict(each)), f"stores/{name}.json")
                for name, each in snapshot.stores.items()
            ),
        ]


def _problems(snapshot: Snapshot) -> list[Problem]:
    states = snapshot.automations.values()
    each_file = (problem for state in states for problem in (*state.problems, *state.blocked))
    return list(dict.fromkeys((*snapshot.problems, *each_file)))


def _warn(known: list[Problem], now: list[Problem]) -> None:
    """Say what is wrong since this reload; a wrong `amodal.json` is to be read nowhere else."""
    fresh = [problem for problem in now if problem not in known]
    for problem in fresh[:MOST_WARNED]:
        _log.warning("workspace.problem", code=problem.code, said=problem.sentence())
    if len(fresh) > MOST_WARNED:
        _log.warning("workspace.problem", more=len(fresh) - MOST_WARNED)


def _alike(one: Reading, other: Reading) -> bool:
    return one.snapshot == other.snapshot and one.environment == other.environment


def _digest(document: str) -> str:
    return hashlib.sha256(document.encode()).hexdigest()


def _document(fields: dict[str, object]) -> str:
    return json.dumps(fields, sort_keys=True, default=str)


def _agent(document: str) -> Agent | None:
    """The agent that `_document` wrote; None for one of another release."""
    try:
        fields: dict[str, Any] = json.loads(document)
        lists: dict[str, Any] = {
            key: None if fields[key] is None else tuple(fields[key])
            for key in ("models", "tools", "connections")
        }
        return Agent(**{**fields, **lists})
    except (ValueError, KeyError, TypeError):
        return None
