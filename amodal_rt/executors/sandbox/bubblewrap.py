"""The arguments that make bubblewrap hold a program to its profile."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from amodal_rt.domain.profile import Profile

PROGRAM = "bwrap"
STAGE = "/tmp"  # noqa: S108 - of the launcher's own namespace
HOME = "/home/agent"
WORK = "/work"
USER = 1000
"""Who a program is inside, whoever the daemon is outside."""
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SMALL = 1024 * 1024

FILES: Mapping[str, str] = {
    "passwd": f"agent:x:{USER}:{USER}:agent:{HOME}:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n",
    "group": f"agent:x:{USER}:\nnogroup:x:65534:\n",
    "hosts": "127.0.0.1 localhost\n::1 localhost\n",
}
"""Of `/etc`: what the machine's own would tell is none of a program's business."""

_PROGRAMS = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32")
_SETTINGS = (
    "alternatives", "ca-certificates.conf", "ld.so.cache", "ld.so.conf", "ld.so.conf.d",
    "localtime", "mime.types", "nsswitch.conf", "pki/ca-trust", "pki/tls/certs", "protocols",
    "services", "ssl/certs", "ssl/openssl.cnf",
)  # fmt: skip
_OWN = frozenset({"proc", "dev", "sys", "tmp"})


def arguments(
    profile: Profile, argv: Sequence[str], *, workspace: Path, status: int, hidden: Sequence[Path]
) -> list[str]:
    """Of `bwrap`, to run `argv`. The launcher stages what `sources` lists; `status` is the
    descriptor for what bubblewrap reports. What is `hidden` (real paths) is not shown among the
    machine's programs. Raises OSError for a base that cannot be read."""
    return [
        PROGRAM, "--unshare-user", "--disable-userns", "--unshare-pid", "--unshare-ipc",
        "--unshare-uts", "--unshare-cgroup-try", "--uid", str(USER), "--gid", str(USER),
        "--hostname", "sandbox", "--new-session", "--die-with-parent",
        "--json-status-fd", str(status),
        "--size", str(SMALL), "--tmpfs", "/",
        *_root(profile, workspace),
        *(_hiding(hidden) if profile.base is None else ()),
        "--proc", "/proc", "--dev", "/dev",
        *_empty("/dev/shm", profile.bounds.memory),  # noqa: S108
        *_empty("/tmp", profile.bounds.memory),  # noqa: S108
        *_empty(HOME, profile.bounds.memory),
        *_empty(WORK, profile.bounds.memory),
        *_mounts(profile),
        "--remount-ro", "/dev", "--remount-ro", "/",
        "--chdir", WORK,
        "--", *argv,
    ]  # fmt: skip


def sources(profile: Profile, workspace: Path) -> list[str]:
    """What the launcher is to stage, in the order that `arguments` counts on."""
    staged = [profile.base] if profile.base is not None else []
    staged += [each.source for each in profile.mounts]
    return [os.path.normpath(workspace / each) for each in staged]


def _empty(place: str, size: int) -> tuple[str, ...]:
    return "--size", str(size), "--tmpfs", place


def _root(profile: Profile, workspace: Path) -> Iterator[str]:
    if profile.base is not None:
        base = workspace / profile.base
        names = sorted(each.name for each in base.iterdir() if each.name not in _OWN)
        yield from _entries(base, f"{STAGE}/0/", names)
        return
    yield from _entries(Path("/"), "/", _PROGRAMS)
    for each in _SETTINGS:
        yield from ("--ro-bind-try", f"/etc/{each}", f"/etc/{each}")
    for name in FILES:
        yield from ("--ro-bind", f"{STAGE}/{name}", f"/etc/{name}")


def _hiding(hidden: Sequence[Path]) -> Iterator[str]:
    """Images of containers keep their workspace below `/usr` as often as not."""
    covered: list[Path] = []
    for path in sorted(hidden):
        if not set(path.parts[1:2]) & set(_PROGRAMS):
            continue
        if any(each in path.parents for each in covered) or not path.exists():
            continue
        covered.append(path)
        if path.is_dir():
            yield from _empty(str(path), SMALL)
        else:
            yield from ("--ro-bind", os.devnull, str(path))


def _entries(folder: Path, shown: str, names: Sequence[str]) -> Iterator[str]:
    for name in names:
        path = folder / name
        if path.is_symlink():
            yield from ("--symlink", str(path.readlink()), f"/{name}")
        elif path.exists():
            yield from ("--ro-bind", f"{shown}{name}", f"/{name}")


def _mounts(profile: Profile) -> Iterator[str]:
    first = 0 if profile.base is None else 1
    numbered = list(enumerate(profile.mounts, start=first))
    # A folder before what is mounted below it, which it would hide.
    for number, mount in sorted(numbered, key=lambda each: each[1].target.count("/")):
        how = "--bind" if mount.writable else "--ro-bind"
        yield from (how, f"{STAGE}/{number}", mount.target)
