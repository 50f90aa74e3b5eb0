"""The one client of the daemon, over its socket or TCP: stdlib only, synchronous, one request a
connection.

Importing it costs a few milliseconds, because every everyday command pays for it.
"""

import json
import socket
import urllib.parse
from collections.abc import Generator, Mapping, Sequence
from copy import copy
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO, NamedTuple, Self

from amodal_rt.errors import (
    AmodalError,
    ConflictError,
    DeniedError,
    InternalError,
    InvalidError,
    NotFoundError,
    TimedOutError,
    UnavailableError,
)
from amodal_rt.settings import runtime_folder

SOCKET_FILE = "control.sock"
RECORD_FILE = "daemon.json"

_KINDS: Mapping[str, type[AmodalError]] = {
    each.kind: each
    for each in (
        InvalidError,
        NotFoundError,
        ConflictError,
        DeniedError,
        UnavailableError,
        TimedOutError,
        InternalError,
    )
}


class DaemonRecord(NamedTuple):
    """What a running daemon says of itself in a file that only its user may read."""

    pid: int
    socket: Path
    workspace: Path
    state_dir: Path
    url: str | None


class Client:
    """Speaks to one daemon over its socket.

    Every call may raise what the daemon answered, as the same kind of `AmodalError`, and
    UnavailableError (`daemon_unreachable`) when nobody answers. `timeout` (seconds) bounds
    each wait for bytes; None waits for ever. `cause` is the token of the run that asks. `where`
    is how people know it.
    """

    _base = ""

    def __init__(
        self, path: Path, *, actor: str, timeout: float | None = 60, cause: str | None = None
    ) -> None:
        self.where = str(path)
        self.path = path
        self._cause = "".join((cause or "").split())
        self._actor = "".join(each for each in actor if each.isprintable()) or "unknown"
        self._timeout = timeout

    def within(self, seconds: float) -> Self:
        """The same daemon, with another bound of each wait for bytes: for what takes long."""
        patient = copy(self)
        patient._timeout = seconds  # noqa: SLF001 - of its own class
        return patient

    def get(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        """The JSON document at `path`."""
        return self._document("GET", _with_params(path, params), None)

    def post(self, path: str, body: object = None) -> Any:
        """The JSON document that the daemon answers to `body`."""
        return self._document("POST", _with_params(path, None), body)

    def exchange(self, path: str, content: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Status and body of a POST, whatever they are. `headers` are printable ASCII."""
        return self._whole(self._send("POST", _with_params(path, None), content, headers))

    def lines(
        self, path: str, params: Mapping[str, str] | None = None
    ) -> Generator[dict[str, Any], None, None]:
        """JSON Lines as they arrive, until the daemon ends the answer.

        Waits between two lines for as long as it takes.
        """
        connection = self._send("GET", _with_params(path, params))
        with connection, connection.makefile("rb") as stream:
            answer = self._head(stream)
            if answer.status >= 400:
                raise _raised(answer.status, b"".join(answer.chunks(stream)))
            connection.settimeout(None)
            pending = b""
            try:
                for chunk in answer.chunks(stream):
                    *lines, pending = (pending + chunk).split(b"\n")
                    for line in lines:
                        yield json.loads(line)
            except OSError as error:
                raise self._unreachable(error) from None

    def _document(self, method: str, path: str, body: object) -> Any:
        sent = b"" if body is None else json.dumps(body).encode()
        status, content = self._whole(self._send(method, path, sent))
        if status >= 400:
            raise _raised(status, content)
        return json.loads(content)

    def _whole(self, connection: socket.socket) -> tuple[int, bytes]:
        with connection, connection.makefile("rb") as stream:
            answer = self._head(stream)
            try:
                return answer.status, b"".join(answer.chunks(stream))
            except OSError as error:
                raise self._unreachable(error) from None

    def _send(
        self,
        method: str,
        path: str,
        content: bytes = b"",
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> socket.socket:
        head = [f"{method} {self._base}{path} HTTP/1.1", *self._names(), "Connection: close"]
        head += [f"{name}: {value}" for name, value in headers.items()]
        if self._cause.isascii() and self._cause.isprintable() and self._cause:
            head.append(f"Amodal-Rt-Cause: {self._cause}")
        if method == "POST":
            head += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
        connection: socket.socket | None = None
        try:
            connection = self._connect()
            connection.sendall("\r\n".join([*head, "", ""]).encode() + content)
        except OSError as error:
            if connection is not None:
                connection.close()
            raise self._unreachable(error) from None
        return connection

    def _names(self) -> list[str]:
        """The headers that say who is meant and who asks."""
        return ["Host: localhost", f"X-Actor: {urllib.parse.quote(self._actor)}"]

    def _connect(self) -> socket.socket:
        """A connection. Raises OSError."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(self._timeout)
            connection.connect(str(self.path))
        except OSError:
            connection.close()
            raise
        return connection

    def _head(self, stream: BinaryIO) -> "_Answer":
        try:
            return _Answer(stream)
        except (OSError, ValueError, IndexError) as error:
            raise self._unreachable(error) from None

    def _unreachable(self, error: Exception) -> AmodalError:
        if isinstance(error, TimeoutError):
            return TimedOutError(f"the daemon did not answer within {self._timeout:g} s")
        return _unreachable(self.where, str(error) or "it closed the connection")


class TcpClient(Client):
    """Speaks to one daemon over TCP, as the bearer of `token`.

    Raises InvalidError (`bad_url`) for what is no http(s) URL.
    """

    def __init__(
        self, url: str, *, token: str | None, timeout: float | None = 60, cause: str | None = None
    ) -> None:
        super().__init__(Path(), actor="", timeout=timeout, cause=cause)
        try:
            parts = urllib.parse.urlsplit(url)
            secure = {"http": False, "https": True}[parts.scheme]
            port = parts.port or (443 if secure else 80)
        except (ValueError, KeyError):
            parts, secure, port = None, False, 0
        if parts is None or not parts.hostname or parts.username is not None:
            raise InvalidError(
                f"{url!r} is no URL of a daemon", code="bad_url", hint="http://127.0.0.1:3847"
            )
        self.where = url
        self._secure = secure
        self._address = (parts.hostname, port)
        self._host = parts.netloc
        self._base = parts.path.rstrip("/")
        self._token = "".join((token or "").split())

    def _names(self) -> list[str]:
        known = self._token.isascii() and self._token.isprintable() and self._token
        return [f"Host: {self._host}", *([f"Authorization: Bearer {self._token}"] if known else [])]

    def _connect(self) -> socket.socket:
        connection = socket.create_connection(self._address, self._timeout)
        if not self._secure:
            return connection
        # Everyday verbs go over the socket, and must not pay for importing this.
        import ssl  # noqa: PLC0415

        try:
            context = ssl.create_default_context()
            return context.wrap_socket(connection, server_hostname=self._address[0])
        except OSError:
            connection.close()
            raise


def find_client(state: Path, *, actor: str, cause: str | None = None) -> Client:
    """The daemon that serves the state folder `state`; whether it lives shows on first use."""
    record = _read_record(state / RECORD_FILE)
    path = record.socket if record else state / SOCKET_FILE
    return Client(path, actor=actor, cause=cause)


def running_daemons() -> Sequence[DaemonRecord]:
    """The daemons of this user that accept connections now, by workspace."""
    folder = runtime_folder()
    records = (_read_record(path) for path in sorted(folder.glob("*.json"))) if folder else ()
    living = [record for record in records if record and _accepts(record.socket)]
    return sorted(living, key=lambda record: record.workspace)


class _Answer:
    """Status and framing of one HTTP answer; the body is read by `chunks`."""

    def __init__(self, stream: BinaryIO) -> None:
        line = stream.readline(65_536)
        if not line:
            raise ConnectionError("it closed the connection; it may be stopping")
        self.status = int(line.split(maxsplit=2)[1])
        self._length: int | None = None
        self._chunked = False
        while (line := stream.readline(65_536)) not in (b"\r\n", b""):
            name, _, value = line.decode("latin-1").partition(":")
            if name.lower() == "content-length":
                self._length = int(value)
            elif name.lower() == "transfer-encoding":
                self._chunked = value.strip().lower() == "chunked"

    def chunks(self, stream: BinaryIO) -> Generator[bytes, None, None]:
        """The body as it comes. Raises ConnectionError when it ends too early."""
        if not self._chunked:
            yield _exactly(stream, self._length) if self._length is not None else stream.read()
            return
        while (size := int(stream.readline(100) or b"-1", 16)) > 0:
            yield _exactly(stream, size)
            stream.readline(2)
        if size < 0:
            raise ConnectionError("the daemon went away in the middle of its answer")


def _exactly(stream: BinaryIO, size: int) -> bytes:
    content = stream.read(size)
    if len(content) < size:
        raise ConnectionError("the daemon went away in the middle of its answer")
    return content


def _with_params(path: str, params: Mapping[str, str] | None) -> str:
    quoted = urllib.parse.quote(path)
    return f"{quoted}?{urllib.parse.urlencode(params)}" if params else quoted


def _raised(status: int, content: bytes) -> AmodalError:
    try:
        error: dict[str, Any] = json.loads(content)["error"]
        kind = _KINDS[error["kind"]]
        return kind(error["message"], code=error["code"], hint=error.get("hint"))
    except (ValueError, KeyError, TypeError):
        return InternalError(
            f"the daemon answered {status} in words that this version does not know"
        )


def _unreachable(where: str, why: str) -> AmodalError:
    return UnavailableError(
        f"no daemon answers at {where}: {why}",
        code="daemon_unreachable",
        hint="run `amodal-rt up`",
    )


def _read_record(path: Path) -> DaemonRecord | None:
    try:
        content = json.loads(path.read_bytes())
        return DaemonRecord(
            pid=int(content["pid"]),
            socket=Path(content["socket"]),
            workspace=Path(content["workspace"]),
            state_dir=Path(content["state_dir"]),
            url=content.get("url"),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _accepts(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
