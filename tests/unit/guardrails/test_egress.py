import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import ClientConnectorError, web
from aiohttp.abc import AbstractResolver, ResolveResult

from amodal_rt.errors import DeniedError, InvalidError
from amodal_rt.guardrails.egress import (
    SETTING,
    USER_AGENT,
    Egress,
    is_loopback_host,
    origin_of,
    parse_networks,
    read_limited,
    refusal,
    special_range,
)

SPECIAL = {
    "0.0.0.0": "unspecified",
    "0.1.2.3": "unspecified",
    "10.0.0.1": "private",
    "10.255.255.255": "private",
    "100.64.0.1": "shared (carrier NAT)",
    "100.127.255.255": "shared (carrier NAT)",
    "127.0.0.1": "loopback",
    "127.255.255.254": "loopback",
    "169.254.169.254": "link-local",
    "169.254.0.1": "link-local",
    "172.16.0.1": "private",
    "172.31.255.255": "private",
    "192.0.0.1": "reserved",
    "192.0.0.170": "reserved",
    "192.0.2.7": "documentation",
    "192.88.99.1": "6to4 relay",
    "192.168.0.1": "private",
    "192.168.255.255": "private",
    "198.18.0.1": "benchmarking",
    "198.19.255.255": "benchmarking",
    "198.51.100.1": "documentation",
    "203.0.113.9": "documentation",
    "224.0.0.1": "multicast",
    "239.255.255.250": "multicast",
    "240.0.0.1": "reserved",
    "255.255.255.255": "reserved",
    "::": "unspecified",
    "::1": "loopback",
    "0:0:0:0:0:0:0:1": "loopback",
    "::127.0.0.1": "IPv4-compatible",
    "::8.8.8.8": "IPv4-compatible",
    "::ffff:127.0.0.1": "loopback",
    "::ffff:7f00:1": "loopback",
    "::ffff:10.0.0.1": "private",
    "::ffff:169.254.169.254": "link-local",
    "::ffff:0.0.0.0": "unspecified",
    "::ffff:0:127.0.0.1": "IPv4-translated",
    "64:ff9b::127.0.0.1": "NAT64",
    "64:ff9b::8.8.8.8": "NAT64",
    "64:ff9b:1::1": "NAT64",
    "64:ff9b:1:ffff::a00:1": "NAT64",
    "100::1": "reserved",
    "2001::1": "Teredo",
    "2001:0:53aa:64c::1": "Teredo",
    "2001:2::1": "reserved",
    "2001:10::1": "reserved",
    "2001:20::1": "reserved",
    "2001:db8::1": "documentation",
    "2002:7f00:1::": "6to4",
    "2002:808:808::1": "6to4",
    "3fff::1": "documentation",
    "4000::1": "reserved",
    "5f00::1": "reserved",
    "fc00::1": "private",
    "fd12:3456::1": "private",
    "fe80::1": "link-local",
    "fe80::1%1": "link-local",
    "febf::1": "link-local",
    "fec0::1": "site-local",
    "feff::1": "site-local",
    "ff02::1": "multicast",
    "ff0e::1": "multicast",
}
PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "169.253.255.255",
    "172.15.255.255",
    "172.32.0.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "::ffff:8.8.8.8",
    "2001:200::1",
    "2001:4860:4860::8888",
    "2606:4700:4700::1111",
    "2a00:1450::1",
]
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


@pytest.mark.parametrize(("address", "what"), SPECIAL.items())
def test_special_addresses_are_refused_by_their_kind(address: str, what: str) -> None:
    assert special_range(address) == what
    assert what in str(Egress().judge(address))
    assert SETTING in str(Egress().judge(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_pass(address: str) -> None:
    assert Egress().judge(address) is None


def test_an_allowed_network_opens_itself_and_nothing_beside_it() -> None:
    egress = Egress(["127.0.0.0/8", "fd00::/8", "10.1.2.3"])

    assert egress.judge("127.0.0.1") is None
    assert egress.judge("::ffff:127.0.0.1") is None
    assert egress.judge("fd12::1") is None
    assert egress.judge("10.1.2.3") is None
    assert egress.judge("10.1.2.4") is not None
    assert egress.judge("::1") is not None
    assert egress.judge("fc00::1") is not None


def test_a_bad_network_is_refused_and_the_old_list_kept() -> None:
    egress = Egress(["127.0.0.0/8"])

    with pytest.raises(InvalidError) as caught:
        egress.configure(["10.0.0.0/8", "10.0.0.0/33"])

    assert caught.value.code == "bad_network"
    assert "10.0.0.0/33" in caught.value.message
    assert egress.judge("127.0.0.1") is None
    assert egress.judge("10.0.0.1") is not None
    assert len(parse_networks(["10.0.0.1/8", "::1"])) == 2


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


@pytest.mark.parametrize(
    ("url", "origin"),
    {
        "https://api.example.com": "https://api.example.com",
        "https://api.example.com/v1?x=1#y": "https://api.example.com",
        "https://API.Example.COM:443/": "https://api.example.com",
        "HTTP://h:80/": "http://h",
        "http://h:443/": "http://h:443",
        "https://h:8443/a": "https://h:8443",
        "https://bücher.example/": "https://xn--bcher-kva.example",
        "http://①②⑦.⓪.⓪.①/": "http://127.0.0.1",
        "http://[0:0:0:0:0:0:0:1]:81/": "http://[::1]:81",
        "http://host_name/": "http://host_name",
    }.items(),
)
def test_an_origin_is_scheme_host_and_port(url: str, origin: str) -> None:
    assert origin_of(url) == origin


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "//example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "http:///path",
        "http://user@example.com/",
        "http://user:password@example.com/",
        "http://:password@example.com/",
        "http://good.example\\@evil.example/",
        "http://exa mple.com/",
        "http://example.com\t/",
        "http://example.com/\r\nHost: evil",
        "http://%65xample.com/",
        "http://example.com:99999/",
        "http://example.com:0/",
        "http://[fe80::1%25eth0]/",
        "http://[::1/",
        "http://-/",
        "http://exam\u202eple.com/",
    ],
)
def test_what_is_no_plain_url_has_no_origin(url: str) -> None:
    with pytest.raises(InvalidError) as caught:
        origin_of(url)

    assert caught.value.code == "bad_url"
    assert "password" not in caught.value.message


def test_a_url_is_permitted_on_a_configured_origin_alone() -> None:
    egress = Egress()
    origins = ["https://api.example.com/v1", "http://127.0.0.1:8080"]

    egress.permit("https://api.example.com/other", origins)
    egress.permit("https://API.example.com:443/v1", origins)
    egress.permit("http://127.0.0.1:8080/x", origins)
    for url in (
        "http://api.example.com/v1",
        "https://api.example.com:444/v1",
        "https://api.example.com.evil.example/",
        "https://evil.example/https://api.example.com/",
        "https://api.example.com@evil.example/",
        "https://api.example.com./v1",
        "http://127.0.0.1/",
        "http://localhost:8080/",
        "http://[::ffff:127.0.0.1]:8080/",
        "https:api.example.com",
    ):
        with pytest.raises(DeniedError) as caught:
            egress.permit(url, origins)
        assert caught.value.code == "egress"
    with pytest.raises(DeniedError):
        egress.permit("https://api.example.com/", [])


def test_a_host_says_by_itself_whether_it_is_this_machine() -> None:
    for host in ("localhost", "app.localhost", "127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"):
        assert is_loopback_host(host)
    for host in ("localhost.example", "10.0.0.1", "example.com", "0.0.0.0", "2001:db8::1"):
        assert not is_loopback_host(host)
