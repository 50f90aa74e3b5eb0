"""Who is at the other end of a unix socket, by the kernel's word."""

import os
import pwd
import socket
import struct
import sys
from typing import Protocol

_LINUX = struct.Struct("3i")  # struct ucred: pid, uid, gid
_BSD = struct.Struct("IIh")  # struct xucred: version, uid, count of groups
_BSD_LOCAL, _BSD_PEERCRED = 0, 1


class Options(Protocol):
    """The part of a socket that is asked."""

    def getsockopt(self, level: int, option: int, length: int, /) -> bytes:
        """Raw bytes of an option."""
        ...


def peer_uid(connection: Options) -> int | None:
    """The peer's user id; None where the kernel does not say."""
    try:
        if sys.platform == "linux":
            content = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _LINUX.size)
            return _LINUX.unpack(content)[1]
        content = connection.getsockopt(_BSD_LOCAL, _BSD_PEERCRED, _BSD.size)
        return _BSD.unpack(content)[1]
    except (OSError, struct.error):
        return None


def may_control(uid: int | None) -> bool:
    """Our own user and root; nobody else, and nobody unknown."""
    return uid is not None and uid in (os.getuid(), 0)


def user_name(uid: int) -> str:
    """The login name, or the number where there is none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
