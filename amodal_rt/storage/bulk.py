"""Many rows in few statements."""

import sqlite3
from collections.abc import Sequence
from itertools import chain

from sqlalchemy import Table

Values = tuple[str | int | None, ...]
_MOST = 64
"""Rows of one statement at most; more of them gain nothing."""


class Insert:
    """Inserts rows of `table` that give the columns `names`, in that order.

    The driver lets go of the interpreter at every statement: sent row by row, a batch would
    compete with the event loop for it as many times as it has rows. Its statements are kept
    by their text, so there are few texts: one for each power of two.
    """

    def __init__(self, table: Table, names: Sequence[str], *, rule: str = "") -> None:
        columns = ", ".join(table.c[name].name for name in names)
        row = f"({', '.join('?' * len(names))})"
        self._texts: list[tuple[int, str]] = []
        size = _MOST
        while size:
            rows = ", ".join([row] * size)
            text = f"INSERT INTO {table.name} ({columns}) VALUES {rows} {rule}"  # noqa: S608  ours
            self._texts.append((size, text.rstrip()))
            size //= 2

    def send(self, raw: sqlite3.Connection, rows: Sequence[Values]) -> None:
        """Insert `rows` in their order."""
        place = 0
        for size, text in self._texts:
            while len(rows) - place >= size:
                part = rows[place : place + size]
                raw.execute(text, tuple(chain.from_iterable(part)))
                place += size
