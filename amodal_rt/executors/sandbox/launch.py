"""Becomes a sandboxed program. Run as a script of its own, never imported.

It stands between the daemon and the program because only a process with one thread may enter
namespaces: it opens its network, takes hold of what is mounted, gives up its user and turns into
bubblewrap, or without isolation into the program itself. Its control groups it is put into while
it starts. Of the standard library it knows what is quick to import: it is started for every
program.

The descriptor that its one argument names is a socket: a marshalled document comes in, to its end;
out goes `ready`, with the listening socket of its network where it has one, or `failed` and why.
"""

import _socket
import ctypes
import fcntl
import marshal
import os
import resource
import stat
import struct
import sys

STAGE = "/tmp"  # noqa: S108 - a place of its own namespace, that every system has
NEW_MOUNTS, NEW_USERS, NEW_NETWORK = 0x00020000, 0x10000000, 0x40000000
BIND, RECURSIVE, PRIVATE = 0x1000, 0x4000, 0x40000
DIE_WITH_PARENT, JOIN_KEYRING, KILL = 1, 1, 9
KEYCTL = {"x86_64": 250, "aarch64": 219}
SET_FLAGS, UP = 0x8914, 1
LATER_KILLED = "500"
NOT_EXECUTED = 127
"""What a shell says of a program that it cannot execute."""

_c = ctypes.CDLL(None, use_errno=True)


class _CannotError(Exception):
    """What keeps the program from starting, for people."""


class Spec:
    """The document that comes in.

    `sources` is what is staged for bubblewrap, `files` texts that are staged by their names,
    `proxies` the variables that are to name the listening socket; without any there is none.
    `limits` go by the system's names without `RLIMIT_`. `user` is a number and a group, None to
    stay who we are.
    """

    argv: list[str]
    environment: dict[str, str]
    isolated: bool
    sources: list[str]
    files: dict[str, str]
    proxies: list[str]
    limits: dict[str, int]
    user: "list[int] | None"
    folder: str
    parent: int

    def __init__(self, text: bytes) -> None:
        self.__dict__.update(marshal.loads(text))  # noqa: S302 - from the daemon itself


def main() -> None:
    """Become the program that the document on the socket describes."""
    channel = _socket.socket(fileno=int(sys.argv[1]))
    os.set_inheritable(channel.fileno(), False)
    try:
        spec = Spec(_received(channel))
        _prepare(spec)
        listener = _isolate(spec) if spec.isolated else None
        _give_up_user(spec.user, spec.parent)
        _bound(spec)
        environment = spec.environment
        if listener is not None:
            address = f"http://127.0.0.1:{listener.getsockname()[1]}"
            environment |= dict.fromkeys(spec.proxies, address)
        os.chdir(spec.folder)
        _tell(channel, b"ready", listener)
    except (_CannotError, OSError, ValueError) as error:
        channel.send(b"failed " + _told(error).encode())
        sys.exit(125)
    _become(spec.argv, environment)


def _become(argv: list[str], environment: dict[str, str]) -> None:
    # The daemon has stopped listening: from here on it is told what a program's end tells it.
    try:
        os.execvpe(argv[0], argv, environment)  # noqa: S606 - a list, not a line
    except (OSError, ValueError) as error:
        told = _told(error)
        if isinstance(error, FileNotFoundError) and "/" not in argv[0]:
            told = f"{argv[0]}: no such program in {environment.get('PATH', os.defpath)}"
        sys.stderr.write(f"{told}\n")
        sys.exit(NOT_EXECUTED)


def _tell(channel: _socket.socket, text: bytes, listener: "_socket.socket | None") -> None:
    numbers = struct.pack("i", listener.fileno()) if listener is not None else b""
    passed = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, numbers)] if numbers else []
    channel.sendmsg([text], passed)


def _received(channel: _socket.socket) -> bytes:
    text = b""
    while part := channel.recv(65_536):
        text += part
    return text


def _prepare(spec: Spec) -> None:
    _follow(spec.parent)
    # The kernel makes room by ending a sandbox before it ends the daemon.
    _try_write("/proc/self/oom_score_adj", LATER_KILLED)
    number = KEYCTL.get(os.uname().machine)
    if number is not None:
        _c.syscall(number, JOIN_KEYRING, None, 0, 0, 0)


