"""An HTTP server that misbehaves by path: `/MODE/…`. Each connection has a thread."""

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Self

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_MB = b'"' + b"x" * 1_048_574 + b'"'


class Hostile:
    """Listens on a free port of this machine; closes every connection at its end."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._open: set[socket.socket] = set()
        self.over = threading.Event()
        self.asked: list[str] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self._listener.close()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def _serve(self) -> None:
        while not self.over.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        self._open.add(connection)
        with connection, contextlib.suppress(OSError):
            head = connection.recv(65_536).split(b" ", 2)
            mode = head[1].decode().split("/")[1] if len(head) > 1 else ""
            self.asked.append(mode)
            MODES.get(mode, closes)(self, connection)
        self._open.discard(connection)


def silent(server: Hostile, connection: socket.socket) -> None:
    """Takes the request and says nothing."""
    server.over.wait(600)


def drips(server: Hostile, connection: socket.socket) -> None:
    """One byte of the body at a time."""
    connection.sendall(HEAD + b"Content-Length: 1000000\r\n\r\n")
    while not server.over.wait(0.2):
        connection.sendall(b" ")


def drips_head(server: Hostile, connection: socket.socket) -> None:
    """One byte of a header at a time."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while not server.over.wait(0.2):
        connection.sendall(b"x")


def streams(server: Hostile, connection: socket.socket) -> None:
    """Events without an end, each of them a piece of an answer."""
    connection.sendall(STREAM)
    event = (
        b'data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"m",'
        b'"choices":[{"index":0,"delta":{"role":"assistant","content":"more "}}]}\n\n'
    )
    while not server.over.wait(0.005):
        connection.sendall(b"%x\r\n%s\r\n" % (len(event), event))


def floods(server: Hostile, connection: socket.socket) -> None:
    """A gigabyte, as fast as it is taken."""
    connection.sendall(HEAD + b"Content-Length: 1073741824\r\n\r\n")
    for _ in range(1024):
        connection.sendall(_MB)


def garbage(server: Hostile, connection: socket.socket) -> None:
    """Bytes that are no HTTP."""
    connection.sendall(bytes(range(256)) * 64)


def nonsense(server: Hostile, connection: socket.socket) -> None:
    """HTTP that is no answer of a model."""
    body = b'{"choices": [null, 7, {"message": []}], "usage": "\\ud800"}'
    connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n%s" % (len(body), body))


def closes(server: Hostile, connection: socket.socket) -> None:
    """Half an answer, then nothing."""
    connection.sendall(HEAD + b'Content-Length: 5000\r\n\r\n{"id": "1", "choices": [')


def ring(server: Hostile, connection: socket.socket) -> None:
    """A redirect to itself."""
    connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: /ring/again\r\nContent-Length: 0\r\n\r\n")


MODES: dict[str, Callable[[Hostile, socket.socket], None]] = {
    each.__name__: each
    for each in (silent, drips, drips_head, streams, floods, garbage, nonsense, closes, ring)
}
