"""The ledger's frequent statements as PostgreSQL understands them, and text that it cannot hold.

PostgreSQL refuses the character NUL, which headers, keys and models' answers may hold. It is
written as two characters, the first of which is escaped in turn, and read back as it was.
"""

import json
import re
from collections.abc import Sequence
from functools import cache
from typing import Any, cast

import psycopg
from psycopg.abc import Buffer
from psycopg.types.numeric import Int8Dumper
from psycopg.types.string import StrDumperUnknown, TextLoader

from amodal_rt.storage.dialect import Listed, Rows

_ESCAPE = "\U0010fffd"
"""A private character at the end of Unicode: as good as never met."""
_NUL, _ITSELF = f"{_ESCAPE}0", f"{_ESCAPE}1"
# As JSON spells the two characters.
_IN_JSON = ("\\u0000", json.dumps(_ESCAPE)[1:-1])

_WORDS = re.compile(
    r"(?P<text>'(?:[^']|'')*')"
    r"|(?P<hint>\s+INDEXED BY \w+)"
    r"|(?P<part>json_extract\((?P<of>[\w.]+), '\$\[(?P<place>\d+)\]'\))"
    r"|(?P<values>SELECT value FROM json_each\(\?(?P<values_at>\d*)\))"
    r"|(?P<rows>json_each\(\?(?P<rows_at>\d*)\))"
    r"|(?P<linked>linked\((?P<last>COALESCE\([\w.]+, ''\)) \|\| \?(?P<linked_at>\d*)\))"
    r"|\?(?P<at>\d*)"
)


def escaped(text: str) -> str:
    """`text` without NUL."""
    if "\0" not in text and _ESCAPE not in text:
        return text
    return text.replace(_ESCAPE, _ITSELF).replace("\0", _NUL)


def restored(text: str) -> str:
    """The inverse of `escaped`."""
    return text.replace(_NUL, "\0").replace(_ITSELF, _ESCAPE) if _ESCAPE in text else text


@cache
def translated(sql: str) -> bytes:
    """A statement of the ledger in PostgreSQL's words, its values numbered."""
    count = 0

    def value(number: str) -> str:
        nonlocal count
        count += 1
        return f"${number or count}"

    def word(found: re.Match[str]) -> str:
        kind = found.lastgroup
        if found["text"] is not None:
            return found["text"]
        if found["hint"] is not None:
            return ""
        if found["part"] is not None:
            return f"({found['of']} ->> {found['place']})"
        if found["values"] is not None:
            number = value(found["values_at"])
            return f"SELECT value FROM jsonb_array_elements_text({number}::jsonb)"  # noqa: S608
        if found["rows"] is not None:
            return f"jsonb_array_elements({value(found['rows_at'])}::jsonb)"
        if found["linked"] is not None:
            number = value(found["linked_at"])
            return f"encode(sha256(({found['last']} || {number})::bytea), 'hex')"
        assert kind == "at"
        return value(found["at"])

    return _WORDS.sub(word, sql).encode()


class PostgresRaw:
    """`dialect.Raw` over a connection of psycopg."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Rows:
        """Send one statement."""
        cursor = psycopg.RawCursor(self._connection)
        values = [_listed(each) if isinstance(each, Listed) else each for each in parameters]
        return cursor.execute(translated(sql), values or None)

    def executemany(self, sql: str, parameters: Sequence[Sequence[Any]], /) -> Rows:
        """Send one statement for each of many rows, without waiting between them."""
        cursor = psycopg.RawCursor(self._connection)
        cursor.executemany(translated(sql), parameters)
        return cursor


def adapt(connection: psycopg.Connection[Any]) -> None:
    """Teach `connection` our texts; and one size of integers, so that a statement is prepared
    once and not anew for each mixture of sizes."""
    connection.adapters.register_dumper(str, _TextDumper)
    connection.adapters.register_dumper(int, Int8Dumper)
    for name in ("text", "varchar"):
        connection.adapters.register_loader(name, _TextLoader)


class _TextDumper(StrDumperUnknown):
    def dump(self, obj: str) -> Buffer | None:
        return escaped(obj).encode()


class _TextLoader(TextLoader):
    def load(self, data: Buffer) -> str:
        return restored(bytes(data).decode())


def _listed(listed: Listed) -> str:
    text = json.dumps(listed.values)
    if any(each in text for each in _IN_JSON):
        return json.dumps(_escaped_all(listed.values))
    return text


def _escaped_all(value: object) -> object:
    if isinstance(value, str):
        return escaped(value)
    if isinstance(value, list | tuple):
        return [_escaped_all(each) for each in cast(Sequence[object], value)]
    return value
