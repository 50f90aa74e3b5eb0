"""Files as the ledger needs them: private, durable, whole, and on a disk of this machine."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from amodal_rt.errors import UnavailableError
from amodal_rt.settings import NETWORK_DISK, network_disk_allowed

LEDGER_FILE = "ledger.sqlite"
"""The ledger's name in a state folder."""

_REMOTE = frozenset(
    [
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "ncpfs",
        "afs",
        "afpfs",
        "coda",
        "ceph",
        "lustre",
        "gpfs",
        "beegfs",
        "orangefs",
        "pvfs2",
        "webdav",
        "davfs",
        "9p",
        "vboxsf",
        "prl_fs",
        "vmhgfs",
    ]
)
"""Kinds on which locks or shared memory of two processes do not meet. What is
not listed counts as local, overlays and user-space file systems over a local disk among them."""
_REMOTE_FUSE = frozenset(
    [
        "sshfs",
        "glusterfs",
        "ceph",
        "ceph-fuse",
        "s3fs",
        "rclone",
        "gcsfuse",
        "blobfuse",
        "blobfuse2",
        "goofys",
        "davfs",
        "davfs2",
        "curlftpfs",
        "smbnetfs",
        "juicefs",
        "seaweedfs",
        "vmhgfs-fuse",
        "grpcfuse",
        "osxfs",
        "mfs",
        "moosefs",
    ]
)
_MOUNTS = Path("/proc/self/mountinfo")

KindOf = Callable[[Path], str | None]
"""Says which kind of file system a folder is on, as `mount` names it; None where unknown."""


def require_local(folder: Path, kind_of: KindOf | None = None) -> None:
    """Refuse a network file system: there SQLite's log can lose what was acknowledged.

    Raises UnavailableError (`network_disk`), unless the environment allows it.
    """
    kind = (kind_of or kind_on_this_machine)(folder)
    if kind is None or not is_remote(kind) or network_disk_allowed():
        return
    raise UnavailableError(
        f"{folder} is on a network file system ({kind}), where the ledger is not safe",
        code="network_disk",
        hint="name a folder on a local disk with AMODAL_RT_STATE_DIR, or keep the ledger in "
        f"PostgreSQL; {NETWORK_DISK}=allow takes the risk",
    )


def is_remote(kind: str) -> bool:
    """Whether another machine, or another kernel, may hold the files of this kind."""
    family, _, name = kind.lower().partition(".")
    return name in _REMOTE_FUSE if family in ("fuse", "macfuse", "osxfuse") else family in _REMOTE


def kind_on_this_machine(folder: Path) -> str | None:
    """The kind of the file system that `folder`, which exists, is on."""
    try:
        if sys.platform == "darwin":
            text = subprocess.run(
                ["/sbin/mount"], capture_output=True, text=True, timeout=5, check=False
            ).stdout
            return kind_at(folder.resolve(), mounts_of_macos(text))
        return kind_at(folder.resolve(), mounts_of_linux(_MOUNTS.read_text("utf-8", "replace")))
    except (OSError, subprocess.SubprocessError):
        return None


def kind_at(folder: Path, mounts: Iterator[tuple[Path, str]]) -> str | None:
    """The kind of the deepest mount above `folder`; of two at one place, the later one."""
    best: tuple[int, str] | None = None
    for point, kind in mounts:
        depth = len(point.parts)
        if folder.is_relative_to(point) and (best is None or depth >= best[0]):
            best = depth, kind
    return best[1] if best else None


def mounts_of_linux(text: str) -> Iterator[tuple[Path, str]]:
    """Mount points and kinds from `/proc/self/mountinfo`."""
    for line in text.splitlines():
        before, dash, after = line.partition(" - ")
        fields = before.split(" ")
        if dash and len(fields) > 4:
            # Blanks and line breaks stand as three octal digits.
            point = fields[4].encode("latin-1", "replace").decode("unicode_escape")
            yield Path(point), after.split(" ")[0]


def mounts_of_macos(text: str) -> Iterator[tuple[Path, str]]:
    """The same from the output of macOS's `mount`: `SOURCE on POINT (KIND, …)`."""
    for line in text.splitlines():
        place, bracket, options = line.rpartition(" (")
        _, on, point = place.partition(" on ")
        if bracket and on:
            yield Path(point), options.partition(",")[0].rstrip(")")


def make_private(path: Path) -> None:
    """A new empty file for its owner alone. Raises OSError, also when something is there."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    os.close(os.open(path, flags, 0o600))


def give_to_owner_of(folder: Path, file: Path | int) -> None:
    """Where root works in somebody's folder, make `file` theirs. Raises OSError."""
    owner = folder.stat()
    if os.geteuid() == 0 and owner.st_uid != 0:
        os.chown(file, owner.st_uid, owner.st_gid)


def sync_file(path: Path) -> None:
    """Make the content of `path` durable. Raises OSError."""
    _sync(path, os.O_RDWR)


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable. Raises OSError."""
    _sync(folder, os.O_RDONLY | os.O_DIRECTORY)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
