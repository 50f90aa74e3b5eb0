"""A ledger on a disk that is not this machine's own is refused."""

from pathlib import Path

import pytest

from amodal_rt.errors import UnavailableError
from amodal_rt.settings import NETWORK_DISK
from amodal_rt.storage import filesystem
from amodal_rt.storage.sqlite_file import SqliteFile

LINUX = r"""
21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 21 0:26 / /srv rw,relatime shared:2 - nfs4 filer:/srv rw,vers=4.2
31 30 0:27 / /srv/with\040blank rw - xfs /dev/vdb rw
32 21 0:28 / /mnt rw - ext4 /dev/vdc rw
33 21 0:29 / /mnt rw master:3 propagate_from:1 - fuse.sshfs me@there:/ rw
"""
MACOS = """
/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)
//me@filer/share on /Volumes/share (smbfs, nodev, nosuid, mounted by me)
filer:/export on /Volumes/with (bracket) (nfs)
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/home/me", "ext4"),
        ("/srv/app", "nfs4"),
        ("/srvother", "ext4"),
        ("/srv/with blank/state", "xfs"),
        ("/mnt/x", "fuse.sshfs"),
    ],
)
def test_the_deepest_and_latest_mount_says_the_kind(folder: str, kind: str) -> None:
    assert filesystem.kind_at(Path(folder), filesystem.mounts_of_linux(LINUX)) == kind


@pytest.mark.parametrize(
    ("folder", "kind"),
    [("/Users/me", "apfs"), ("/Volumes/share/x", "smbfs"), ("/Volumes/with (bracket)/x", "nfs")],
)
def test_macos_is_read_from_its_mount_command(folder: str, kind: str) -> None:
    assert filesystem.kind_at(Path(folder), filesystem.mounts_of_macos(MACOS)) == kind


@pytest.mark.parametrize(
    "kind", ["nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "fuse.sshfs", "fuse.s3fs"]
)
def test_network_kinds_are_refused_before_anything_is_made(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "state" / "ledger.sqlite"

    with pytest.raises(UnavailableError) as error:
        SqliteFile(path, kind_of=lambda _: kind).open_writer()

    assert error.value.code == "network_disk"
    assert kind in error.value.message
    assert "AMODAL_RT_STATE_DIR" in (error.value.hint or "")
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize(
    "kind", ["ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "fuseblk", "fuse.mergerfs", None]
)
def test_local_and_unknown_kinds_are_used(tmp_path: Path, kind: str | None) -> None:
    SqliteFile(tmp_path / "ledger.sqlite", kind_of=lambda _: kind).open_writer().close()


def test_the_owner_of_the_machine_may_take_the_risk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NETWORK_DISK, "allow")

    SqliteFile(tmp_path / "ledger.sqlite", kind_of=lambda _: "nfs4").open_writer().close()


def test_this_machine_knows_its_own_disks(tmp_path: Path) -> None:
    kind = filesystem.kind_on_this_machine(tmp_path)

    assert kind is not None
    assert not filesystem.is_remote(kind)
