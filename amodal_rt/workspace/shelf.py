"""Parsed files, kept until the file changes; the last good version kept until there is a better.

One shelf holds one kind of definition. Sync and free of clocks: it runs in a thread.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from amodal_rt.domain.problem import Problem
from amodal_rt.logs import Log
from amodal_rt.workspace.reading import Found, UnreadableError, read

T = TypeVar("T")
_log = Log("workspace")

RACY = 100_000_000
"""Nanoseconds within which two saves may bear one time: such a file is read again."""


@dataclass(frozen=True, slots=True)
class Need:
    """A further file that an item was parsed with; `found` is None while it is missing."""

    file: str
    found: Found | None
    digest: bytes = b""


@dataclass(frozen=True, slots=True)
class Parsed(Generic[T]):
    """What the files of one item say now. `needs` are further files that were read for it.

    `linked` tells that it was parsed by what stands in other folders, too.
    """

    value: T | None
    problems: tuple[Problem, ...] = ()
    needs: tuple[Need, ...] = ()
    linked: bool = False


Parse = Callable[[str, Mapping[str, bytes]], Parsed[T]]
"""From an item's name and the bytes of its files."""
Find = Callable[[str], Found | None]
"""Looks at one file again."""


@dataclass(slots=True)
class _Item(Generic[T]):
    files: Sequence[Found]
    digest: bytes
    parsed: Parsed[T]
    racy: bool


class Shelf(Generic[T]):
    """Items by name, each made of one or several files."""

    def __init__(self, parse: Parse[T], find: Find) -> None:
        self._parse = parse
        self._find = find
        self._items: dict[str, _Item[T]] = {}

    def names(self) -> Iterable[str]:
        """The items that have files now."""
        return self._items.keys()

    def get(self, name: str) -> Parsed[T]:
        """What an item's files say now."""
        return self._items[name].parsed

    def update(
        self,
        found: Mapping[str, Sequence[Found]],
        *,
        now: int,
        afresh: bool = False,
        relink: bool = False,
    ) -> set[str]:
        """Read what changed, parse what differs; returns the names that are not as before.

        `now` is nanoseconds since the Unix epoch, as files bear them. `afresh` parses
        everything again, because what it is parsed by has changed; `relink` only what is linked.
        """
        changed = self._items.keys() - found.keys()
        for name in changed:
            del self._items[name]
        for name, files in found.items():
            before = self._items.get(name)
            listed = before is not None and before.files == files and not before.racy
            again = afresh or (relink and before is not None and before.parsed.linked)
            if listed and before and not again and self._still(before.parsed.needs):
                continue
            if self._read(name, files, before, now=now, afresh=again):
                changed.add(name)
        return changed

    def _read(
        self,
        name: str,
        files: Sequence[Found],
        before: _Item[T] | None,
        *,
        now: int,
        afresh: bool,
    ) -> bool:
        """Read one item; False when it says what it said before."""
        racy = any(now - each.stamp.modified < RACY for each in files)
        texts: dict[str, bytes] = {}
        problems: list[Problem] = []
        for each in files:
            try:
                texts[each.file] = read(each)
            except UnreadableError as error:
                problems.append(error.problem)
                # What cannot be read for want of a handle may be readable the next time.
                racy |= error.problem.code == "unreadable"
        digest = _digest(texts, problems)
        same = before and before.digest == digest and not afresh
        if before and same and self._still(before.parsed.needs, deep=before.racy):
            before.files, before.racy = files, racy
            return False
        unreadable: Parsed[T] = Parsed(None, tuple(problems))
        parsed = unreadable if problems else self._parsed(name, files, texts)
        racy = racy or any(
            need.found and now - need.found.stamp.modified < RACY for need in parsed.needs
        )
        self._items[name] = _Item(files, digest, parsed, racy)
        return before is None or before.parsed != parsed

    def _parsed(self, name: str, files: Sequence[Found], texts: Mapping[str, bytes]) -> Parsed[T]:
        try:
            return self._parse(name, texts)
        except Exception as error:  # noqa: BLE001 - a parser's defect must not stop other files
            _log.exception("workspace.parse_failed", error, name=name)
            problem = Problem(
                file=files[0].file,
                code="internal",
                message=f"cannot be parsed: {type(error).__name__} inside the parser",
                hint="this is a defect of the runtime, not of the file",
            )
            return Parsed(None, (problem,))

    def _still(self, needs: Sequence[Need], *, deep: bool = False) -> bool:
        """Whether the further files are as they were; `deep` reads them instead of believing."""
        for need in needs:
            found = self._find(need.file)
            if found != need.found or (deep and found and digest_of(found) != need.digest):
                return False
        return True


def digest_of(found: Found) -> bytes:
    """What tells two contents of one file apart; empty for one that cannot be read."""
    try:
        return hashlib.sha256(read(found)).digest()
    except UnreadableError:
        return b""


def _digest(texts: Mapping[str, bytes], problems: Sequence[Problem]) -> bytes:
    digest = hashlib.sha256(repr(problems).encode("utf-8", "surrogateescape"))
    for file, text in texts.items():
        digest.update(f"\0{file}\0{len(text)}\0".encode("utf-8", "surrogateescape"))
        digest.update(text)
    return digest.digest()
