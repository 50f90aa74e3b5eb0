"""How far an automation reaches by its files: what it may call and write, where it may connect,
which secrets it is given. And what one reading of the files lets it do that another did not.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import inf
from urllib.parse import urlsplit

from amodal_rt.domain.automation import AgentWork, Automation, Definition, Limits
from amodal_rt.domain.connection import AccessRule, Connection, Intent
from amodal_rt.domain.delivery import Target, TargetType
from amodal_rt.domain.filter import shown_path
from amodal_rt.domain.models import budget_models, configured_models, resolve_models
from amodal_rt.domain.profile import Isolation, Profile
from amodal_rt.domain.secret import SecretRef, Text
from amodal_rt.domain.workspace import Provider, Snapshot, WorkspaceLimits
from amodal_rt.errors import InvalidError
from amodal_rt.guardrails.grants import grants_of
from amodal_rt.guardrails.powers import widened, within

_NOTHING: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Of one automation, with the files beside it. `hosts` are origins, or `env:NAME` where the
    address stands in the environment; `programs` what it starts on this machine; `secrets` names
    of variables; `models` the providers that see what it reads. `sandbox` says, in sentences, what
    programs get in its profile. `reads` is what a person has declared to be a read, `guards` to be
    a write or to need one, as `connection METHOD /path`; guards with the numbers above which they
    hold, all calls where there are none. `trust` says what connections take for their own, and
    where tainted runs may aim, in sentences."""

    connections: tuple[str, ...] = ()
    hosts: frozenset[str] = _NOTHING
    programs: frozenset[str] = _NOTHING
    secrets: frozenset[str] = _NOTHING
    models: frozenset[str] = _NOTHING
    sandbox: frozenset[str] = _NOTHING
    reads: frozenset[str] = _NOTHING
    trust: frozenset[str] = _NOTHING
    guards: Mapping[str, Mapping[str, float]] = field(
        default_factory=dict[str, Mapping[str, float]]
    )
    receivers: Mapping[str, str] = field(default_factory=dict[str, str])


def reach_of(definition: Definition, snapshot: Snapshot) -> Reach:
    """What the definition reaches by the files of that snapshot."""
    automation = definition.automation
    profile = snapshot.profile_of(automation)
    grants = grants_of(automation, snapshot.agents.get(automation.agent), profile)
    used = [each for name, each in sorted(snapshot.connections.items()) if grants.connection(name)]
    receivers = {each.label: _receiver(each) for each in _targets(automation)}
    return Reach(
        connections=tuple(each.name for each in used),
        hosts=frozenset(origin for each in used for origin in _hosts(each))
        | frozenset(each for each in receivers.values() if each),
        programs=frozenset(filter(None, map(_program, used))),
        secrets=frozenset(definition.secrets).union(
            *(each.secrets for each in used), profile.secrets if profile else ()
        ),
        models=frozenset(_models(automation, snapshot)),
        sandbox=frozenset(_sandbox(profile) if profile else ()),
        reads=frozenset(line for each in used for line in _reads(each)),
        trust=frozenset(line for each in used for line in _trust(each)),
        guards={line: above for each in used for line, above in _guards(each)},
        receivers=receivers,
    )


_OF_THE_FILE = frozenset(
    {
        "writeEnabled",
        "writes",
        "limits.writes",
        "runAs",
        "command",
        "profile",
        "acknowledge",
        "approvals",
    }
)


def gained(
    before: Definition | None, old: Snapshot, after: Definition, new: Snapshot
) -> dict[str, list[str]]:
    """By the word of each power, what `after` may do by the files of `new` that `before` could
    not by those of `old`; empty where nothing is widened. A key that says it all by itself (a
    limit that was raised) has an empty list."""
    had = reach_of(before, old) if before else Reach()
    has = reach_of(after, new)
    there = set(had.connections) & set(has.connections)
    # On a connection that it did not have, a guard that never was is nothing lost.
    lost = [
        guard_text(line, above)
        for line, above in had.guards.items()
        if _of(line) in there and not _held(above, has.guards.get(line))
    ]
    found = {
        "connections": sorted(set(has.connections) - set(had.connections)),
        "hosts": sorted(has.hosts - had.hosts),
        "programs": sorted(has.programs - had.programs),
        "secrets": sorted(has.secrets - had.secrets),
        "models": sorted(has.models - had.models),
        "sandbox": sorted(has.sandbox - had.sandbox),
        "access": sorted(
            [f"{each} is a read" for each in has.reads - had.reads if _of(each) in there]
            + [each for each in has.trust - had.trust if _of(each) in there]
            + [f"{each} is held no longer" for each in lost]
        ),
    }
    powers: dict[str, list[str]] = {word: each for word, each in found.items() if each}
    powers |= {word: [] for word in widened(before, after, new) if word in _OF_THE_FILE}
    if before and not within(_tools(after, new), _tools(before, old)):
        powers["tools"] = list(_tools(after, new) or ["all"])
    if before and _signed(before.automation) and not _signed(after.automation):
        powers["webhook"] = ["whoever knows its URL may start it"]
    if before:
        powers |= {
            f"limits.{word}": []
            for word in raised(before.automation.limits, after.automation.limits)
        }
    return powers


