"""Whether a good file can run among the others: the names it uses, the secrets it needs."""

import difflib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from amodal_rt.definitions.building import OWN_TOOLS
from amodal_rt.definitions.words import WRONG_WHERE
from amodal_rt.domain.automation import AgentWork, Automation, Definition
from amodal_rt.domain.models import budget_models, configured_models, missing_requirements
from amodal_rt.domain.problem import Problem, Severity
from amodal_rt.domain.profile import find_profile
from amodal_rt.domain.secret import SecretRef
from amodal_rt.domain.workflow import Workflow
from amodal_rt.domain.workspace import MODEL_KEY_MISSING, WorkspaceSettings
from amodal_rt.errors import InvalidError
from amodal_rt.guardrails.grants import grants_of
from amodal_rt.guardrails.trifecta import holdings_of
from amodal_rt.settings import Environment
from amodal_rt.workspace.event_names import (
    Sources,
    event_warnings,
    key_warnings,
    member_warnings,
    trigger_errors,
)
from amodal_rt.workspace.gating import expect_errors, read_connections, read_errors
from amodal_rt.workspace.graph_powers import unset_targets, variable_errors, write_warnings
from amodal_rt.workspace.graphing import (
    connections_of,
    entry_errors,
    grant_errors,
    graph_errors,
    graph_warnings,
    graphs_of,
    sessions_of,
)
from amodal_rt.workspace.profiling import profile_errors, profile_secrets
from amodal_rt.workspace.risks import risk_errors, risk_warnings
from amodal_rt.workspace.secret_faults import hint_for, secret_faults
from amodal_rt.workspace.world import DEFAULT_AGENT, World
from amodal_rt.workspace.write_granting import link_warnings, write_errors


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`errors`: this version cannot run here, an older one may. `blocked`: no version can
    until the environment changes. `warnings` stop nothing."""

    errors: tuple[Problem, ...] = ()
    blocked: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()


def judge(definition: Definition, world: World) -> Verdict:
    """Look at one version among everything else."""
    automation = definition.automation
    profile = find_profile(world.profiles, automation.profile) if automation.profile else None
    agent = world.agents.get(automation.agent)
    grants = grants_of(automation, agent, profile)
    holdings = holdings_of(automation, agent, grants, world.connections, profile)
    allowed = grants.connections
    refused = tuple(risk_errors(definition, agent, holdings))
    sources = sources_of(world)
    graphs = graphs_of(automation)
    # An older version that is still good runs what it began with, files or not.
    named = {**world.workflows, **{each.name: each for each in graphs[1:]}}
    needed = {*read_connections(automation), *connections_of(graphs)}
    errors = [
        *_agent_errors(definition, world),
        *_connection_errors(definition, world),
        *_tool_errors(definition, world),
        *read_errors(definition, grants, world.connections),
        *expect_errors(definition, world.stores),
        *write_errors(definition, grants, world.connections, world.broken_connections),
        *trigger_errors(definition, sources),
        *entry_errors(definition),
        *grant_errors(definition, grants, graphs),
        *variable_errors(definition, graphs),
        *profile_errors(definition, world),
        *refused,
        *(error for graph in graphs for error in graph_errors(graph, world, named)),
    ]
    blocked = _unset(definition, _variables(definition, world), world.environment)
    blocked += _bad_secrets(definition, world.environment)
    kept_out, warnings = _unset_connections(definition, world, allowed, needed)
    blocked += kept_out
    model_errors, keys = _models(definition, graphs, world)
    warnings += (each for graph in graphs for each in graph_warnings(graph, sources))
    warnings += write_warnings(definition, graphs, world.connections)
    warnings += unset_targets(graphs, world.settings.targets, world.environment)
    warnings += event_warnings(definition, sources)
    warnings += key_warnings(definition)
    warnings += link_warnings(definition, world.settings)
    warnings += member_warnings(definition, world.identities)
    warnings += () if refused else risk_warnings(definition, holdings)
    return Verdict(
        errors=(*errors, *model_errors),
        blocked=tuple(dict.fromkeys((*blocked, *keys))),
        warnings=tuple(warnings),
    )


def _unset_connections(
    definition: Definition, world: World, allowed: Sequence[str] | None, needed: Collection[str]
) -> tuple[list[Problem], list[Problem]]:
    """What is unset of connections that it cannot do without, and of those that it can."""
    blocked: list[Problem] = []
    warnings: list[Problem] = []
    for name in world.connections if allowed is None else allowed:
        connection = world.connections.get(name)
        if connection is None:
            continue
        unset = world.environment.missing(connection.secrets)
        if unset and allowed is None and name not in needed:
            warnings.append(_without(definition, name, unset))
        else:
            blocked += _unset(definition, unset, world.environment)
    return blocked, warnings


def _variables(definition: Definition, world: World) -> tuple[str, ...]:
    return (*definition.secrets, *profile_secrets(definition, world))


def graph_problems(world: World) -> tuple[Problem, ...]:
    """What is wrong with graphs among everything else, whoever runs them."""
    sources = sources_of(world)
    return tuple(
        problem
        for graph in world.workflows.values()
        for problem in (
            *graph_errors(graph, world, world.workflows),
            *graph_warnings(graph, sources),
        )
    )


def _problem(
    definition: Definition,
    code: str,
    message: str,
    *,
    pointer: str = "",
    hint: str | None = None,
    severity: Severity = "error",
) -> Problem:
    return Problem(
        file=definition.file,
        code=code,
        message=message,
        line=definition.lines.get(pointer),
        hint=hint,
        severity=severity,
    )


def _nearest(name: str, known: Collection[str]) -> str | None:
    close = difflib.get_close_matches(name, known, 1)
    if close:
        return f"did you mean {close[0]}?"
    return f"known: {', '.join(sorted(known))}" if known else None


def sources_of(world: World) -> Sources:
    """Who sends events here."""
    return Sources(
        event_types=world.event_types,
        integrations=world.integrations,
        connections=world.connections,
    )


def _agent_errors(definition: Definition, world: World) -> Iterable[Problem]:
    name = definition.automation.agent
    if name in world.agents or (name == DEFAULT_AGENT and name not in world.broken_agents):
        return
    if name in world.broken_agents:
        message = f"agents/{name}.md is invalid"
        yield _problem(definition, "broken_agent", message, pointer="/agent", hint=WRONG_WHERE)
        return
    yield _problem(
        definition,
        "unknown_agent",
        f"there is no agent {name!r}",
        pointer="/agent",
        hint=_nearest(name, {DEFAULT_AGENT, *world.agents}) or f"add agents/{name}.md",
    )


def _connection_errors(definition: Definition, world: World) -> Iterable[Problem]:
    for index, name in enumerate(definition.automation.connections or ()):
        if name in world.connections:
            continue
        pointer = f"/connections/{index}"
        if name in world.broken_connections:
            message = f"connections/{name} is invalid"
            yield _problem(
                definition, "broken_connection", message, pointer=pointer, hint=WRONG_WHERE
            )
            continue
        yield _problem(
            definition,
            "unknown_connection",
            f"there is no connection {name!r}",
            pointer=pointer,
            hint=_nearest(name, world.connections) or f"add connections/{name}/spec.json",
        )


def _tool_errors(definition: Definition, world: World) -> Iterable[Problem]:
    known = {*world.connections, *world.broken_connections}
    for index, tool in enumerate(definition.automation.tools or ()):
        name = tool.partition(".")[0] if "." in tool else tool.partition("__")[0]
        if any(mark in name for mark in "*?[") or tool in OWN_TOOLS or name in known:
            continue
        yield _problem(
            definition,
            "unknown_tool",
            f"no connection and no tool of the runtime is called {name!r}",
            pointer=f"/tools/{index}",
            hint=_nearest(name, known | OWN_TOOLS),
        )


def _models(
    definition: Definition, graphs: Sequence[Workflow], world: World
) -> tuple[tuple[Problem, ...], tuple[Problem, ...]]:
    """Errors in the names of models, and keys that are missing for good names. A graph needs
    those of its agent nodes alone."""
    automation: Automation = definition.automation
    asking = [automation] if isinstance(automation.work, AgentWork) else []
    for each in sessions_of(graphs):
        models, name = each.models or automation.models, each.agent or automation.agent
        asking.append(replace(automation, models=models, agent=name))
    found = [_models_of(definition, each, world) for each in asking]
    return (
        tuple(dict.fromkeys(error for errors, _ in found for error in errors)),
        tuple(dict.fromkeys(key for _, keys in found for key in keys)),
    )


def _models_of(
    definition: Definition, automation: Automation, world: World
) -> tuple[tuple[Problem, ...], tuple[Problem, ...]]:
    models = configured_models(automation, world.agents.get(automation.agent), world.settings)
    if models:
        models += budget_models(automation, world.settings)
    try:
        missing = missing_requirements(models, world.settings, world.environment.find)
    except InvalidError as error:
        wrong = _problem(definition, error.code, error.message, pointer="/model", hint=error.hint)
        return (wrong,), ()
    keys = (
        _problem(
            definition,
            MODEL_KEY_MISSING,
            each.sentence(),
            pointer="/model",
            hint=f"set {' or '.join(each.variables)} in the environment or in .env",
        )
        for each in missing
    )
    return (), tuple(keys)


def _unset(definition: Definition, names: Iterable[str], environment: Environment) -> list[Problem]:
    return [
        _problem(
            definition,
            "env_missing",
            f"the environment variable {name} is not set",
            pointer=_pointer(definition, name),
            hint=f"set {name} in the environment or in .env",
        )
        for name in environment.missing(names)
    ]


def unset_in_settings(settings: WorkspaceSettings, environment: Environment) -> list[Problem]:
    """Variables without which the workspace's alerts and its heartbeat go nowhere, and no
    daemon finds its database."""
    alerts = settings.alerts
    texts = [alerts.heartbeat_url]
    texts += [text for target in alerts.targets for text in (target.url, target.secret)]
    named = {"alerts": texts, "database": [settings.database]}
    return [
        Problem(
            file="amodal.json",
            code="env_missing",
            message=f"{key}: the environment variable {name} is not set",
            severity="warning",
            hint=f"set {name} in the environment or in .env",
        )
        for key, values in named.items()
        for name in environment.missing(
            dict.fromkeys(text.name for text in values if isinstance(text, SecretRef))
        )
    ]


def _pointer(definition: Definition, variable: str) -> str:
    """Where in the file the variable is named; the file itself where that is not plain."""
    automation = definition.automation
    webhook, delivery, alert = automation.webhook, automation.delivery, automation.failure_alert
    named: dict[str, object] = {}
    if webhook and webhook.auth:
        named["/webhookAuth/secret"] = webhook.auth.secrets[0]
        named |= {f"/webhookAuth/secret/{n}": each for n, each in enumerate(webhook.auth.secrets)}
    asked = automation.approvals
    for place, sends in (("/delivery", delivery), ("/failureAlert", alert), ("/approvals", asked)):
        for n, target in enumerate(sends.targets if sends else ()):
            named[f"{place}/targets/{n}/url"] = target.url
            named[f"{place}/targets/{n}/secret"] = target.secret
    wanted = SecretRef(variable)
    found = (at for at, value in named.items() if value == wanted and at in definition.lines)
    return next(found, "")


def _without(definition: Definition, connection: str, unset: tuple[str, ...]) -> Problem:
    return _problem(
        definition,
        "connection_disabled",
        f"runs without the connection {connection}: {', '.join(unset)} is not set",
        hint="set it, or list the connections that this automation may use",
        severity="warning",
    )


def _bad_secrets(definition: Definition, environment: Environment) -> Iterable[Problem]:
    webhook = definition.automation.webhook
    for name, fault in secret_faults(webhook.auth, environment) if webhook and webhook.auth else ():
        yield _problem(
            definition,
            "env_bad",
            f"the value of {name} {fault}",
            pointer=_pointer(definition, name),
            hint=hint_for(fault),
        )
