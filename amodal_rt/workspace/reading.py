"""What stands on the disk: which files count, whether they changed, their bytes.

Nothing here raises for what a folder may hold: a file that cannot be read is a problem of
that file alone.
"""

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from amodal_rt.domain.problem import Problem

LARGEST = 256 * 1024
"""Bytes of one file."""
MOST = 20_000
"""Files of one workspace."""
SETTINGS = "amodal.json"
DOTENV = ".env"
IDENTITIES = "identities.json"
AUTOMATIONS = "automations"
PROFILES = "profiles"
CONNECTIONS = "connections"
SINGLES: Mapping[str, tuple[str, ...]] = {
    AUTOMATIONS: (".json", ".md"),
    "agents": (".md",),
    "knowledge": (".md",),
    "stores": (".json",),
    "integrations": (".json",),
    "events": (".json",),
    "scripts": (".py",),
    "workflows": (".json",),
}
"""Folders whose every file is one definition, by its suffix."""
CONNECTION_FILES = ("spec.json", "access.json", "surface.md", "rules.md")


class Stamp(NamedTuple):
    """What tells, without reading, that a file is no longer the one that was read."""

    modified: int
    changed: int
    size: int
    inode: int
    device: int


_NO_STAMP = Stamp(0, 0, 0, 0, 0)


class Found(NamedTuple):
    """One file as the folder lists it. `problem` says why it cannot be read at all.

    A tuple, not a dataclass: a look at 10,000 files makes and compares 10,000.
    """

    file: str
    path: str
    stamp: Stamp
    mode: int
    problem: Problem | None = None


