"""A disk that fails or loses power at the Nth operation, under the SQLite that Python uses.

A virtual file system made of ctypes callbacks, registered as SQLite's default: nothing has to
be compiled, and the ledger under test is the real one on the standard library's `sqlite3`.
Files are SQLite's own; of their methods those that change the disk are replaced by ours.
"""

import _sqlite3
import ctypes as c
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

OK = 0
IOERR, FULL, CANTOPEN = sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN
READ, WRITE, TRUNCATE, SYNC, DELETE, OPEN = "read", "write", "truncate", "sync", "delete", "open"
_CODES = {READ: 266, WRITE: 778, TRUNCATE: 1546, SYNC: 1034, DELETE: 2570, OPEN: CANTOPEN}
"""SQLite's extended results for an I/O error of each kind."""

_METHODS = (
    *("xClose", "xRead", "xWrite", "xTruncate", "xSync", "xFileSize", "xLock", "xUnlock"),
    *("xCheckReservedLock", "xFileControl", "xSectorSize", "xDeviceCharacteristics"),
    *("xShmMap", "xShmLock", "xShmBarrier", "xShmUnmap", "xFetch", "xUnfetch"),
)
_PLACES = (
    *("xOpen", "xDelete", "xAccess", "xFullPathname", "xDlOpen", "xDlError", "xDlSym"),
    *("xDlClose", "xRandomness", "xSleep", "xCurrentTime", "xGetLastError"),
    *("xCurrentTimeInt64", "xSetSystemCall", "xGetSystemCall", "xNextSystemCall"),
)


class _IoMethods(c.Structure):
    _fields_ = [("iVersion", c.c_int), *((name, c.c_void_p) for name in _METHODS)]


class _File(c.Structure):
    _fields_ = [("pMethods", c.c_void_p)]


class _Vfs(c.Structure):
    _fields_ = [
        ("iVersion", c.c_int),
        ("szOsFile", c.c_int),
        ("mxPathname", c.c_int),
        ("pNext", c.c_void_p),
        ("zName", c.c_char_p),
        ("pAppData", c.c_void_p),
        *((name, c.c_void_p) for name in _PLACES),
    ]


# Names as addresses: SQLite keeps the pointer, and reads on behind the end of the text.
_OPEN = c.CFUNCTYPE(c.c_int, c.c_void_p, c.c_void_p, c.c_void_p, c.c_int, c.c_void_p)
_DELETE = c.CFUNCTYPE(c.c_int, c.c_void_p, c.c_void_p, c.c_int)
_CLOSE = c.CFUNCTYPE(c.c_int, c.c_void_p)
_MOVE = c.CFUNCTYPE(c.c_int, c.c_void_p, c.c_void_p, c.c_int, c.c_int64)
_TRUNCATE = c.CFUNCTYPE(c.c_int, c.c_void_p, c.c_int64)
_SYNC = c.CFUNCTYPE(c.c_int, c.c_void_p, c.c_int)


class Disk(Protocol):
    """What is asked before each operation, and told after each that was done."""

    def rule(self, kind: str, path: Path) -> int:
        """SQLite's result for an operation that fails, or `OK` to do it."""
        ...

    def opened(self, path: Path) -> None: ...
    def written(self, path: Path, offset: int, data: bytes) -> None: ...
    def truncated(self, path: Path, size: int) -> None: ...
    def synced(self, path: Path) -> None: ...
    def deleted(self, path: Path, *, durably: bool) -> None: ...


_ALIVE: list["FaultVfs"] = []


