# ruff: noqa: SIM905, RUF001  (a list of spellings is read as one; some are meant to look alike)
"""Every road outwards, at every spelling of an address that it must not reach: nobody connects."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from aiohttp import ClientError
from aiohttp.abc import AbstractResolver, ResolveResult

from amodal_rt.clock import SystemClock
from amodal_rt.delivery.request import Request, post
from amodal_rt.domain.connection import Connection, Protocol
from amodal_rt.errors import AmodalError
from amodal_rt.executors.acting.mcp_opening import Opening
from amodal_rt.executors.acting.mcp_server import serve
from amodal_rt.executors.acting.request_tool import send
from amodal_rt.guardrails.calls import RestCall
from amodal_rt.guardrails.egress import Egress
from amodal_rt.settings import Environment

# This machine on Linux, where a cloud keeps its secrets, networks that are nobody's or private.
FORMS = """
127.0.0.1 127.0.0.2 127.1 127.0.1 127.255.255.254 0 0.0.0.0 00.0.0.0 0x0 0x7f.1 0x7f.0.0.1
0x7f000001 0X7F000001 0177.0.0.1 0177.1 00177.0.0.01 017700000001 2130706433 127.000.000.001
127.0x1 127.0.0x0.1 ①②⑦.⓪.⓪.① １２７.0.0.1 127。0。0。1 127．0．0．1
localhost LOCALHOST localhost. LocalHost
[::1] [0:0:0:0:0:0:0:1] [::0001] [::] [::ffff:127.0.0.1] [::ffff:7f00:1] [::FFFF:7F00:0001]
[0:0:0:0:0:ffff:7f00:0001] [::127.0.0.1] [::7f00:1] [::ffff:0:127.0.0.1] [::ffff:0.0.0.0]
[64:ff9b::127.0.0.1] [64:ff9b::7f00:1] [64:ff9b:1::7f00:1] [2002:7f00:1::] [2002:a9fe:a9fe::]
[2001:0:7f00:1::] [fe80::1] [fe80::1%25lo] [fec0::1] [fc00::1] [fd00:ec2::254] [ff02::1] [100::1]
[2001:db8::1] [4000::1] 169.254.169.254 0xa9fea9fe 2852039166 0251.0376.0251.0376 169.254.43518
[::ffff:169.254.169.254] [::ffff:a9fe:a9fe] 100.100.100.200 192.168.0.1 3232235521 10.0.0.1 10.1
172.16.0.1 192.0.0.192 198.18.0.1 224.0.0.1 255.255.255.255 240.0.0.1
""".split()

Road = Callable[[Egress, str], Awaitable[object]]


async def _tool(egress: Egress, url: str) -> object:
    connection = Connection(name="x", protocol=Protocol.REST, hash="h", base_url=url)
    return await send(egress, connection, RestCall(method="GET", path="/"), Environment())


async def _delivery(egress: Egress, url: str) -> object:
    request = Request(url=url, headers={}, body=b"{}")
    return await post(egress.session(), request, SystemClock())


async def _mcp(egress: Egress, url: str) -> object:
    opening = Opening(name="x", command=None, args=(), env={}, url=url, headers={})
    return await serve(opening, egress, SystemClock())


ROADS: dict[str, Road] = {"tool": _tool, "delivery": _delivery, "mcp": _mcp}


@dataclass
class Machine:
    """Listens on this machine's own addresses, at one port."""

    port: int = 0
    connected: list[str] = field(default_factory=list)

    async def taken(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connected.append(str(writer.get_extra_info("peername")))
        body = json.dumps({"secret": "metadata"}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        writer.close()


@pytest.fixture
async def machine() -> AsyncIterator[Machine]:
    found = Machine()
    first = await asyncio.start_server(found.taken, "127.0.0.1", 0)
    found.port = first.sockets[0].getsockname()[1]
    others = [
        await asyncio.start_server(found.taken, each, found.port) for each in ("127.0.0.2", "::1")
    ]
    yield found
    for each in (first, *others):
        each.close()


def test_there_are_at_least_sixty_forms() -> None:
    assert len(set(FORMS)) >= 60


@pytest.mark.parametrize("road", ROADS.values(), ids=ROADS)
async def test_no_form_of_an_inner_address_is_reached_by_any_road(
    machine: Machine, road: Road
) -> None:
    came_through: list[str] = []
    async with Egress() as egress:

        async def go(host: str) -> None:
            try:
                await asyncio.wait_for(road(egress, f"http://{host}:{machine.port}/"), 20)
            except (AmodalError, ClientError, OSError, ValueError):
                return
            came_through.append(host)

        await asyncio.gather(*map(go, FORMS))

    assert came_through == []
    assert machine.connected == []


class _Rebinding(AbstractResolver):
    """Names this machine, as a name does that turns after it was looked at."""

    def __init__(self) -> None:
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked += 1
        return [
            ResolveResult(
                hostname=host, host="127.0.0.1", port=port, family=socket.AF_INET, proto=0,
                flags=socket.AI_NUMERICHOST,
            )
        ]  # fmt: skip

    async def close(self) -> None:
        return


@pytest.mark.parametrize("road", ROADS.values(), ids=ROADS)
async def test_a_name_that_turns_to_this_machine_is_not_followed(
    machine: Machine, road: Road
) -> None:
    names = _Rebinding()
    async with Egress(resolver=names) as egress:
        with pytest.raises((AmodalError, ClientError, OSError)):
            await road(egress, f"http://rebinds.example:{machine.port}/")

    assert names.asked >= 1
    assert machine.connected == []


@pytest.mark.parametrize("road", ROADS.values(), ids=ROADS)
async def test_a_redirect_to_this_machine_is_not_followed(machine: Machine, road: Road) -> None:
    """Not even where the address could be reached: a redirect is an answer."""
    goal = f"http://127.0.0.1:{machine.port}/secret"

    async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 307 Go\r\nLocation: {goal}\r\nContent-Length: 0\r\n\r\n"
        writer.write(head.encode())
        await writer.drain()
        writer.close()

    outside = await asyncio.start_server(redirect, "127.0.0.2", 0)
    port = outside.sockets[0].getsockname()[1]
    async with Egress(["127.0.0.0/8"]) as egress:
        with suppress(AmodalError, ClientError, OSError):
            await asyncio.wait_for(road(egress, f"http://127.0.0.2:{port}/"), 20)
    outside.close()

    assert machine.connected == []
