"""Two bad disks for `fault_vfs`: one that refuses, one that loses power."""

import random
from dataclasses import dataclass, field
from pathlib import Path

import fault_vfs as vfs

CHANGES = frozenset({vfs.WRITE, vfs.TRUNCATE, vfs.SYNC, vfs.DELETE})
SECTOR = 512


@dataclass
class FailingDisk:
    """Fails the Nth operation of the wanted kinds, once or from then on.

    `full` fails writes as a disk without room does; anything else is an I/O error. With
    `nth` 0 it only counts.
    """

    nth: int = 0
    full: bool = False
    persistent: bool = False
    kinds: frozenset[str] = CHANGES
    seen: int = 0
    fired: int = 0

    def rule(self, kind: str, path: Path) -> int:
        if kind not in self.kinds:
            return vfs.OK
        self.seen += 1
        if not self.nth or self.seen < self.nth or (self.seen > self.nth and not self.persistent):
            return vfs.OK
        if self.full and kind != vfs.WRITE:
            return vfs.OK
        self.fired += 1
        return vfs.FULL if self.full else vfs.code_of(kind)

    def opened(self, path: Path) -> None: ...
    def written(self, path: Path, offset: int, data: bytes) -> None: ...
    def truncated(self, path: Path, size: int) -> None: ...
    def synced(self, path: Path) -> None: ...
    def deleted(self, path: Path, *, durably: bool) -> None: ...


@dataclass
class _Kept:
    """A file as the platter has it, and what was written since the last sync, in order.

    A size stands for a truncation. `named`: its name is on the platter; `gone`: it was
    deleted, and that is not.
    """

    durable: bytearray
    named: bool
    gone: bool = False
    waiting: list[tuple[int, bytes | None]] = field(default_factory=list)


@dataclass
class FragileDisk:
    """Loses power at the Nth operation: of what was not synced any part may be there.

    `nth` 0 only counts. After the crash every operation fails; `remains` is what a machine
    that starts again finds.
    """

    chance: random.Random
    nth: int = 0
    seen: int = 0
    dead: bool = False
    files: dict[Path, _Kept] = field(default_factory=dict)
    lost: int = 0

    def rule(self, kind: str, path: Path) -> int:
        if self.dead:
            return vfs.code_of(kind)
        if kind not in CHANGES:
            return vfs.OK
        self.seen += 1
        if self.seen != self.nth:
            return vfs.OK
        self.dead = True
        return vfs.code_of(kind)

    def opened(self, path: Path) -> None:
        if path not in self.files or self.files[path].gone:
            content = bytearray(path.read_bytes())
            # What is empty when it is opened was made just now.
            self.files[path] = _Kept(content, named=bool(content))

    def written(self, path: Path, offset: int, data: bytes) -> None:
        self.files[path].waiting.append((offset, data))

    def truncated(self, path: Path, size: int) -> None:
        self.files[path].waiting.append((size, None))

    def synced(self, path: Path) -> None:
        kept = self.files[path]
        for offset, data in kept.waiting:
            _apply(kept.durable, offset, data)
        kept.waiting.clear()
        # SQLite syncs the folder with the first sync of each journal and log that it makes.
        if not kept.named and path.name.endswith(("-wal", "-journal")):
            self._sync_folder()

    def deleted(self, path: Path, *, durably: bool) -> None:
        if path in self.files:
            self.files[path].gone = True
        if durably:
            self._sync_folder()

    def _sync_folder(self) -> None:
        self.files = {path: kept for path, kept in self.files.items() if not kept.gone}
        for kept in self.files.values():
            kept.named = True

    def remains(self) -> dict[str, bytes]:
        """Content by name. Each unsynced write is there, missing or torn, on its own."""
        found: dict[str, bytes] = {}
        for path, kept in self.files.items():
            if path.name.endswith("-shm"):
                continue
            if (kept.gone or not kept.named) and self.chance.random() < 0.5:
                continue
            content = bytearray(kept.durable)
            share = self.chance.choice((0.0, 0.5, 0.9, 1.0))
            for offset, data in kept.waiting:
                if self.chance.random() >= share:
                    self.lost += 1
                    continue
                _apply(content, offset, self._torn(data))
            found[path.name] = bytes(content)
        return found

    def _torn(self, data: bytes | None) -> bytes | None:
        if data is None or self.chance.random() < 0.8:
            return data
        if len(data) > SECTOR and self.chance.random() < 0.7:
            return data[: SECTOR * self.chance.randrange(len(data) // SECTOR + 1)]
        return data[: self.chance.randrange(len(data) + 1)]


def _apply(content: bytearray, offset: int, data: bytes | None) -> None:
    if data is None:
        del content[offset:]
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    if data is not None:
        content[offset : offset + len(data)] = data