class FaultVfs:
    """The file system; without a disk it lets everything through."""

    def __init__(self) -> None:
        self.disk: Disk | None = None
        self._library = c.CDLL(_sqlite3.__file__)
        self._library.sqlite3_vfs_find.restype = c.POINTER(_Vfs)
        self._library.sqlite3_vfs_find.argtypes = [c.c_char_p]
        self._real = self._library.sqlite3_vfs_find(None)
        self._names: dict[int, Path] = {}
        self._tables: dict[int, _IoMethods] = {}
        self._keep: list[Any] = []
        # A connection that is collected later still calls into it.
        _ALIVE.append(self)
        self._vfs = _Vfs.from_buffer_copy(self._real.contents)
        self._vfs.zName = b"faulty"
        self._vfs.pNext = None
        self._vfs.xOpen = self._pointer(_OPEN, self._open)
        self._vfs.xDelete = self._pointer(_DELETE, self._delete)

    @contextmanager
    def installed(self) -> Iterator["FaultVfs"]:
        """SQLite's default for as long as the block lasts."""
        self._library.sqlite3_vfs_register(c.byref(self._vfs), 1)
        try:
            yield self
        finally:
            self._library.sqlite3_vfs_register(self._real, 1)
            self._library.sqlite3_vfs_unregister(c.byref(self._vfs))

    @contextmanager
    def over(self, disk: Disk) -> Iterator[None]:
        """This disk for as long as the block lasts."""
        self.disk = disk
        try:
            yield
        finally:
            self.disk = None

    def _pointer(self, kind: Any, work: Callable[..., int]) -> int | None:
        def guarded(*arguments: Any) -> int:
            try:
                return work(*arguments)
            except Exception as error:  # noqa: BLE001  C knows no exceptions
                print(f"fault_vfs: {error!r}", flush=True)
                return IOERR

        callback = kind(guarded)
        self._keep.append(callback)
        return c.cast(callback, c.c_void_p).value

    def _rule(self, kind: str, path: Path | None) -> int:
        # Temporary files without a name are lost in a crash by design.
        return OK if self.disk is None or path is None else self.disk.rule(kind, path)

    def _open(self, _: int, name: int | None, file: int, flags: int, told: int) -> int:
        path = _path(name) if name else None
        if code := self._rule(OPEN, path):
            _File.from_address(file).pMethods = None
            return code
        done = _OPEN(self._real.contents.xOpen)(
            c.addressof(self._real.contents), name, file, flags, told
        )
        opened = _File.from_address(file)
        if opened.pMethods:
            opened.pMethods = c.addressof(self._wrapped(opened.pMethods))
            if path is not None:
                self._names[file] = path
                if self.disk is not None and done == OK:
                    self.disk.opened(path)
        return done

    def _delete(self, _: int, name: int, sync_folder: int) -> int:
        path = _path(name)
        if code := self._rule(DELETE, path):
            return code
        done = _DELETE(self._real.contents.xDelete)(
            c.addressof(self._real.contents), name, sync_folder
        )
        if done == OK and self.disk is not None:
            self.disk.deleted(path, durably=bool(sync_folder))
        return done

    def _wrapped(self, address: int) -> _IoMethods:
        """Our table for a kind of file: its own methods but for those that are watched."""
        if address not in self._tables:
            real = _IoMethods.from_address(address)
            ours = _IoMethods.from_buffer_copy(real)
            close, read, write = _CLOSE(real.xClose), _MOVE(real.xRead), _MOVE(real.xWrite)
            truncate, sync = _TRUNCATE(real.xTruncate), _SYNC(real.xSync)
            # Memory-mapped pages would be read and written behind our back.
            ours.iVersion = min(real.iVersion, 2)
            ours.xClose = self._pointer(_CLOSE, lambda file: self._close(close, file))
            ours.xRead = self._pointer(
                _MOVE, lambda file, data, size, at: self._read(read, file, data, size, at)
            )
            ours.xWrite = self._pointer(
                _MOVE, lambda file, data, size, at: self._write(write, file, data, size, at)
            )
            ours.xTruncate = self._pointer(
                _TRUNCATE, lambda file, size: self._truncate(truncate, file, size)
            )
            ours.xSync = self._pointer(_SYNC, lambda file, how: self._sync(sync, file, how))
            self._tables[address] = ours
        return self._tables[address]

    def _close(self, real: Any, file: int) -> int:
        self._names.pop(file, None)
        return real(file)

    def _read(self, real: Any, file: int, data: int, size: int, at: int) -> int:
        return self._rule(READ, self._names.get(file)) or real(file, data, size, at)

    def _write(self, real: Any, file: int, data: int, size: int, at: int) -> int:
        path = self._names.get(file)
        if code := self._rule(WRITE, path):
            return code
        done = real(file, data, size, at)
        if done == OK and self.disk is not None and path is not None:
            self.disk.written(path, at, c.string_at(data, size))
        return done

    def _truncate(self, real: Any, file: int, size: int) -> int:
        path = self._names.get(file)
        if code := self._rule(TRUNCATE, path):
            return code
        done = real(file, size)
        if done == OK and self.disk is not None and path is not None:
            self.disk.truncated(path, size)
        return done

    def _sync(self, real: Any, file: int, how: int) -> int:
        path = self._names.get(file)
        if code := self._rule(SYNC, path):
            return code
        done = real(file, how)
        if done == OK and self.disk is not None and path is not None:
            self.disk.synced(path)
        return done


def _path(address: int) -> Path:
    return Path(os.fsdecode(c.string_at(address)))


def code_of(kind: str) -> int:
    """The I/O error that an operation of this kind fails with."""
    return _CODES[kind]
