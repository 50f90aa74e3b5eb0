"""Many rows in few statements."""

import sqlite3
from collections.abc import Sequence
from itertools import chain

from sqlalchemy import BigInteger, Float, Integer, Table

from amodal_rt.storage.dialect import Listed, Raw

Values = tuple[str | int | None, ...]
_MOST = 64
"""Rows of one statement at most; more of them gain nothing."""


class Insert:
    """Inserts rows of `table` that give the columns `names`, in that order.

    The driver lets go of the interpreter at every statement: sent row by row, a batch would
    compete with the event loop for it as many times as it has rows. Its statements are kept
    by their text, so there are few texts: one for each power of two. A server is sent all
    rows at once, as one value.
    """

    def __init__(self, table: Table, names: Sequence[str], *, rule: str = "") -> None:
        columns = ", ".join(table.c[name].name for name in names)
        parts = ", ".join(_part(table, name, place) for place, name in enumerate(names))
        self._at_once = (
            f"INSERT INTO {table.name} ({columns}) SELECT {parts}"  # noqa: S608  ours
            f" FROM json_each(?) AS given {rule}"
        )
        row = f"({', '.join('?' * len(names))})"
        self._texts: list[tuple[int, str]] = []
        size = _MOST
        while size:
            rows = ", ".join([row] * size)
            text = f"INSERT INTO {table.name} ({columns}) VALUES {rows} {rule}"  # noqa: S608  ours
            self._texts.append((size, text.rstrip()))
            size //= 2

    def send(self, raw: Raw, rows: Sequence[Values]) -> int:
        """Insert `rows` in their order; how many `rule` let through or changed."""
        if not isinstance(raw, sqlite3.Connection):
            return raw.execute(self._at_once, (Listed(rows),)).rowcount if rows else 0
        place = sent = 0
        for size, text in self._texts:
            while len(rows) - place >= size:
                part = rows[place : place + size]
                sent += raw.execute(text, tuple(chain.from_iterable(part))).rowcount
                place += size
        return sent


def _part(table: Table, name: str, place: int) -> str:
    """One column of a row that is a JSON array."""
    value = f"json_extract(given.value, '$[{place}]')"
    if isinstance(table.c[name].type, Integer | BigInteger):
        return f"CAST({value} AS bigint)"
    if isinstance(table.c[name].type, Float):
        return f"CAST({value} AS double precision)"
    return value
