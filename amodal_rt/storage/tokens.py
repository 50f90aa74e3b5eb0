"""What lets programs in: `ports.TokenLedger`."""

from datetime import datetime

from sqlalchemy import Connection, insert, select, text, update

from amodal_rt.clock import from_millis, to_millis
from amodal_rt.domain.token import Scope, Token
from amodal_rt.errors import ConflictError, NotFoundError
from amodal_rt.ports import Caller
from amodal_rt.storage import tables
from amodal_rt.storage.facts import note
from amodal_rt.storage.part import Part
from amodal_rt.storage.rows import Row, dumped, instant, loaded, millis, storable

_TOKENS = tables.tokens.c


class TokenRows(Part):
    """`ports.TokenLedger` over a database."""

    async def tokens(self) -> list[Token]:
        query = select(tables.tokens).order_by(_TOKENS.created_at, _TOKENS.id)

        def work(connection: Connection) -> list[Token]:
            return [_to_token(row) for row in connection.execute(query).mappings()]

        return await self._database.read(work)

    async def add_token(self, token: Token, *, caller: Caller) -> None:
        name = storable(token.name)
        same = select(_TOKENS.id).where(_TOKENS.name == name, text(tables.VALID))
        scopes = sorted(scope.value for scope in token.scopes)
        row = insert(tables.tokens).values(
            id=token.id,
            name=name,
            digest=token.digest,
            scopes=dumped(scopes),
            created_at=to_millis(token.created_at),
            created_by=storable(token.created_by),
            revoked_at=millis(token.revoked_at),
        )

        def work(connection: Connection) -> None:
            if connection.execute(same).first() is not None:
                raise ConflictError(
                    f"there is a token named {token.name}",
                    code="token_exists",
                    hint="choose another name, or revoke that one first",
                )
            connection.execute(row)
            told = {"name": name, "scopes": scopes}
            note(connection, "token.created", token.id, caller, token.created_at, told)

        await self._database.write(work)

    async def revoke_token(self, id: str, *, caller: Caller, at: datetime) -> Token:
        wanted = storable(id)
        # An id before a name, and of a name the one that still opens something.
        query = (
            select(tables.tokens)
            .where((_TOKENS.id == wanted) | (_TOKENS.name == wanted))
            .order_by(
                (_TOKENS.id == wanted).desc(),
                _TOKENS.revoked_at.is_(None).desc(),
                _TOKENS.created_at.desc(),
            )
            .limit(1)
        )

        def work(connection: Connection) -> Token:
            row = connection.execute(query).mappings().first()
            if row is None:
                raise NotFoundError(
                    f"no token {id}", code="token_not_found", hint="see `amodal-rt tokens list`"
                )
            if row["revoked_at"] is None:
                connection.execute(
                    update(tables.tokens)
                    .where(_TOKENS.id == row["id"])
                    .values(revoked_at=to_millis(at))
                )
                note(connection, "token.revoked", row["id"], caller, at, {"name": row["name"]})
                row = connection.execute(query).mappings().one()
            return _to_token(row)

        return await self._database.write(work)


def _to_token(row: Row) -> Token:
    return Token(
        id=row["id"],
        name=row["name"],
        digest=row["digest"],
        scopes=frozenset(Scope(each) for each in loaded(row["scopes"])),
        created_at=from_millis(row["created_at"]),
        created_by=row["created_by"],
        revoked_at=instant(row["revoked_at"]),
    )
