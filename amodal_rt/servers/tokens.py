"""Who may come in over TCP: the checks of every route that has no proof of its own."""

from dataclasses import dataclass, field

from amodal_rt.domain.token import Scope, Token
from amodal_rt.guardrails.doors import bearer_of, host_allowed, key_of, origin_allowed
from amodal_rt.intake.headers import Headers
from amodal_rt.operations.address import Address
from amodal_rt.operations.tokens import Tokens

KEYS = ("x-archastro-api-key", "x-api-key")
"""Headers that hold a token alone, as programs of other platforms send it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turned:
    """Why a request is not let in, as its sender may know it: nothing of what is inside.

    `reason` is for the record."""

    status: int
    code: str
    message: str
    reason: str
    hint: str | None = None
    headers: dict[str, str] = field(default_factory=dict[str, str])


class TokenCheck:
    """Judges by the tokens and addresses of the moment."""

    def __init__(self, tokens: Tokens, address: Address) -> None:
        self._tokens = tokens
        self._address = address

    def judge(self, headers: Headers, scope: Scope | None) -> Token | Turned:
        """Whose request it is, if it may do what `scope` names; None is for every token.

        Of several tokens the first that is known counts: `Authorization`, then `KEYS`.
        """
        address = self._address
        public = address.public
        if not host_allowed(headers.all("host"), public):
            return Turned(
                status=403, code="bad_host", message="no such host here", reason="bad_host"
            )
        if not origin_allowed(headers.all("origin"), (public, address.bound, address.admin)):
            return Turned(
                status=403,
                code="bad_origin",
                message="not from this origin",
                reason="bad_origin",
            )
        shown = [bearer_of(headers.all("authorization"))]
        shown += [key_of(headers.all(each)) for each in KEYS]
        secrets = [each for each in shown if each is not None]
        known = (self._tokens.find(each) for each in secrets)
        token = next((each for each in known if each is not None), None)
        if token is None:
            # One answer for no token, a wrong one and a revoked one: nothing is learned here.
            return Turned(
                status=401,
                code="unauthorized",
                message="a valid token is needed",
                hint="make one: amodal-rt tokens create NAME --scope read",
                reason="bad_token" if secrets else "no_token",
                headers={"WWW-Authenticate": "Bearer"},
            )
        if scope is not None and not token.allows(scope):
            return Turned(
                status=403,
                code="scope_missing",
                message=f"the token lacks the scope {scope.value}",
                reason=f"scope_missing: {token.name}",
            )
        return token
