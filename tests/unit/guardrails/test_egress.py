"""What a session of egress connects to, and what it does with what comes back."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import ClientConnectorError, web
from aiohttp.abc import AbstractResolver, ResolveResult

from amodal_rt.errors import DeniedError
from amodal_rt.guardrails.egress import SETTING, USER_AGENT, Egress, read_limited, refusal

SPELLINGS_OF_LOOPBACK = [
    "127.0.0.1",
    "127.1",
    "0x7f.1",
    "0177.0.0.1",
    "0",
    "0.0.0.0",
    "127.000.000.001",
    "2130706433",
    "①②⑦.⓪.⓪.①",
    "localhost",
    "LOCALHOST",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[0:0:0:0:0:ffff:7f00:0001]",
    "[::127.0.0.1]",
]


Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


Serve = Callable[[Handler], Awaitable[int]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    servers: list[web.ServerRunner] = []

    async def start(answer: Handler) -> int:
        runner = web.ServerRunner(web.Server(answer))
        await runner.setup()
        servers.append(runner)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return int(runner.addresses[0][1])

    yield start
    for server in servers:
        await server.cleanup()


async def _ok(_: web.BaseRequest) -> web.StreamResponse:
    return web.Response(text="hello")


class _Names(AbstractResolver):
    """Answers each lookup with the next list of addresses, the last one for ever."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in answer
        ]

    async def close(self) -> None:
        return


@pytest.mark.parametrize("host", SPELLINGS_OF_LOOPBACK)
async def test_no_spelling_of_this_machine_reaches_it(serve: Serve, host: str) -> None:
    reached: list[str] = []

    async def note(request: web.BaseRequest) -> web.StreamResponse:
        reached.append(request.path)
        return web.Response()

    port = await serve(note)
    async with Egress() as egress:
        with pytest.raises((ClientConnectorError, ValueError, OSError)):
            async with egress.session().get(f"http://{host}:{port}/"):
                pass

    assert reached == []


async def test_the_refusal_names_the_address_and_the_setting(serve: Serve) -> None:
    port = await serve(_ok)
    async with Egress() as egress:
        with pytest.raises(ClientConnectorError) as caught:
            async with egress.session().get(f"http://127.0.0.1:{port}/"):
                pass

    denied = refusal(caught.value)
    assert denied is not None
    assert denied.code == "egress"
    assert "127.0.0.1" in denied.message
    assert SETTING in denied.message


async def test_a_refusal_is_found_among_the_errors_of_several_addresses(serve: Serve) -> None:
    names = _Names(["127.0.0.1", "10.0.0.1", "::1"])
    async with Egress(resolver=names) as egress:
        with pytest.raises(ClientConnectorError) as caught:
            async with egress.session().get("http://several.example/"):
                pass

    assert isinstance(refusal(caught.value), DeniedError)


async def test_an_ordinary_connection_error_is_no_refusal() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        async with Egress(["127.0.0.0/8"]) as egress:
            with pytest.raises(ClientConnectorError) as caught:
                async with egress.session().get(f"http://127.0.0.1:{taken.getsockname()[1]}/"):
                    pass

    assert refusal(caught.value) is None


async def test_a_name_that_turns_private_between_two_requests_is_refused(serve: Serve) -> None:
    """The guard judges each connection, not the name: 127.0.0.1 plays the public address."""

    async def closing(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(headers={"Connection": "close"})

    port = await serve(closing)
    names = _Names(["127.0.0.1"], ["127.0.0.2"])
    async with Egress(["127.0.0.1/32"], resolver=names) as egress:
        session = egress.session()
        async with session.get(f"http://rebinding.example:{port}/") as response:
            assert response.status == 200
        session.connector.clear_dns_cache()  # type: ignore[union-attr]
        with pytest.raises(ClientConnectorError) as caught:
            async with session.get(f"http://rebinding.example:{port}/"):
                pass

    assert names.asked == 2
    assert "127.0.0.2" in str(refusal(caught.value))


async def test_a_refused_candidate_does_not_spoil_an_allowed_one(serve: Serve) -> None:
    port = await serve(_ok)
    names = _Names(["::1", "127.0.0.1"])
    async with (
        Egress(["127.0.0.1"], resolver=names) as egress,
        egress.session().get(f"http://both.example:{port}/") as response,
    ):
        assert await response.text() == "hello"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_never_followed(serve: Serve, status: int) -> None:
    reached: list[str] = []

    async def inside(request: web.BaseRequest) -> web.StreamResponse:
        reached.append(request.path)
        return web.Response(text="metadata")

    inner = await serve(inside)

    async def bounce(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=status, headers={"Location": f"http://127.0.0.1:{inner}/meta"})

    port = await serve(bounce)
    async with Egress(["127.0.0.0/8"]) as egress:
        with pytest.raises(DeniedError) as caught:
            async with egress.session().get(f"http://127.0.0.1:{port}/"):
                pass
        async with egress.session().get(
            f"http://127.0.0.1:{port}/", allow_redirects=False
        ) as response:
            assert response.status == status

    assert caught.value.code == "egress"
    assert reached == []


async def test_a_narrowed_list_holds_for_the_next_request_despite_open_connections(
    serve: Serve,
) -> None:
    port = await serve(_ok)
    async with Egress(["127.0.0.0/8"]) as egress:
        async with egress.session().get(f"http://127.0.0.1:{port}/") as response:
            await response.read()
        egress.configure([])
        with pytest.raises(ClientConnectorError):
            async with egress.session().get(f"http://127.0.0.1:{port}/"):
                pass
        egress.configure(["127.0.0.1"])
        async with egress.session().get(f"http://127.0.0.1:{port}/") as response:
            assert response.status == 200


async def test_a_request_under_way_survives_a_reload(serve: Serve) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(_: web.BaseRequest) -> web.StreamResponse:
        begun.set()
        await go_on.wait()
        return web.Response(text="done")

    port = await serve(slow)
    async with Egress(["127.0.0.0/8"]) as egress:

        async def ask() -> str:
            async with egress.session().get(f"http://127.0.0.1:{port}/") as response:
                return await response.text()

        asking = asyncio.create_task(ask())
        await begun.wait()
        egress.configure([])
        go_on.set()
        assert await asking == "done"


async def test_proxies_of_the_environment_and_cookies_are_ignored(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str | None, str | None]] = []

    async def note(request: web.BaseRequest) -> web.StreamResponse:
        seen.append((request.headers.get("Cookie"), request.headers.get("User-Agent")))
        return web.Response(headers={"Set-Cookie": "a=1; Path=/"})

    port = await serve(note)
    monkeypatch.setenv("http_proxy", "http://192.0.2.1:3128")
    async with Egress(["127.0.0.0/8"]) as egress:
        for _ in range(2):
            async with egress.session().get(f"http://127.0.0.1:{port}/"):
                pass

    assert seen == [(None, USER_AGENT), (None, USER_AGENT)]


async def test_an_answer_is_read_up_to_its_limit(serve: Serve) -> None:
    async def big(_: web.BaseRequest) -> web.StreamResponse:
        response = web.Response(body=b"x" * 1_000_000)
        response.enable_compression(web.ContentCoding.gzip)
        return response

    port = await serve(big)
    async with Egress(["127.0.0.0/8"]) as egress:
        async with egress.session().get(f"http://127.0.0.1:{port}/") as response:
            assert response.headers["Content-Encoding"] == "gzip"
            assert await read_limited(response, 1000) == (b"x" * 1000, True)
        async with egress.session().get(f"http://127.0.0.1:{port}/") as response:
            assert await read_limited(response, 1_000_000) == (b"x" * 1_000_000, False)
