"""The record as a chain: the digest of each row stands on that of the row before it.

Two chains make the record. The trail has a row for each act of a person or a program. The seals
have a row for each run that ended, which holds the digest of its journal, itself a chain. A head
names the last row of both: who kept one can tell later whether what was there then still is.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

from amodal_rt.errors import InvalidError

NOTHING = ""
"""What the first row of a chain stands on."""

_DIGEST = "[0-9a-f]{64}"
_HEAD = re.compile(rf"(0|[1-9]\d{{0,17}}):({_DIGEST}|)/(0|[1-9]\d{{0,17}}):({_DIGEST}|)")


_PIECE = 65_536
"""How much text is made bytes of at once, in characters."""


def digest_of(*parts: str | float | None) -> str:
    """SHA-256 (hex) of a row's values. Each is written with its length, so that no two rows have
    the same bytes."""
    if sum(len(each) for each in parts if isinstance(each, str)) <= _PIECE:
        return hashlib.sha256(_bytes("".join([_spelt(each) for each in parts]))).hexdigest()
    # An answer of 16 MB would be in memory three times more.
    digest = hashlib.sha256()
    for each in parts:
        if isinstance(each, str):
            digest.update(_bytes(f"{len(each)}:"))
            for begin in range(0, len(each), _PIECE):
                digest.update(_bytes(each[begin : begin + _PIECE]))
        else:
            digest.update(_bytes(_spelt(each)))
    return digest.hexdigest()


def _spelt(part: str | float | None) -> str:
    if part is None:
        return "-"
    text = part if isinstance(part, str) else repr(part)
    return f"{len(text)}:{text}"


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def linked(previous: str, content: str) -> str:
    """The digest (hex) of a row: SHA-256 of the previous row's digest and that of its content."""
    return linked_text(previous + content)


def linked_text(text: str) -> str:
    """The same of the two, written one behind the other."""
    return hashlib.sha256(text.encode("ascii")).hexdigest()


@dataclass(frozen=True, slots=True)
class Link:
    """A row of a chain: its place, from 1, and its digest."""

    place: int = 0
    digest: str = NOTHING


@dataclass(frozen=True, slots=True)
class Head:
    """The last row of either chain; place 0 of an empty one."""

    trail: Link = Link()
    seals: Link = Link()

    def __str__(self) -> str:
        """As people keep it: `12:<digest>/340:<digest>`."""
        return f"{self.trail.place}:{self.trail.digest}/{self.seals.place}:{self.seals.digest}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The inverse of `str`. Raises InvalidError (`bad_head`)."""
        found = _HEAD.fullmatch(text.strip())
        if found is None:
            raise InvalidError(
                f"{text[:40]!r} is no head of the record",
                code="bad_head",
                hint="copy it whole, as `amodal-rt audit verify` or the log (audit.head) shows it",
            )
        trail, seals = (int(found[1]), found[2]), (int(found[3]), found[4])
        return cls(Link(*trail), Link(*seals))


@dataclass(frozen=True, slots=True, kw_only=True)
class Misfit:
    """A row that is not as it was written, or is missing: the first sign of each change.

    `id` names it in its `table`: a number, a run, or an entry as `run_…#3`.
    """

    table: str
    id: str
    run_id: str | None
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a look at the whole record found.

    `misfits` are the first of `wrong`, in the order in which they were met. `before`: trail rows
    and runs from before the chain began. `open_runs` have no seal yet, `forgotten` are sealed runs
    that retention has let go of. `head_forgotten`: of the head that was given, the runs are too
    long ago to be compared.
    """

    head: Head
    trail: int
    trail_before: int
    sealed: int
    deliveries: int
    entries: int
    open_runs: int
    runs_before: int
    forgotten: int
    wrong: int = 0
    misfits: Sequence[Misfit] = field(default_factory=tuple[Misfit, ...])
    head_forgotten: bool = False
