"""Risks that an automation takes by what it combines, and that a reviewer accepts by name."""

from collections.abc import Iterator, Mapping

from amodal_rt.domain.automation import Automation, Definition
from amodal_rt.domain.connection import Agent, AuthType, Connection, Protocol
from amodal_rt.domain.delivery import TargetType
from amodal_rt.domain.problem import Problem
from amodal_rt.guardrails.grants import grants_of

TRIFECTA = "trifecta"
"""Private data, untrusted input and an outward channel in one automation."""


def risk_warnings(
    definition: Definition, agent: Agent | None, connections: Mapping[str, Connection]
) -> Iterator[Problem]:
    """A warning (`trifecta`) where an automation has all three and nobody has accepted it."""
    automation = definition.automation
    grants = grants_of(automation, agent)
    granted = [each for name, each in sorted(connections.items()) if grants.connection(name)]
    private = next((each for each in granted if _is_private(each)), None)
    untrusted = _untrusted(automation, granted)
    outward = _outward(automation, granted)
    if private is None or untrusted is None or outward is None:
        return
    if TRIFECTA in automation.acknowledged:
        return
    yield Problem(
        file=definition.file,
        code=TRIFECTA,
        message=f"private data (connection {private.name}), untrusted input ({untrusted}) and an "
        f"outward channel ({outward}) meet in one automation",
        line=definition.lines.get("/connections") or definition.lines.get("/writeEnabled"),
        hint=f'part them, or say that a reviewer accepts it: "acknowledge": ["{TRIFECTA}"]',
        severity="warning",
    )


def _is_private(connection: Connection) -> bool:
    """Whether it shows what not everybody sees: it proves who it is."""
    if connection.protocol is Protocol.RUNTIME:
        return False
    return connection.auth.type is not AuthType.NONE or bool(connection.secrets)


def _untrusted(automation: Automation, granted: list[Connection]) -> str | None:
    """Whose text it reads: a sender's; a public service's; where it may write, anybody's who can
    leave a text behind one of its connections."""
    if automation.webhook is not None:
        return "a webhook"
    if automation.events:
        return f"the event {automation.events[0].conditions[0].event}"
    strange = (each for each in granted if each.external and each.protocol is not Protocol.RUNTIME)
    for each in strange:
        if automation.write_enabled or not _is_private(each):
            return f"connection {each.name}"
    return None


def _outward(automation: Automation, granted: list[Connection]) -> str | None:
    if automation.write_enabled:
        for each in granted:
            if each.protocol is not Protocol.RUNTIME:
                return f"writes over {each.name}"
    for target in automation.delivery.targets if automation.delivery else ():
        if target.type is not TargetType.CALLBACK:
            return f"delivery to {target.label}"
    return None
