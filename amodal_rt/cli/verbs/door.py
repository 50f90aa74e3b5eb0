"""The daemon as the verbs see it."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from amodal_rt.cli.output import Output

Document = dict[str, Any]


class Daemon(Protocol):
    """The control socket's client. Every call may raise any `AmodalError` of the daemon."""

    def get(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        """The JSON document at `path`."""
        ...

    def post(self, path: str, body: object = None) -> Any:
        """The JSON document that the daemon answers."""
        ...

    def lines(self, path: str, params: Mapping[str, str] | None = None) -> Iterator[Document]:
        """JSON Lines as they arrive, until the daemon ends the answer."""
        ...


class Door:
    """A client and a voice, handed to each verb."""

    def __init__(self, daemon: Daemon, output: Output) -> None:
        self.daemon = daemon
        self.output = output


def wanted(**params: object) -> dict[str, str]:
    """Query parameters without those that are not given."""
    return {key: str(value) for key, value in params.items() if value is not None}
