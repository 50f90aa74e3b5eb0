"""Writes a definition, whole or not at all."""

import errno
import os
import stat
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from amodal_rt.definitions.rewrite import set_key
from amodal_rt.domain.automation import Lifecycle
from amodal_rt.errors import (
    AmodalError,
    ConflictError,
    DeniedError,
    InvalidError,
    NotFoundError,
    UnavailableError,
)
from amodal_rt.failpoints import hit
from amodal_rt.workspace.reading import AUTOMATIONS, SINGLES, Found, UnreadableError, find, read

Witness = Callable[[str, bytes | None, bytes | None], None]
"""Told of a file and its content before and after, None where there is none, right before it is
changed. What it raises keeps the file as it is."""


def unseen(file: str, before: bytes | None, after: bytes | None) -> None:
    """A witness of what needs none."""


def set_status(root: Path, name: str, status: Lifecycle, witness: Witness = unseen) -> None:
    """Write `status` into the automation's file; every other byte stays as it was.

    A link inside the workspace is kept, and what it leads to is written. Raises
    NotFoundError, InvalidError, ConflictError (`changed` by somebody meanwhile,
    `duplicate_stem`), DeniedError (`read_only`) or UnavailableError (`disk_full`).
    """
    found = find_automation(root, name)
    try:
        text = read(found)
    except UnreadableError as error:
        problem = error.problem
        raise InvalidError(problem.sentence(), code=problem.code, hint=problem.hint) from error
    changed = set_key(text, found.file, "status", status.value)
    if changed != text:
        witness(found.file, text, changed)
        write_file(found, changed)


def create_file(root: Path, file: str, text: bytes) -> None:
    """Write a file that is not there yet, and its folder. Raises as `set_status`."""
    path = Path(os.path.realpath(root)) / file
    try:
        path.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise refused(file, error) from error
    _put(path, file, text, None)


def edit_file(
    root: Path, file: str, edit: Callable[[bytes | None], bytes], witness: Witness = unseen
) -> None:
    """Write what `edit` makes of the file's bytes, None where there is no file yet.

    Nothing is written where it changes nothing. Raises as `set_status`, and what `edit` raises.
    """
    found = find(os.path.realpath(root), file)
    if found is None:
        made = edit(None)
        witness(file, None, made)
        _put(Path(os.path.realpath(root)) / file, file, made, None)
        return
    try:
        text = read(found)
    except UnreadableError as error:
        problem = error.problem
        raise InvalidError(problem.sentence(), code=problem.code, hint=problem.hint) from error
    changed = edit(text)
    if changed != text:
        witness(found.file, text, changed)
        write_file(found, changed)


def write_file(found: Found, text: bytes) -> None:
    """Put `text` in the place of the file, keeping its mode and owner.

    Whoever reads meanwhile sees the old file or the new one. Raises as `set_status`.
    """
    _put(Path(found.path), found.file, text, found)


def _put(path: Path, file: str, text: bytes, found: Found | None) -> None:
    temporary: str | None = None
    try:
        handle, temporary = tempfile.mkstemp(
            dir=path.parent, prefix=f".{path.name}.", suffix=".tmp"
        )
        with os.fdopen(handle, "wb") as stream:
            _take_after(stream.fileno(), path if found else path.parent)
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        if found is not None:
            require_unchanged(found, path)
        elif path.exists():
            raise _changed(file)
        hit("file.before_rename")
        Path(temporary).replace(path)
        temporary = None
        hit("file.after_rename")
        sync_folder(path.parent)
    except OSError as error:
        raise refused(file, error) from error
    finally:
        if temporary:
            with suppress(OSError):
                Path(temporary).unlink()


def read_whole(path: Path) -> bytes | None:
    """What lies at `path`, whatever it is; None where nothing does, or nothing can be read."""
    try:
        return path.read_bytes()
    except OSError:
        return None


def find_automation(root: Path, name: str) -> Found:
    """The automation's one file. Raises NotFoundError, ConflictError (`duplicate_stem`)."""
    real = os.path.realpath(root)
    files = [f"{AUTOMATIONS}/{name}{suffix}" for suffix in SINGLES[AUTOMATIONS]]
    found = [each for each in (find(real, file) for file in files) if each]
    if not found:
        raise NotFoundError(f"there is no automation {name!r}", code="automation_not_found")
    if len(found) > 1:
        raise ConflictError(
            f"{found[0].file} and {found[1].file} have one name",
            code="duplicate_stem",
            hint="rename or delete one of them",
        )
    return found[0]


def _take_after(handle: int, path: Path) -> None:
    """Give the new file mode and owner of the old one, or of its folder, as far as this user
    may."""
    old = path.stat()
    with suppress(PermissionError):
        os.fchown(handle, old.st_uid, old.st_gid)
    mode = stat.S_IMODE(old.st_mode)
    os.fchmod(handle, mode & 0o666 if stat.S_ISDIR(old.st_mode) else mode)


def require_unchanged(found: Found, path: Path) -> None:
    """Raise ConflictError (`changed`) unless the file is as it was found."""
    now = path.lstat()
    if (now.st_mtime_ns, now.st_size, now.st_ino) != (
        found.stamp.modified,
        found.stamp.size,
        found.stamp.inode,
    ):
        raise _changed(found.file)


def _changed(file: str) -> ConflictError:
    return ConflictError(
        f"{file} was changed by somebody else just now",
        code="changed",
        hint="look at it and try again",
    )


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def refused(file: str, error: OSError) -> AmodalError:
    """What to tell of a file that the system does not let us write."""
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return DeniedError(
            f"{file} cannot be written: {os.strerror(error.errno).lower()}",
            code="read_only",
            hint="change the file where it comes from",
        )
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return UnavailableError(f"{file} cannot be written: the disk is full", code="disk_full")
    reason = (error.strerror or "unknown").lower()
    return UnavailableError(f"{file} cannot be written: {reason}", code="not_written")
