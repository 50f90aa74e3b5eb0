"""Sessions: how a person in front of a browser is known from one page to the next.

A session stands for the token that it began with, and can do what that token can do now: what is
revoked ends it. One that began with a link, which only who may use the control socket can have
made, may do everything.
"""

import hashlib
from collections.abc import MutableMapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from amodal_rt.clock import Clock, iso
from amodal_rt.domain.token import Scope, Token
from amodal_rt.errors import DeniedError, UnavailableError
from amodal_rt.ids import Ids
from amodal_rt.operations.address import Address
from amodal_rt.operations.shapes import Document
from amodal_rt.operations.tokens import Tokens
from amodal_rt.ports import Caller, FactLedger

DOOR = "dashboard"
LOCAL = "local"
"""The actor of a session that began with a link."""
LIFE_SECONDS = 12 * 3600
LINK_SECONDS = 300
MOST = 1000
"""Sessions at once; the oldest makes room."""

_MOST_LINKS = 20
_BYTES = 20
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Whose pages these are. `key` tells it from others and opens nothing; `form_token` stands in
    each form, so that no other page can send one."""

    key: str
    actor: str
    form_token: str
    scopes: frozenset[Scope]

    @property
    def caller(self) -> Caller:
        """Who asks, as the audit trail keeps it."""
        return Caller(actor=self.actor, door=DOOR)

    def allows(self, scope: Scope) -> bool:
        """Whether it may do what `scope` names."""
        return bool({scope, Scope.MANAGE} & self.scopes)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """`token` is the id of the one that it began with; None after a link."""

    token: str | None
    form_token: str
    until: float


class Sessions:
    """Kept in memory alone, under digests: a copy of it opens nothing, a restart ends them all."""

    def __init__(
        self, tokens: Tokens, ledger: FactLedger, address: Address, *, clock: Clock, ids: Ids
    ) -> None:
        self._tokens = tokens
        self._ledger = ledger
        self._address = address
        self._clock = clock
        self._ids = ids
        self._kept: dict[str, _Kept] = {}
        self._links: dict[str, float] = {}

    async def make_link(self, caller: Caller) -> Document:
        """A link that opens one session within five minutes: `{url, expires_at}`.

        Raises UnavailableError (`no_tcp_door`) where nothing listens.
        """
        base = self._address.dashboard
        if base is None:
            raise UnavailableError(
                "this daemon has no TCP door, and so no dashboard",
                code="no_tcp_door",
                hint='set "listen" in amodal.json',
            )
        code, now = self._ids.token(_BYTES), self._clock.now()
        _put(self._links, _digest(code), self._clock.monotonic() + LINK_SECONDS, _MOST_LINKS)
        await self._ledger.audit("session.link_made", subject=LOCAL, caller=caller, at=now, data={})
        expires = now + timedelta(seconds=LINK_SECONDS)
        return {"url": f"{base}/dashboard/link/{code}", "expires_at": iso(expires)}

    async def follow_link(self, code: str) -> str:
        """Begin a session with the code of a link, which opens no other. Returns its secret.

        Raises DeniedError (`link_used`).
        """
        until = self._links.pop(_digest(code), None)
        if until is None or until <= self._clock.monotonic():
            raise DeniedError(
                "this link was used, or is older than five minutes",
                code="link_used",
                hint="make another: amodal-rt dashboard",
            )
        return await self._begin(None)

    async def sign_in(self, secret: str) -> str:
        """Begin a session with a token. Returns its secret.

        Raises DeniedError (`unauthorized`, or `scope_missing` for a token that may not look).
        """
        token = self._tokens.find(secret)
        if token is None:
            raise DeniedError(
                "this is no valid token",
                code="unauthorized",
                hint="on the machine itself, amodal-rt dashboard opens this page without one",
            )
        if not token.allows(Scope.READ):
            raise DeniedError(
                "this token may not look: it lacks the scope read", code="scope_missing"
            )
        return await self._begin(token)

    def find(self, secret: str) -> Session | None:
        """The session, as far as what it began with still counts."""
        return self._current(_digest(secret))

    def lasts(self, session: Session) -> bool:
        """Whether it still counts, for an answer that takes long."""
        return self._current(session.key) is not None

    async def end(self, secret: str) -> None:
        """Sign out; nothing to do where there is no such session."""
        session = self.find(secret)
        if session is None:
            return
        del self._kept[session.key]
        await self._audit("session.ended", session.caller)

    def _current(self, key: str) -> Session | None:
        kept = self._kept.get(key)
        if kept is None:
            return None
        token = self._tokens.valid(kept.token) if kept.token else None
        if kept.until <= self._clock.monotonic() or (kept.token and token is None):
            del self._kept[key]
            return None
        return Session(
            key=key,
            actor=_actor(token),
            form_token=kept.form_token,
            scopes=token.scopes if token else frozenset(Scope),
        )

    async def _begin(self, token: Token | None) -> str:
        secret, now = self._ids.token(_BYTES), self._clock.monotonic()
        kept = _Kept(
            token=token.id if token else None,
            form_token=self._ids.token(_BYTES),
            until=now + LIFE_SECONDS,
        )
        # On record before anybody can act in it.
        await self._audit("session.begun", Caller(actor=_actor(token), door=DOOR))
        _put(self._kept, _digest(secret), kept, MOST)
        return secret

    async def _audit(self, action: str, caller: Caller) -> None:
        now = self._clock.now()
        await self._ledger.audit(action, subject=caller.actor, caller=caller, at=now, data={})


def _actor(token: Token | None) -> str:
    return f"token:{token.name}" if token else LOCAL


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def _put(kept: MutableMapping[str, _Value], key: str, value: _Value, most: int) -> None:
    """Keep one more; the oldest makes room."""
    while len(kept) >= most:
        del kept[next(iter(kept))]
    kept[key] = value
