"""Whose word a type of event is: nobody may speak in another's name.

A run may trust `github.*` because GitHub signed it, and `automation.*` because the runtime said
it. What programs and agents send through open doors is therefore named otherwise.
"""

from collections.abc import Mapping

from amodal_rt.domain.connection import Connection, Protocol
from amodal_rt.domain.event_type import OF_THE_RUNTIME
from amodal_rt.domain.integration import Integration
from amodal_rt.domain.trigger import SignatureScheme

PROVIDERS = frozenset(each.value for each in SignatureScheme) - {"hmac-sha256", "custom"}
"""First words of what providers say and sign."""
_OWN_SOURCES = ("automations", "connections", "integrations", "runtime", "webhooks")
LONGEST_TYPE = 256


def speaker_of(
    type: str,
    *,
    connections: Mapping[str, Connection],
    integrations: Mapping[str, Integration],
) -> str | None:
    """Who alone says events of `type`, in words; None where anybody may."""
    word = type.partition(".")[0].lower()
    if word in OF_THE_RUNTIME:
        return "the runtime"
    if word in PROVIDERS:
        return f"the provider {word}"
    if word in (name.lower() for name in integrations):
        return f"the integration {word}"
    mcp = (name for name, each in connections.items() if each.protocol is Protocol.MCP)
    return f"the connection {word}" if word in (name.lower() for name in mcp) else None


def speaker_from(source: str) -> str | None:
    """Who alone sends from `source`, in words; None where anybody may."""
    if source.lower() in PROVIDERS:
        return f"the provider {source.lower()}"
    parts = source.lower().split("/")
    own = len(parts) > 1 and not parts[0] and parts[1] in _OWN_SOURCES
    return "the runtime" if own else None


def type_fault(type: str) -> str | None:
    """Why no event can have that type, in words; None when it can."""
    if not type:
        return "it is empty"
    if len(type) > LONGEST_TYPE:
        return f"it has more than {LONGEST_TYPE} characters"
    # A star stands for any text in what triggers want; it must not stand in what they get.
    plain = type.isascii() and all(each.isalnum() or each in "._-:/" for each in type)
    if not plain or not type[0].isalnum():
        return "it is made of letters, digits and . _ - : / and begins with a letter or digit"
    return None