@dataclass(slots=True)
class Scan:
    """One look at the workspace; paths are relative to it, with `/`.

    `folders` are the absolute paths to watch, with their identity: a folder that was made
    again is another one. `listed` has the identity of each folder of definitions that could
    be read.
    """

    settings: Found | None = None
    dotenv: Found | None = None
    identities: Found | None = None
    singles: dict[str, dict[str, Found]] = field(
        default_factory=lambda: {folder: {} for folder in SINGLES}
    )
    connections: dict[str, dict[str, Found]] = field(default_factory=dict[str, dict[str, Found]])
    profiles: dict[str, Found] = field(default_factory=dict[str, Found])
    folders: dict[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    listed: dict[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    problems: list[Problem] = field(default_factory=list[Problem])
    count: int = 0


class UnreadableError(Exception):
    """A file cannot be read; `problem` says why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def scan(root: Path) -> Scan:
    """Look at every folder of the workspace, reading no file."""
    real = os.path.realpath(root)
    found = Scan()
    _note_folder(found, str(root))
    found.settings = find(real, SETTINGS)
    found.dotenv = find(real, DOTENV)
    found.identities = find(real, IDENTITIES)
    for folder, suffixes in SINGLES.items():
        for entry in _entries(found, real, folder):
            _take_single(found, real, folder, suffixes, entry)
    for entry in _entries(found, real, CONNECTIONS):
        if ignored(entry.name) or _unspeakable(found, CONNECTIONS, entry.name):
            continue
        name = f"{CONNECTIONS}/{entry.name}"
        if not _is_folder(entry):
            found.problems.append(_stray(name, "a connection is a folder with a spec.json"))
            continue
        listed = {inner.name for inner in _entries(found, real, name)}
        files = {each: find(real, f"{name}/{each}") for each in CONNECTION_FILES if each in listed}
        found.connections[entry.name] = {k: v for k, v in files.items() if v is not None}
        found.count += len(files)
    _take_profiles(found, real)
    return found


def profile_labels(root: Path) -> set[str]:
    """`build@3` for each file of `profiles/` that may be one."""
    return {f"{each.parent.name}@{each.stem}" for each in root.glob(f"{PROFILES}/*/*.json")}


def find(real: str, file: str) -> Found | None:
    """The file at `file` of the workspace whose real path is `real`, or None."""
    path = f"{real}/{file}"
    try:
        listed = os.lstat(path)
        # A folder on the way may be a link, too.
        linked = os.path.realpath(path) != path
    except (OSError, ValueError):
        return None
    return _judge(real, file, path, listed, linked=linked)


def read(found: Found) -> bytes:
    """The bytes of a regular file of at most `LARGEST` bytes, in UTF-8.

    Raises UnreadableError. Never waits: a FIFO that took the file's place is refused.
    """
    if found.problem:
        raise UnreadableError(found.problem)
    try:
        # `path` is free of links already: one that took its place since is refused.
        handle = os.open(found.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        raise UnreadableError(_unreadable(found.file, error)) from error
    try:
        status = os.fstat(handle)
        if problem := _kind_problem(found.file, status):
            raise UnreadableError(problem)
        data = b""
        while len(data) <= LARGEST and (part := os.read(handle, LARGEST + 1 - len(data))):
            data += part
    except OSError as error:
        raise UnreadableError(_unreadable(found.file, error)) from error
    finally:
        os.close(handle)
    if len(data) > LARGEST:
        raise UnreadableError(_too_large(found.file))
    _check_text(found.file, data)
    return data


def ignored(name: str) -> bool:
    """Whether a file is for people, or an editor's own: hidden, a backup, half of a save."""
    return (
        name.startswith((".", "#"))
        or name.endswith(("~", ".swp", ".swo", ".swx", ".tmp", ".bak", ".orig", ".part"))
        or name == "4913"
        or name.casefold() in ("readme", "readme.md")
    )


def _take_profiles(found: Scan, real: str) -> None:
    for entry in _entries(found, real, PROFILES):
        name = f"{PROFILES}/{entry.name}"
        if ignored(entry.name) or _unspeakable(found, PROFILES, entry.name):
            continue
        if not _is_folder(entry):
            found.problems.append(_stray(name, "a profile is a folder with its versions"))
            continue
        for version in _entries(found, real, name):
            if ignored(version.name) or _unspeakable(found, name, version.name):
                continue
            file = f"{name}/{version.name}"
            if not version.name.endswith(".json"):
                what = "a file whose name does not end in .json is not read"
                found.problems.append(_stray(file, what))
            elif (each := find(real, file)) is not None:
                found.profiles[file] = each
                found.count += 1


def _take_single(
    found: Scan, real: str, folder: str, suffixes: tuple[str, ...], entry: "os.DirEntry[str]"
) -> None:
    name, file = entry.name, f"{folder}/{entry.name}"
    if ignored(name) or _unspeakable(found, folder, name):
        return
    if not name.endswith(suffixes):
        wanted = " or ".join(suffixes)
        what = "a folder here" if _is_folder(entry) else "a file whose name does not end in"
        reason = f"{what} is not read" if _is_folder(entry) else f"{what} {wanted} is not read"
        found.problems.append(_stray(file, reason))
        return
    if found.count >= MOST:
        if found.count == MOST:
            found.problems.append(
                Problem(
                    file=folder,
                    code="too_many_files",
                    message=f"a workspace has at most {MOST} files; the rest is not read",
                )
            )
            found.count += 1
        return
    try:
        # Not the listing's own knowledge of the type: it is as old as the listing.
        listed = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return
    except OSError as error:
        # It is there, so it is not deleted, whatever keeps us from it.
        problem = _unreadable(file, error)
        found.singles[folder][file] = Found(file, f"{real}/{file}", _NO_STAMP, 0, problem)
        found.count += 1
        return
    linked = stat.S_ISLNK(listed.st_mode)
    judged = _judge(real, file, f"{real}/{file}", listed, linked=linked)
    if linked and not judged.problem:
        _note_folder(found, str(Path(judged.path).parent))
    found.singles[folder][file] = judged
    found.count += 1


def _unspeakable(found: Scan, folder: str, name: str) -> bool:
    """Whether a name would forge lines, or cannot be written at all: then it is a problem."""
    if name.isprintable():
        return False
    shown = f"{folder}/{ascii(name)[1:-1]}"
    message = "a name with characters that cannot be printed is not read"
    found.problems.append(Problem(file=shown, code="bad_name", message=message))
    return True


def _judge(real: str, file: str, path: str, listed: os.stat_result, *, linked: bool) -> Found:
    problem = None
    if linked:
        target = os.path.realpath(path)
        if not target.startswith(real + "/"):
            problem = Problem(
                file=file,
                code="outside",
                message="a link that leads out of the workspace is not followed",
                hint="put the file itself into the workspace",
            )
        else:
            path = target
            with suppress(OSError):
                listed = os.lstat(target)
            # Still a link: its end is missing, or it leads in a ring.
            if stat.S_ISLNK(listed.st_mode):
                problem = Problem(file=file, code="broken_link", message="the link leads nowhere")
    problem = problem or _kind_problem(file, listed)
    return Found(file, path, _stamp(listed), listed.st_mode, problem)


def _stamp(status: os.stat_result) -> Stamp:
    return Stamp(
        status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino, status.st_dev
    )


def _kind_problem(file: str, status: os.stat_result) -> Problem | None:
    if stat.S_ISREG(status.st_mode):
        return _too_large(file) if status.st_size > LARGEST else None
    kinds = {
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a FIFO",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
    kind = kinds.get(stat.S_IFMT(status.st_mode), "a special file")
    return Problem(file=file, code="not_a_file", message=f"{kind} stands where a file should")


def _too_large(file: str) -> Problem:
    return Problem(
        file=file, code="too_large", message=f"larger than {LARGEST // 1024} KiB, so it is not read"
    )


def _unreadable(file: str, error: OSError) -> Problem:
    reason = (error.strerror or "unreadable").lower()
    return Problem(file=file, code="unreadable", message=f"cannot be read: {reason}")


def _stray(file: str, message: str) -> Problem:
    return Problem(file=file, code="not_read", message=message, severity="warning")


def _check_text(file: str, data: bytes) -> None:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        raise UnreadableError(
            Problem(
                file=file,
                code="not_utf8",
                message=f"not UTF-8: byte 0x{data[error.start]:02x}",
                line=before.count(b"\n") + 1,
                column=error.start - before.rfind(b"\n"),
                hint="save the file as UTF-8",
            )
        ) from error


def _entries(found: Scan, real: str, folder: str) -> Iterator["os.DirEntry[str]"]:
    """What a folder of the workspace lists, in order; nothing when it is missing."""
    path = f"{real}/{folder}"
    target = os.path.realpath(path)
    if target != path and not target.startswith(real + "/"):
        found.problems.append(
            Problem(
                file=folder,
                code="outside",
                message="a link that leads out of the workspace is not followed",
                hint="put the folder itself into the workspace",
            )
        )
        return
    try:
        with os.scandir(target) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    except OSError as error:
        found.problems.append(_unreadable(folder, error))
        return
    _note_folder(found, target)
    if target in found.folders:
        found.listed[folder] = found.folders[target]
    yield from entries


def _note_folder(found: Scan, path: str) -> None:
    try:
        status = Path(path).stat()
    except OSError:
        return
    found.folders[path] = (status.st_dev, status.st_ino)


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
