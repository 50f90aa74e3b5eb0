"""Who calls a tool."""

from dataclasses import dataclass

from amodal_rt.domain.cause import Cause
from amodal_rt.domain.token import Scope, Token
from amodal_rt.ports import Caller

DOOR = "mcp"
"""What the audit trail calls this door."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One request. `token` None is this machine's own user, who may do all that a tool does.

    `marks` are what the request's headers say of the run that caused it, as they came; `cause` is
    the genuine one among those and what the call itself says.
    """

    caller: Caller
    token: Token | None = None
    marks: tuple[str, ...] = ()
    cause: Cause | None = None

    def allows(self, scope: Scope) -> bool:
        """Whether the caller may do what `scope` names."""
        return self.token is None or self.token.allows(scope)
