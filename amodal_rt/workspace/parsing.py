"""Hands the bytes of each kind of file to `definitions`, and what these need beside them."""

import posixpath
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath

from amodal_rt.definitions.agent import parse_agent
from amodal_rt.definitions.automation import parse_automation
from amodal_rt.definitions.connection import parse_connection
from amodal_rt.definitions.event_type import parse_event_type
from amodal_rt.definitions.graph import parse_workflow
from amodal_rt.definitions.identities import parse_identities
from amodal_rt.definitions.integration import parse_integration
from amodal_rt.definitions.knowledge import parse_knowledge
from amodal_rt.definitions.naming_workflows import Workflows
from amodal_rt.definitions.profile import parse_profile
from amodal_rt.definitions.script import parse_script
from amodal_rt.definitions.settings import parse_settings
from amodal_rt.definitions.store import parse_store
from amodal_rt.domain.automation import Definition
from amodal_rt.domain.connection import Agent, Connection, Knowledge, Store
from amodal_rt.domain.event_type import EventType
from amodal_rt.domain.identity import Identities
from amodal_rt.domain.integration import Integration
from amodal_rt.domain.problem import Problem
from amodal_rt.domain.profile import Profile
from amodal_rt.domain.workflow import Script, Workflow
from amodal_rt.domain.workspace import WorkspaceSettings
from amodal_rt.errors import InvalidError
from amodal_rt.workspace.dotenv import parse_dotenv
from amodal_rt.workspace.reading import Found, UnreadableError, read
from amodal_rt.workspace.shelf import Find, Need, Parsed, digest_of

Files = Mapping[str, bytes]


def stem(file: str) -> str:
    """`daily` for `automations/daily.json`."""
    # A look at 10,000 files asks 10,000 times: a path object would take most of its time.
    return file.rpartition("/")[2].rpartition(".")[0]


def automation(
    file: str,
    files: Files,
    *,
    settings: Callable[[], WorkspaceSettings],
    workflows: Callable[[], Workflows],
    find: Find,
) -> Parsed[Definition]:
    """One automation, with the prompt files that it names as needs."""
    needs: list[Need] = []

    def read_prompt(path: str) -> str:
        return _read_prompt(path, find, needs)

    parsed = parse_automation(
        files[file],
        file=file,
        settings=settings(),
        read_prompt=read_prompt,
        workflows=workflows(),
    )
    return Parsed(parsed.definition, parsed.problems, tuple(needs), linked=parsed.linked)


def settings(file: str, files: Files) -> Parsed[WorkspaceSettings]:
    """`amodal.json`."""
    return Parsed(*parse_settings(files[file], file))


def dotenv(file: str, files: Files) -> Parsed[dict[str, str]]:
    """`.env`."""
    return Parsed(*parse_dotenv(files[file], file=file))


def connection(name: str, files: Files) -> Parsed[Connection]:
    """One folder of `connections/`."""
    return Parsed(*parse_connection(name, {posixpath.basename(k): v for k, v in files.items()}))


def agent(file: str, files: Files) -> Parsed[Agent]:
    """One file of `agents/`."""
    return Parsed(*parse_agent(files[file], file=file))


def knowledge(file: str, files: Files) -> Parsed[Knowledge]:
    """One file of `knowledge/`."""
    return Parsed(*parse_knowledge(files[file], file=file))


def store(file: str, files: Files) -> Parsed[Store]:
    """One file of `stores/`."""
    return Parsed(*parse_store(files[file], file=file))


def script(file: str, files: Files) -> Parsed[Script]:
    """One file of `scripts/`."""
    return Parsed(*parse_script(files[file], file=file))


def workflow(
    file: str, files: Files, *, scripts: Callable[[], Mapping[str, Script]]
) -> Parsed[Workflow]:
    """One file of `workflows/`."""
    return Parsed(*parse_workflow(files[file], file=file, scripts=scripts()), linked=True)


def integration(file: str, files: Files) -> Parsed[Integration]:
    """One file of `integrations/`."""
    return Parsed(*parse_integration(files[file], file=file))


def event_type(file: str, files: Files) -> Parsed[EventType]:
    """One file of `events/`."""
    return Parsed(*parse_event_type(files[file], file=file))


def identities(file: str, files: Files) -> Parsed[Identities]:
    """`identities.json`."""
    return Parsed(*parse_identities(files[file], file))


def profile(file: str, files: Files, *, used: Callable[[], Mapping[str, str]]) -> Parsed[Profile]:
    """One file of `profiles/<name>/`. `used` gives the hashes of the versions that runs have had,
    by label: those stay as they are."""
    value, problems = parse_profile(files[file], file=file)
    if value is None or used().get(value.label, value.hash) == value.hash:
        return Parsed(value, problems, linked=True)
    changed = Problem(
        file=file,
        code="profile_changed",
        message=f"{value.label} is not what it was when a run first used it",
        hint=f"put it back, and write the change as profiles/{value.name}/{value.version + 1}.json",
    )
    return Parsed(None, (*problems, changed), linked=True)


def _read_prompt(path: str, find: Find, needs: list[Need]) -> str:
    """The text of a prompt file, its path counted from the workspace.

    Raises InvalidError. A hidden file is none of an agent's business: `.env` is one.
    """
    file = posixpath.normpath(path)
    parts = PurePosixPath(file).parts
    if file.startswith("/") or any(part.startswith(".") for part in parts) or "\0" in file:
        raise InvalidError(
            f"promptFile {path!r} is not a visible file inside the workspace",
            code="outside",
            hint="the path counts from the workspace's folder",
        )
    found: Found | None = find(file)
    needs.append(Need(file, found, digest_of(found) if found else b""))
    if found is None:
        raise InvalidError(
            f"promptFile {path!r} does not exist",
            code="no_such_file",
            hint="the path counts from the workspace's folder",
        )
    try:
        return read(found).decode("utf-8-sig")
    except UnreadableError as error:
        problem = error.problem
        raise InvalidError(f"promptFile {path!r}: {problem.message}", code=problem.code) from error
