"""An HTTP server in threads that remembers what it was sent."""

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Request:
    """One request as it arrived; header names in lower case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    def raw(self) -> bytes:
        """Everything in it, for a search."""
        return repr((self.method, self.path, self.query, self.headers)).encode() + self.body


@dataclass(frozen=True)
class Reply:
    """What to answer."""

    status: int = 200
    document: Any = None
    content: bytes | None = None
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    def payload(self) -> bytes:
        """The bytes of the body."""
        return json.dumps(self.document).encode() if self.content is None else self.content


class Stub:
    """A server on a free port of this machine. `answer` decides; `requests` remembers."""

    def __init__(self, answer: Callable[[Request], Reply] | None = None) -> None:
        self.requests: list[Request] = []
        self._answer = answer or (lambda _: Reply())
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _bound(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._open: set[Any] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, request: Request) -> Reply:
        """What the server says to a request."""
        return self._answer(request)

    def sent(self, method: str, path: str) -> list[Request]:
        """The requests of one method to one path."""
        return [each for each in list(self.requests) if (each.method, each.path) == (method, path)]


def _bound(stub: Stub) -> type[BaseHTTPRequestHandler]:
    class Door(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30

        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            if len(body) < length:
                return  # whoever asked was killed in the middle
            parts = urlsplit(self.path)
            request = Request(
                self.command,
                parts.path,
                dict(parse_qsl(parts.query)),
                {name.lower(): value for name, value in self.headers.items()},
                body,
            )
            stub.requests.append(request)
            reply = stub.answer(request)
            content = reply.payload()
            self.send_response(reply.status)
            self.send_header("Content-Type", reply.content_type)
            self.send_header("Content-Length", str(len(content)))
            for name, value in reply.headers.items():
                self.send_header(name, value)
            # One request a connection: no thread outlives the test that asked.
            self.send_header("Connection", "close")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def handle(self) -> None:
            try:
                super().handle()
            except OSError:
                return  # whoever asked was killed, as some tests do

        def log_message(self, format: str, *args: object) -> None:
            return

    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"):
        setattr(Door, f"do_{method}", Door._serve)
    return Door
