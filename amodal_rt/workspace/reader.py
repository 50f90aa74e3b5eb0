"""From one look at the disk to one complete reading, at the cost of what changed.

Synchronous, so that it can run in a thread; one look at a time.
"""

import operator
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from amodal_rt.clock import to_millis
from amodal_rt.definitions.automation import reparse
from amodal_rt.domain.automation import Definition
from amodal_rt.domain.connection import Agent
from amodal_rt.domain.problem import Problem
from amodal_rt.domain.profile import Profile
from amodal_rt.domain.workflow import Workflow
from amodal_rt.domain.workspace import AutomationState, Snapshot
from amodal_rt.settings import Environment
from amodal_rt.workspace import parsing
from amodal_rt.workspace.beside import Beside, each_of
from amodal_rt.workspace.dotenv import readable_problem
from amodal_rt.workspace.judging import Verdict, graph_problems, judge, unset_in_settings
from amodal_rt.workspace.marks import nearest_folder, secret_files
from amodal_rt.workspace.profiling import binding_warnings, bound
from amodal_rt.workspace.reading import AUTOMATIONS, Found, Scan, find, scan
from amodal_rt.workspace.secret_faults import wrong_in_integrations
from amodal_rt.workspace.shelf import Need, Parsed, Shelf
from amodal_rt.workspace.states import state_of, twin_problems
from amodal_rt.workspace.vanishing import Vanishing
from amodal_rt.workspace.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """The version of an automation that was live when the last process ended."""

    document: str
    file: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One reading. `settings_broken`: `amodal.json` is wrong and never was right.

    `folders` are the paths to watch, with their identity.
    """

    snapshot: Snapshot
    environment: Environment
    folders: Mapping[str, tuple[int, int]]
    settings_broken: tuple[Problem, ...] = ()


class Reader:
    """Remembers the last reading, to read only what changed since.

    `remembered` gives, by stem, what to run for a file that is broken at the first look;
    `agents`, `workflows` and `profiles` the same for those, by file; `settings` and `identities`
    what the documents of these were last.
    """

    def __init__(
        self,
        root: Path,
        process_env: Mapping[str, str],
        remembered: Mapping[str, Remembered] | None = None,
        agents: Mapping[str, Agent] | None = None,
        settings: str | None = None,
        identities: str | None = None,
        workflows: Mapping[str, Workflow] | None = None,
        profiles: Mapping[str, Profile] | None = None,
    ) -> None:
        self._root = root
        self._process = dict(process_env)
        self._remembered = dict(remembered or {})
        self._real = ""
        self._beside = Beside(
            self._find,
            agents=agents,
            settings_document=settings,
            identities_document=identities,
            workflows=workflows,
            profiles=profiles,
        )
        parse = partial(
            parsing.automation,
            settings=lambda: self._beside.settings,
            workflows=lambda: self._beside.workflows,
            find=self._find,
        )
        self._automations: Shelf[Definition] = Shelf(parse, self._find)
        self._good: dict[str, Definition] = {}
        self._states: dict[str, AutomationState] = {}
        self._judged: dict[str, tuple[Parsed[Definition], ...]] = {}
        self._world: World | None = None
        self._named_problems: tuple[Problem, ...] = ()
        self._last: Reading | None = None
        self._vanishing = Vanishing()
        self._kept: frozenset[str] = frozenset()

    def read(self, now: datetime, elapsed: float = 0.0) -> Reading:
        """Look again. The same object as before when nothing is different.

        `elapsed` is monotonic: a file is gone for good once it has been for a while.
        """
        self._real = os.path.realpath(self._root)
        found = scan(self._root)
        stamp = to_millis(now) * 1_000_000
        settings_before, workflows_before = self._beside.settings, self._beside.workflows
        lost = self._vanishing.look({*self._states, *self._remembered}, found)
        self._beside.update(found, stamp=stamp, missing=self._vanishing.missing is not None)
        afresh = self._last is not None and self._beside.settings != settings_before
        files = each_of(found, AUTOMATIONS)
        relink = self._beside.workflows is not workflows_before
        changed = self._automations.update(files, now=stamp, afresh=afresh, relink=relink)
        kept = self._vanishing.kept(
            lost, renamed=self._renamed(lost), elapsed=elapsed if self._last else None
        )
        world = self._make_world()
        if changed or kept != self._kept or world is not self._world:
            self._kept = kept
            self._make_states(world)
        states = self._states
        snapshot = self._make_snapshot(world, states, found)
        reading = Reading(
            snapshot=snapshot,
            environment=world.environment,
            folders=self._watched(found),
            settings_broken=self._beside.settings_broken,
        )
        if self._last is None or reading != self._last:
            self._last = reading
        return self._last

    def try_out(self, file: str, text: bytes) -> tuple[Definition | None, tuple[Problem, ...]]:
        """The version that a file of these bytes would be now, and what is wrong with it: errors
        alone keep it from being live."""
        parsed = parsing.automation(
            file,
            {file: text},
            settings=lambda: self._beside.settings,
            workflows=lambda: self._beside.workflows,
            find=self._find,
        )
        if parsed.value is None or self._world is None:
            return parsed.value, parsed.problems
        definition = bound(parsed.value, self._world)
        return definition, (*parsed.problems, *judge(definition, self._world).errors)

    def know_used(self, hashes: Mapping[str, str]) -> None:
        """Which text each version of a profile had when a run first had it, by label: from the
        next reading on, no other text counts."""
        self._beside.used = dict(hashes)

    def believe_deleted(self, name: str) -> None:
        """The automation's file was taken away on purpose."""
        self._vanishing.believe(name)

    @property
    def settings_document(self) -> str | None:
        """The newest good `amodal.json`, as the ledger may keep it."""
        return self._beside.settings_document

    @property
    def identities_document(self) -> str | None:
        """The newest good `identities.json`."""
        return self._beside.identities_document

    @property
    def world(self) -> World:
        """What everything stood among when it was last read."""
        assert self._world is not None, "read first"
        return self._world

    @property
    def good(self) -> Mapping[str, Definition]:
        """By stem, the newest version of each automation that could run here."""
        return self._good

    def _renamed(self, lost: frozenset[str]) -> frozenset[str]:
        """Those of `lost` whose very words stand in a file that was not there before."""
        if not lost:
            return frozenset()
        fresh = {
            value.hash
            for file in self._automations.names()
            if parsing.stem(file) not in self._states
            and (value := self._automations.get(file).value)
        }
        words = {name: self._good[name].hash for name in lost if name in self._good}
        return frozenset(name for name, hash in words.items() if hash in fresh)

    def _find(self, file: str) -> Found | None:
        return find(self._real, file)

    def _make_world(self) -> World:
        beside = self._beside
        environment = Environment(process=self._process, dotenv=beside.dotenv)
        world = World(
            settings=beside.settings,
            agents={parsing.stem(file): each for file, each in beside.agents.values.items()},
            connections=dict(beside.connections.values),
            environment=environment,
            broken_agents=frozenset(parsing.stem(file) for file in beside.agents.broken),
            broken_connections=beside.connections.broken,
            secret_files=secret_files(environment),
            event_types=beside.event_types,
            integrations={each.name: each for each in beside.integrations.values.values()},
            identities=beside.identities,
            workflows=beside.workflows.named,
            stores=frozenset(each.name for each in beside.stores.values.values()),
            broken_stores=frozenset(parsing.stem(file) for file in beside.stores.broken),
            profiles=beside.profiles,
            broken_profiles=beside.broken_profiles,
        )
        # The same object for an equal world: states are only judged again for another one.
        return self._world if self._world and world == self._world else world

    def _make_states(self, world: World) -> None:
        """Judge what is not as it was, by itself or in this world."""
        files: dict[str, list[str]] = {}
        for file in sorted(self._automations.names()):
            files.setdefault(parsing.stem(file), []).append(file)
        states: dict[str, AutomationState] = {}
        for name, twins in files.items():
            parsed = tuple(self._automations.get(file) for file in twins)
            before = self._states.get(name)
            judged = self._judged.get(name, ())
            same = len(judged) == len(parsed) and all(map(operator.is_, judged, parsed))
            if before and same and world is self._world:
                states[name] = before
                continue
            self._judged[name] = parsed
            state = self._judge(name, twins, parsed, world)
            states[name] = before if before and before == state else state
        for name in self._kept:
            before = self._states.get(name)
            state = self._without_file(name, before, world)
            states[name] = before if before and before == state else state
            self._judged.pop(name, None)
        for name in self._states.keys() - states.keys():
            # A file that is gone takes its last good version with it.
            self._good.pop(name, None)
            self._judged.pop(name, None)
        self._remembered = {}
        self._named_problems = (*graph_problems(world), *binding_warnings(world))
        self._states, self._world = states, world

    def _judge(
        self,
        name: str,
        files: list[str],
        parsed: tuple[Parsed[Definition], ...],
        world: World,
    ) -> AutomationState:
        problems = [problem for each in parsed for problem in each.problems]
        candidate = parsed[0].value if len(parsed) == 1 else None
        problems += twin_problems(name, files)
        if candidate is not None:
            candidate = self._standing(name, bound(candidate, world))
            verdict = judge(candidate, world)
            if not verdict.errors:
                self._good[name] = candidate
                return state_of(name, candidate, problems, verdict)
            problems += verdict.errors
        else:
            verdict = Verdict()
        good = self._last_good(name, world)
        if good is None or (candidate and good.hash == candidate.hash):
            if candidate is None:
                return AutomationState(name=name, file=files[0], problems=tuple(problems))
            problems = [each for each in problems if each not in verdict.errors]
            return state_of(name, candidate, problems, verdict)
        self._good[name] = good
        still = judge(good, world)
        return AutomationState(
            name=name,
            file=files[0],
            definition=good,
            problems=tuple(dict.fromkeys(problems)),
            stale=True,
            blocked=(*still.errors, *still.blocked),
        )

    def _without_file(
        self, name: str, before: AutomationState | None, world: World
    ) -> AutomationState:
        """How an automation stands whose file is gone, and perhaps back in a moment."""
        good = self._last_good(name, world)
        file = good.file if good else before.file if before else name
        gone = Problem(file=file, code="file_gone", message="the file is gone")
        if good is None:
            return AutomationState(name=name, file=file, problems=(gone,))
        self._good[name] = good
        verdict = judge(good, world)
        return AutomationState(
            name=name,
            file=file,
            definition=good,
            problems=(gone,),
            stale=True,
            blocked=(*verdict.errors, *verdict.blocked),
        )

    def _standing(self, name: str, candidate: Definition) -> Definition:
        """The version; the very same object if it stands."""
        good = self._good.get(name)
        return good if good is not None and good == candidate else candidate

    def _last_good(self, name: str, world: World) -> Definition | None:
        """The newest version that could run, by the settings and the profiles of now; None if
        there was none."""
        good = self._good.get(name)
        if good is None:
            remembered = self._remembered.get(name)
            if remembered is None:
                return None
            document, file = remembered.document, remembered.file
        elif self._world and world.settings != self._world.settings:
            document, file = good.document, good.file
        else:
            return bound(good, world)
        # The document names its targets: where they lead is for the settings to say.
        parsed = reparse(document, file=file, settings=world.settings)
        found = parsed.definition or good
        return bound(found, world) if found else None

    def _make_snapshot(
        self, world: World, states: Mapping[str, AutomationState], found: Scan
    ) -> Snapshot:
        beside = self._beside
        problems = beside.problems
        if found.dotenv and (warning := readable_problem(found.dotenv.mode, file=".env")):
            problems.append(warning)
        problems += self._named_problems
        problems += unset_in_settings(world.settings, world.environment)
        problems += wrong_in_integrations(world.integrations.values(), world.environment)
        knowledge = {each.name: each for each in beside.knowledge.values.values()}
        return Snapshot(
            version=0,
            settings=world.settings,
            automations=states,
            agents=world.agents,
            connections=world.connections,
            knowledge=knowledge,
            stores={each.name: each for each in beside.stores.values.values()},
            integrations=world.integrations,
            identities=world.identities,
            event_types=world.event_types,
            workflows=world.workflows,
            profiles=world.profiles,
            problems=(*problems, *self._missing(), *found.problems),
        )

    def _missing(self) -> tuple[Problem, ...]:
        why = self._vanishing.missing
        if why is None:
            return ()
        message = f"the folder {why}: the last good versions run on, {len(self._kept)} in all"
        hint = "put the files back; nothing counts as deleted until one of them is there"
        return (Problem(file=AUTOMATIONS, code="workspace_missing", message=message, hint=hint),)

    def _watched(self, found: Scan) -> dict[str, tuple[int, int]]:
        """The folders of the scan, and those of further files that automations name."""
        folders = dict(found.folders)
        needs: set[Need] = set()
        for file in self._automations.names():
            needs.update(self._automations.get(file).needs)
        for need in needs:
            path = Path(need.found.path if need.found else f"{self._real}/{need.file}")
            folders |= nearest_folder(path)
        return folders
