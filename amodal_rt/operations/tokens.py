"""Tokens: what lets programs in through the TCP door."""

import hashlib
import hmac
import re
from collections.abc import Sequence

from amodal_rt.clock import Clock, iso
from amodal_rt.domain.token import Scope, Token
from amodal_rt.errors import InvalidError
from amodal_rt.ids import Ids
from amodal_rt.operations import asked
from amodal_rt.operations.shapes import Document
from amodal_rt.ports import FACTS, Caller, Signals, TokenLedger

PREFIX = "art_"
"""How every secret begins, so that scanners and people know one when they see it."""

_BYTES = 20
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


class Tokens:
    """The tokens as last read: judging a request costs no trip to the ledger.

    What is revoked on any node is read again by all of them.
    """

    def __init__(self, ledger: TokenLedger, *, signals: Signals, clock: Clock, ids: Ids) -> None:
        self._ledger = ledger
        self._signals = signals
        self._clock = clock
        self._ids = ids
        self._current: Sequence[Token] = ()

    async def reread(self) -> None:
        """Read again what another node may have changed, and tell nobody."""
        self._current = tuple(await self._ledger.tokens())

    def find(self, secret: str) -> Token | None:
        """Whose secret it is, unless it was revoked. Takes as long for a wrong one as for a
        right one."""
        shown = digest(secret)
        found = [
            each
            for each in self._current
            if hmac.compare_digest(each.digest, shown) and each.revoked_at is None
        ]
        return found[0] if found else None

    def valid(self, id: str) -> Token | None:
        """The token of that id, unless it was revoked."""
        found = (each for each in self._current if each.id == id and each.revoked_at is None)
        return next(found, None)

    async def list_all(self, caller: Caller) -> list[Document]:
        """All of them, the revoked ones too, oldest first; never a secret."""
        return [_document(each) for each in await self._ledger.tokens()]

    async def create(self, caller: Caller, name: str, scopes: Sequence[str]) -> Document:
        """A new token; `secret` is shown this once and kept nowhere.

        Raises InvalidError (`bad_name`, `bad_scope`), ConflictError (`token_exists`).
        """
        if not _NAME.fullmatch(name):
            raise InvalidError(
                f"{name[:80]!r} is no name for a token",
                code="bad_name",
                hint="lower-case letters, digits, - and _; at most 64",
            )
        known = {asked.choice(Scope, each, what="scope") for each in scopes}
        granted = frozenset(each for each in known if each is not None)
        if not granted:
            raise InvalidError(
                "say what the token may do", code="bad_scope", hint="for example --scope trigger"
            )
        secret = PREFIX + self._ids.token(_BYTES)
        token = Token(
            id=f"tok_{self._ids.token(10)}",
            name=name,
            digest=digest(secret),
            scopes=granted,
            created_at=self._clock.now(),
            created_by=caller.actor,
        )
        await self._ledger.add_token(token, caller=caller)
        await self._changed()
        return {**_document(token), "secret": secret}

    async def revoke(self, caller: Caller, id: str) -> Document:
        """End a token, by its name or id, at once and on every node. Raises NotFoundError."""
        token = await self._ledger.revoke_token(id, caller=caller, at=self._clock.now())
        await self._changed()
        return _document(token)

    async def _changed(self) -> None:
        await self.reread()
        self._signals.notify(FACTS)


def digest(secret: str) -> str:
    """SHA-256 (hex): the secret has 160 random bits, so that nothing slower is needed."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def _document(token: Token) -> Document:
    return {
        "token_id": token.id,
        "name": token.name,
        "scopes": sorted(each.value for each in token.scopes),
        "created_at": iso(token.created_at),
        "created_by": token.created_by,
        "revoked_at": iso(token.revoked_at),
    }