_BUDGETS = {
    "maxTokens": "max_tokens",
    "maxCostUsd": "max_cost_usd",
    "maxTokensPerDay": "max_tokens_per_day",
    "maxCostUsdPerDay": "max_cost_usd_per_day",
    "maxUnpricedTokensPerDay": "max_unpriced_tokens_per_day",
}


def raised(old: Limits | WorkspaceLimits, new: Limits | WorkspaceLimits) -> list[str]:
    """Which budgets of limits are higher than they were, as the files call them; None of one is
    no bound."""
    return [word for word, name in _BUDGETS.items() if _bound(new, name) > _bound(old, name)]


def _bound(limits: Limits | WorkspaceLimits, name: str) -> float:
    found: float | None = getattr(limits, name, None)
    return inf if found is None else found


def _signed(automation: Automation) -> bool:
    """True without a webhook, too: nobody starts it so."""
    return automation.webhook is None or automation.webhook.auth is not None


def guard_text(line: str, above: Mapping[str, float]) -> str:
    """A guard in words: `crm POST /refunds (never), above data.amount 100`."""
    numbers = ", ".join(f"{place} {limit:g}" for place, limit in above.items())
    return f"{line}, above {numbers}" if numbers else line


def _held(old: Mapping[str, float], new: Mapping[str, float] | None) -> bool:
    """Whether a guard holds all that it held; None is one that is gone, without numbers it holds
    every call."""
    if not new:
        return new is not None
    return bool(old) and all(new.get(place, inf) <= limit for place, limit in old.items())


def _tools(definition: Definition, snapshot: Snapshot) -> tuple[str, ...] | None:
    automation = definition.automation
    return grants_of(automation, snapshot.agents.get(automation.agent), None).tools


def _models(automation: Automation, snapshot: Snapshot) -> Iterable[str]:
    if not isinstance(automation.work, AgentWork):
        return
    settings = snapshot.settings
    agent = snapshot.agents.get(automation.agent)
    own, spare = configured_models(automation, agent, settings), budget_models(automation, settings)
    for references in (own, spare):
        try:
            choices = resolve_models(references, settings)
        except InvalidError:
            # The file is invalid with it, and says so itself.
            continue
        yield from (_provider(each.provider) for each in choices)


def _provider(found: Provider) -> str:
    where = f" at {origin(found.base_url)}" if found.base_url is not None else ""
    return f"{found.type.value}{where}"


def _sandbox(profile: Profile) -> Iterable[str]:
    """Without its version: what a later one gives besides is what is gained."""
    name = profile.name
    if profile.isolation is Isolation.NONE:
        yield f"{name} runs without isolation"
    if profile.base is not None:
        yield f"{name} is made of {profile.base}"
    for each in profile.mounts:
        yield f"{name} sees {each.source} at {each.target}"
        if each.writable:
            yield f"{name} may write {each.target}"
    for host in profile.network:
        yield f"{name} may reach {host}"
        if host.intent is Intent.READ:
            yield f"{name} may reach {host} without the power to write"
    yield from (f"{name} gives {tool}" for tool in profile.tools)


def _targets(automation: Automation) -> Iterable[Target]:
    if automation.delivery is not None:
        yield from automation.delivery.targets
    yield from automation.approvals.targets
    if automation.failure_alert is not None:
        yield from automation.failure_alert.targets


def _receiver(target: Target) -> str:
    return "" if target.type is TargetType.CALLBACK else origin(target.url)


def _hosts(connection: Connection) -> Iterable[str]:
    server = connection.mcp
    for url in (connection.base_url, connection.spec_url, server.url if server else None):
        if url is not None:
            yield origin(url)


def origin(url: Text | None) -> str:
    if isinstance(url, SecretRef):
        return str(url)
    parts = urlsplit(url or "")
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2].lower()}"


def _program(connection: Connection) -> str | None:
    server = connection.mcp
    if server is None or server.command is None:
        return None
    return f"{connection.name}: {' '.join((server.command, *server.args))}"


def _reads(connection: Connection) -> Iterable[str]:
    if connection.trust_annotations:
        yield f"{connection.name} what its server says"
    yield from _lines(connection, Intent.READ)


def _trust(connection: Connection) -> Iterable[str]:
    if not connection.external:
        yield f"{connection.name} is not external"
    for rule in _rules(connection):
        if rule.external is False:
            yield f"{connection.name} {rule.match} is not external"
        for glob in rule.reach:
            yield f"{connection.name} {rule.match} may reach {glob} in a tainted run"


def _guards(connection: Connection) -> Iterable[tuple[str, Mapping[str, float]]]:
    for line in _lines(connection, Intent.WRITE):
        yield line, {}
    for rule in _rules(connection):
        if rule.confirm is not None:
            above = {shown_path(each.path): each.limit for each in rule.above}
            yield f"{connection.name} {rule.match} ({rule.confirm})", above


def _lines(connection: Connection, intent: Intent) -> Iterable[str]:
    for rule in _rules(connection):
        if rule.intent is intent:
            yield f"{connection.name} {rule.match}"


def _of(line: str) -> str:
    """The connection that it is about."""
    return line.partition(" ")[0]


def _rules(connection: Connection) -> Iterable[AccessRule]:
    return (*connection.access.endpoints, *connection.access.tools)
