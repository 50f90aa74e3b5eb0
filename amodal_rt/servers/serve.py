"""A TCP door: webhooks and health, and what the guard lets in."""

from collections.abc import Sequence

from aiohttp import web

from amodal_rt.errors import InvalidError, NotFoundError, UnavailableError
from amodal_rt.servers.deadlines import Deadlines, Listener
from amodal_rt.servers.guard import Guard, Guarded
from amodal_rt.servers.problems import refused

Routes = list[web.RouteDef]
"""What answers where."""

_SENDERS = ("/webhooks/{rest:.*}", "/integrations/{rest:.*}")
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - spellings, nothing is bound here


def parse_listen(text: str) -> tuple[str, int]:
    """`HOST:PORT`, with brackets round an IPv6 address; port 0 takes a free one.

    Raises InvalidError (`bad_listen`).
    """
    host, colon, port = text.strip().rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        host = ""
    if not colon or not host or not _is_port(port):
        raise InvalidError(
            f"cannot listen on {text!r}",
            code="bad_listen",
            hint='write HOST:PORT, for example "127.0.0.1:3847" or "[::1]:3847"',
        )
    return host, int(port)


def _is_port(text: str) -> bool:
    # Of a text of five thousand digits int() makes an error, not a number.
    return text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 65_535


class TcpDoor:
    """Open from `open` to `close`; `url` is how this machine reaches it."""

    def __init__(
        self,
        proven: Routes,
        *,
        guard: Guard | None,
        guarded: Sequence[Guarded] = (),
        deadlines: Deadlines | None = None,
    ) -> None:
        """`proven` routes have proofs of their own; all that is neither they nor `guarded` is
        nothing, which only bearers of a token are told. Without a guard, everybody is."""
        app = web.Application()
        app.add_routes(proven)
        # Senders have no token: one that missed its path is told so.
        app.add_routes([web.route("*", each, _nothing_here) for each in _SENDERS])
        if guard is None:
            app.add_routes([web.route("*", "/{rest:.*}", _nothing_here)])
        else:
            app.add_routes([*guard.routes(guarded), guard.rest()])
        self._listener = Listener(app, deadlines=deadlines)
        self.address = ""
        self.url = ""

    async def open(self, listen: str) -> None:
        """Listen. Raises InvalidError, UnavailableError (`address_in_use`)."""
        host, wanted = parse_listen(listen)
        try:
            bound, port = await self._listener.open(host, wanted)
        except OSError as error:
            raise UnavailableError(
                f"cannot listen on {listen}: {error.strerror or error}",
                code="address_in_use",
                hint="stop what listens there, or choose another with --listen HOST:PORT",
            ) from None
        self.address = _joined(bound, port)
        self.url = f"http://{_joined(_ANYWHERE.get(bound, bound), port)}"

    async def close(self) -> None:
        """Take no more, answer what is in hand, hang up the rest."""
        await self._listener.close()


async def _nothing_here(request: web.Request) -> web.Response:
    return refused(NotFoundError("there is nothing at this path", code="no_such_path"))


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