def _follow(parent: int) -> None:
    # Not SIGTERM: whoever goes away without a word must take the program along.
    _c.prctl(DIE_WITH_PARENT, KILL, 0, 0, 0)
    if os.getppid() != parent:
        raise _CannotError("the daemon is gone")


def _isolate(spec: Spec) -> "_socket.socket | None":
    user, group = os.getuid(), os.getgid()
    kinds = NEW_MOUNTS | NEW_NETWORK
    if user != 0:
        kinds |= NEW_USERS
    if _c.unshare(kinds) != 0:
        raise _CannotError(f"the kernel gives no namespaces: {_reason()}")
    if user != 0:
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{user} {user} 1")
        _write("/proc/self/gid_map", f"{group} {group} 1")
    _mount(None, "/", None, RECURSIVE | PRIVATE, None)
    held = [_open_plain(each) for each in spec.sources]
    _mount("tmpfs", STAGE, "tmpfs", 0, "mode=755,size=1m")
    for number, (descriptor, is_folder) in enumerate(held):
        place = f"{STAGE}/{number}"
        if is_folder:
            os.mkdir(place)
        else:
            _write(place, "")
        _mount(f"/proc/self/fd/{descriptor}", place, None, BIND | RECURSIVE, None)
        os.close(descriptor)
    for name, text in spec.files.items():
        _write(f"{STAGE}/{name}", text)
        os.chmod(f"{STAGE}/{name}", 0o644)
    return _network(spec.proxies)


def _network(proxies: list[str]) -> "_socket.socket | None":
    """Loopback, and where the profile has hosts a socket that the daemon itself listens on."""
    listener = _socket.socket()
    fcntl.ioctl(listener, SET_FLAGS, struct.pack("16sH14x", b"lo", UP))
    if not proxies:
        listener.close()
        return None
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    return listener


def _open_plain(path: str) -> "tuple[int, bool]":
    """Hold a folder or file. A link on the way may have been laid by a sandboxed program, so none
    is followed; what is held stays the same, whatever is renamed meanwhile."""
    held = os.open("/", os.O_PATH | os.O_CLOEXEC)
    for part in filter(None, path.split("/")):
        try:
            inner = os.open(part, os.O_PATH | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=held)
        except OSError as error:
            raise _CannotError(f"{path} cannot be mounted: {error.strerror}") from error
        finally:
            os.close(held)
        held = inner
        if stat.S_ISLNK(os.fstat(held).st_mode):
            raise _CannotError(f"{path} cannot be mounted: {part} is a link")
    mode = os.fstat(held).st_mode
    if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
        raise _CannotError(f"{path} cannot be mounted: neither a folder nor a file")
    return held, stat.S_ISDIR(mode)


def _give_up_user(user: "list[int] | None", parent: int) -> None:
    if user is None:
        return
    number, group = user
    for descriptor in (0, 1, 2):
        # Else nobody could open `/dev/stdin` and `/dev/stderr`, which are root's pipes.
        os.fchown(descriptor, number, group)
    os.setgroups([])
    os.setresgid(group, group, group)
    os.setresuid(number, number, number)
    # Another user's process does not hear of its parent's end any more.
    _follow(parent)


def _bound(spec: Spec) -> None:
    for name, most in spec.limits.items():
        if name == "NPROC" and not spec.isolated:
            # Within a namespace of users its own processes count, else all that the user has.
            most += _threads()
        kind = getattr(resource, f"RLIMIT_{name}")
        hard = resource.getrlimit(kind)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))


def _threads() -> int:
    """How many this user has."""
    found = 0
    for number in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.stat(f"/proc/{number}").st_uid == os.getuid():
                found += len(os.listdir(f"/proc/{number}/task"))
        except OSError:
            continue
    return found


def _mount(
    source: "str | None", target: str, kind: "str | None", flags: int, data: "str | None"
) -> None:
    texts = [None if each is None else each.encode() for each in (source, target, kind)]
    if _c.mount(*texts, flags, None if data is None else data.encode()) != 0:
        raise _CannotError(f"{target} cannot be mounted: {_reason()}")


def _reason() -> str:
    return os.strerror(ctypes.get_errno())


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def _try_write(path: str, text: str) -> None:
    try:
        _write(path, text)
    except OSError:
        # The program may be bounded, it need not be.
        pass


def _told(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename:
        return f"{os.fsdecode(error.filename)}: {error.strerror}"
    return str(error)


if __name__ == "__main__":
    main()
