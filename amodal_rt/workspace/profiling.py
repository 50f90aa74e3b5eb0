"""What an automation wants of its profile, and what the profile lets run in it."""

import difflib
import json
from collections.abc import Collection, Iterator
from dataclasses import replace

from amodal_rt.domain.automation import AgentWork, Definition
from amodal_rt.domain.problem import Problem
from amodal_rt.domain.profile import BASH, Profile, find_profile
from amodal_rt.guardrails.trifecta import runs_program
from amodal_rt.workspace.world import DEFAULT_AGENT, World


def bound(definition: Definition, world: World) -> Definition:
    """The definition with its profile's agent, where it names no agent itself."""
    automation = definition.automation
    profile = find_profile(world.profiles, automation.profile) if automation.profile else None
    if profile is None:
        return definition
    agent = profile.agent or DEFAULT_AGENT
    if automation.agent == agent or "agent" in json.loads(definition.document):
        return definition
    return replace(definition, automation=replace(automation, agent=agent))


def profile_errors(definition: Definition, world: World) -> Iterator[Problem]:
    """What keeps it from running in the profile that it names."""
    automation = definition.automation
    wanted = automation.profile
    profile = find_profile(world.profiles, wanted) if wanted else None
    if BASH in (automation.tools or ()) and (profile is None or BASH not in profile.tools):
        yield _problem(
            definition,
            "not_granted",
            f"{BASH} is a tool of profiles, and {wanted or 'none'} grants it",
            pointer=f"/tools/{(automation.tools or ()).index(BASH)}",
            hint=f'"tools": ["{BASH}"] in the profile that it names',
        )
    agent = world.agents.get(automation.agent)
    loop = isinstance(automation.work, AgentWork) and runs_program(automation, agent)
    if loop and wanted is None:
        yield _problem(
            definition,
            "no_profile",
            f"the loop of agents/{automation.agent}.md is a program, which runs in a profile, "
            "and none is named",
            pointer="/agent",
            hint='"profile": "<name>", and a file profiles/<name>/1.json',
        )
    if profile is None:
        if wanted is not None:
            yield _missing(definition, str(wanted), world)
        return
    if profile.agent is not None and automation.agent != profile.agent:
        yield _problem(
            definition,
            "not_bound",
            f"{profile.file} is for the agent {profile.agent!r} alone",
            pointer="/agent" if "/agent" in definition.lines else "/profile",
            hint=f'write "agent": "{profile.agent}", or another profile',
        )
    bound = profile.connections
    for index, name in enumerate(automation.connections or ()):
        if bound is not None and name not in bound:
            yield _problem(
                definition,
                "not_bound",
                f"{profile.file} does not bind the connection {name!r}",
                pointer=f"/connections/{index}",
                hint='its "connections" say what runs in it may use',
            )
    if runs_program(automation, agent):
        yield from _writes(definition, profile)


def binding_warnings(world: World) -> Iterator[Problem]:
    """What the latest version of each profile binds and is not there: nobody can use it."""
    latest = {each.name: each for each in sorted(world.profiles, key=lambda each: each.version)}
    connections = {*world.connections, *world.broken_connections}
    agents = {DEFAULT_AGENT, *world.agents, *world.broken_agents}
    for profile in latest.values():
        for name in profile.connections or ():
            if name not in connections:
                yield _unbound(profile, "connection", name, connections)
        if profile.agent is not None and profile.agent not in agents:
            yield _unbound(profile, "agent", profile.agent, agents)


def _unbound(profile: Profile, kind: str, name: str, known: Collection[str]) -> Problem:
    near = difflib.get_close_matches(name, known, 1)
    # A version that was used stays as it is: its mistakes are mended by the next one.
    hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(sorted(known)) or 'none'}"
    return Problem(
        file=profile.file,
        code=f"unknown_{kind}",
        message=f"it binds the {kind} {name!r}, which is not there",
        severity="warning",
        hint=hint,
    )


def profile_secrets(definition: Definition, world: World) -> tuple[str, ...]:
    """The variables without which nothing runs in its profile."""
    wanted = definition.automation.profile
    profile = find_profile(world.profiles, wanted) if wanted else None
    return profile.secrets if profile else ()


def _writes(definition: Definition, profile: Profile) -> Iterator[Problem]:
    if profile.harms is not None and not definition.automation.write_enabled:
        yield _problem(
            definition,
            "write_not_enabled",
            f"a program in {profile.label} is a write ({profile.harms}), and this automation is "
            "read-only",
            pointer="/profile",
            hint='"writeEnabled": true would allow it; so would a profile without writable mounts '
            'and without hosts, or with hosts that say "intent": "read"',
        )


def _missing(definition: Definition, wanted: str, world: World) -> Problem:
    name, _, version = wanted.partition("@")
    broken = [each for each in world.broken_profiles if each.partition("@")[0] == name]
    if (wanted in broken) or (broken and not version):
        file = f"profiles/{broken[0].replace('@', '/')}.json"
        return _problem(definition, "broken_profile", f"{file} is invalid", pointer="/profile")
    versions = [str(each.version) for each in world.profiles if each.name == name]
    names = sorted({each.name for each in world.profiles})
    hint = f"add profiles/{name}/{version or 1}.json"
    if versions:
        hint = f"there are the versions {', '.join(versions)}"
    elif near := difflib.get_close_matches(name, names, 1):
        hint = f"did you mean {near[0]}?"
    elif names:
        hint = f"known: {', '.join(names)}"
    return _problem(
        definition,
        "unknown_profile",
        f"there is no profile {wanted}",
        pointer="/profile",
        hint=hint,
    )


def _problem(
    definition: Definition, code: str, message: str, *, pointer: str, hint: str | None = None
) -> Problem:
    return Problem(
        file=definition.file,
        code=code,
        message=message,
        line=definition.lines.get(pointer),
        hint=hint,
    )
