"""What stands beside the automations: each kind of file, as it stands now.

Sync and free of clocks: it runs in a thread.
"""

from collections.abc import Mapping
from functools import partial

from amodal_rt.definitions.naming_workflows import Workflows
from amodal_rt.domain.connection import Agent
from amodal_rt.domain.event_type import EventType
from amodal_rt.domain.identity import Identities
from amodal_rt.domain.problem import Problem
from amodal_rt.domain.profile import Profile
from amodal_rt.domain.workflow import Script, Workflow
from amodal_rt.domain.workspace import WorkspaceSettings
from amodal_rt.workspace import parsing
from amodal_rt.workspace.reading import IDENTITIES, SETTINGS, Found, Scan
from amodal_rt.workspace.remembering import document_of, identities_of, settings_of
from amodal_rt.workspace.shelf import Find, Parsed, Shelf
from amodal_rt.workspace.standing import Standing


class Beside:
    """One `Standing` for each kind of file but automations.

    `agents` and `workflows` give, by file, what to go on with for those that are broken at the
    first look;
    `settings_document` and `identities_document` are what `amodal.json` and `identities.json`
    were last, and then their newest good versions, as the ledger may keep them. `profiles` gives
    their good versions by file; `used` is which text each had when a run first had it, by label.
    """

    def __init__(
        self,
        find: Find,
        *,
        agents: Mapping[str, Agent] | None = None,
        settings_document: str | None = None,
        identities_document: str | None = None,
        workflows: Mapping[str, Workflow] | None = None,
        profiles: Mapping[str, Profile] | None = None,
    ) -> None:
        self.settings_document = settings_document
        self.identities_document = identities_document
        members = identities_of(identities_document) if identities_document else None
        known = settings_of(settings_document) if settings_document else None
        self._settings = Standing(
            Shelf(self._parse_settings, find), {SETTINGS: known} if known else None
        )
        self._dotenv = Standing(Shelf(parsing.dotenv, find))
        self.agents = Standing(Shelf(parsing.agent, find), agents)
        self.knowledge = Standing(Shelf(parsing.knowledge, find))
        self.stores = Standing(Shelf(parsing.store, find))
        self.connections = Standing(Shelf(parsing.connection, find))
        self.integrations = Standing(Shelf(parsing.integration, find))
        self._scripts = Standing(Shelf(parsing.script, find))
        self._workflows = Standing(
            Shelf(partial(parsing.workflow, scripts=lambda: self._named_scripts), find), workflows
        )
        self._named_scripts: dict[str, Script] = {}
        self.workflows = Workflows()
        self.used: Mapping[str, str] = {}
        self._judged_by: Mapping[str, str] = {}
        self._profiles = Standing(
            Shelf(partial(parsing.profile, used=lambda: self.used), find), profiles
        )
        self._event_types = Standing(Shelf(parsing.event_type, find))
        self._identities = Standing(
            Shelf(self._parse_identities, find), {IDENTITIES: members} if members else None
        )

    def update(self, found: Scan, *, stamp: int, missing: bool) -> None:
        """Read what changed. With `missing`, what has no file is not believed to be deleted:
        the volume may be away."""
        folders = {name: list(files.values()) for name, files in found.connections.items()}
        if not found.settings and not missing:
            self.settings_document = None
        if not found.identities and not missing:
            self.identities_document = None
        for standing, files in (
            (self._settings, single(found.settings)),
            (self._dotenv, single(found.dotenv)),
            (self.agents, each_of(found, "agents")),
            (self.knowledge, each_of(found, "knowledge")),
            (self.stores, each_of(found, "stores")),
            (self.connections, folders),
            (self.integrations, each_of(found, "integrations")),
            (self._event_types, each_of(found, "events")),
            (self._identities, single(found.identities)),
        ):
            if missing and not files:
                standing.keep()
            else:
                standing.update(files, now=stamp)
        self._update_workflows(found, stamp=stamp, missing=missing)
        profiles = {file: [each] for file, each in found.profiles.items()}
        if missing and not profiles:
            self._profiles.keep()
        else:
            self._profiles.update(profiles, now=stamp, relink=self.used != self._judged_by)
            self._judged_by = dict(self.used)

    def _update_workflows(self, found: Scan, *, stamp: int, missing: bool) -> None:
        """Scripts before the graphs that name them. The same object as before when nothing
        changed."""
        before = self._named_scripts
        for standing, folder in ((self._scripts, "scripts"), (self._workflows, "workflows")):
            files = each_of(found, folder)
            if missing and not files:
                standing.keep()
            else:
                standing.update(files, now=stamp, relink=self._named_scripts is not before)
            scripts = {each.name: each for each in self._scripts.values.values()}
            if scripts != self._named_scripts:
                self._named_scripts = scripts
        workflows = Workflows(
            named={each.name: each for each in self._workflows.values.values()},
            broken=frozenset(parsing.stem(file) for file in self._workflows.broken),
            scripts=self._named_scripts,
        )
        if workflows != self.workflows:
            self.workflows = workflows

    @property
    def settings(self) -> WorkspaceSettings:
        """`amodal.json`, or what holds without one."""
        return next(iter(self._settings.values.values()), WorkspaceSettings())

    @property
    def dotenv(self) -> dict[str, str]:
        """The variables of `.env`."""
        return next(iter(self._dotenv.values.values()), dict[str, str]())

    @property
    def event_types(self) -> dict[str, EventType]:
        """By name; of two files that name one type, the first in the alphabet counts."""
        found = sorted(self._event_types.values.items(), reverse=True)
        return {each.name: each for _, each in found}

    @property
    def profiles(self) -> tuple[Profile, ...]:
        """All versions of all profiles, each name's in their order."""
        found = self._profiles.values.values()
        return tuple(sorted(found, key=lambda each: (each.name, each.version)))

    @property
    def broken_profiles(self) -> frozenset[str]:
        """Labels of versions that have files and never were good."""
        paths = (file.removesuffix(".json").split("/") for file in self._profiles.broken)
        return frozenset(f"{name}@{version}" for *_, name, version in paths)

    @property
    def identities(self) -> Identities:
        """`identities.json`; nobody is known without one."""
        return next(iter(self._identities.values.values()), Identities())

    @property
    def settings_broken(self) -> tuple[Problem, ...]:
        """What is wrong with an `amodal.json` that never was right."""
        broken = self._settings.problems if self._settings.broken else ()
        return tuple(each for each in broken if each.severity == "error")

    @property
    def problems(self) -> list[Problem]:
        """What is wrong with any of them, kind by kind."""
        kinds = (
            self._settings,
            self._dotenv,
            self.agents,
            self.knowledge,
            self.stores,
            self.connections,
            self.integrations,
            self._event_types,
            self._identities,
            self._scripts,
            self._workflows,
            self._profiles,
        )
        found = [problem for each in kinds for problem in each.problems]
        return [*found, *self._same_names()]

    def _same_names(self) -> list[Problem]:
        named = self.event_types
        return [
            Problem(
                file=file,
                code="duplicate_event",
                message=f"{named[each.name].source} says what {each.name} is, too",
                hint="keep one of the two",
            )
            for file, each in self._event_types.values.items()
            if named[each.name].source != file
        ]

    def _parse_settings(self, file: str, files: parsing.Files) -> Parsed[WorkspaceSettings]:
        parsed = parsing.settings(file, files)
        if parsed.value is not None:
            self.settings_document = document_of(files[file])
        return parsed

    def _parse_identities(self, file: str, files: parsing.Files) -> Parsed[Identities]:
        parsed = parsing.identities(file, files)
        if parsed.value is not None:
            self.identities_document = files[file].decode("utf-8-sig")
        return parsed


def single(found: Found | None) -> dict[str, list[Found]]:
    """A file that there is at most one of, as a shelf takes it."""
    return {found.file: [found]} if found else {}


def each_of(found: Scan, folder: str) -> dict[str, list[Found]]:
    """The files of a folder whose every file is one definition, as a shelf takes them."""
    return {file: [each] for file, each in found.singles[folder].items()}
