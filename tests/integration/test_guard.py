"""The guard of the TCP door: who is let in, and how little the others learn."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from aiohttp import web
from guarded_door import ADA, GuardedDoor, guarded_door

from amodal_rt.domain.token import Scope
from amodal_rt.errors import ConflictError
from amodal_rt.servers.deadlines import Deadlines
from amodal_rt.servers.guard import CONTENT, LARGEST_BODY, Guarded, caller_of
from amodal_rt.servers.problems import respond


async def _told(request: web.Request) -> web.StreamResponse:
    caller = caller_of(request)
    return respond({"actor": caller.actor, "door": caller.door, "bytes": len(request[CONTENT])})


async def _broken(request: web.Request) -> web.StreamResponse:
    raise RuntimeError("/srv/secret/path and postgres://user:password@host")


async def _conflict(request: web.Request) -> web.StreamResponse:
    raise ConflictError("it is there already", code="there", hint="take another name")


ROUTES = [
    Guarded(method="GET", path="/things", scope=Scope.READ, answer=_told),
    Guarded(method="POST", path="/things", scope=Scope.TRIGGER, answer=_told),
    Guarded(method="DELETE", path="/things", scope=Scope.MANAGE, answer=_told),
    Guarded(method="GET", path="/broken", scope=Scope.READ, answer=_broken),
    Guarded(method="GET", path="/conflict", scope=Scope.READ, answer=_conflict),
]


@pytest.fixture
async def door(tmp_path: Path) -> AsyncGenerator[GuardedDoor, None]:
    async with guarded_door(tmp_path, ROUTES, deadlines=Deadlines(body=0.3)) as opened:
        yield opened


@pytest.mark.parametrize(
    ("header", "form"),
    [("Authorization", "Bearer {}"), ("x-archastro-api-key", "{}"), ("X-Api-Key", "{}")],
)
async def test_a_token_is_shown_in_any_of_three_headers(
    door: GuardedDoor, header: str, form: str
) -> None:
    secret = await door.secret("read")

    status, told, headers = await door.ask("GET", "/things", None, **{header: form.format(secret)})

    assert (status, told["actor"], told["door"]) == (200, "token:ci", "api")
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"


async def test_a_publishable_key_beside_a_token_does_not_stand_in_its_way(
    door: GuardedDoor,
) -> None:
    secret = await door.secret("read")

    status, _, _ = await door.ask(
        "GET", "/things", x_archastro_api_key="pk_public", Authorization=f"Bearer {secret}"
    )
    other, _, _ = await door.ask(
        "GET", "/things", x_archastro_api_key=secret, Authorization="Basic cHJveHk6eA=="
    )

    assert (status, other) == (200, 200)


async def test_without_a_token_nothing_is_learned_not_even_what_there_is(
    door: GuardedDoor,
) -> None:
    ended = await door.secret("manage")
    await door.tokens.revoke(ADA, "ci")

    answers = [
        await door.ask("GET", "/things"),
        await door.ask("GET", "/nothing"),
        await door.ask("PATCH", "/things"),
        await door.ask("GET", "/things", Authorization="Bearer art_guessed"),
        await door.ask("GET", "/nothing", x_api_key=ended),
    ]

    assert {status for status, _, _ in answers} == {401}
    assert {str(told) for _, told, _ in answers} == {str(answers[0][1])}
    error = answers[0][1]["error"]
    assert (error["code"], error["message"]) == ("unauthorized", "a valid token is needed")


async def test_each_route_asks_for_its_own_scope(door: GuardedDoor) -> None:
    reader, starter = await door.secret("read", name="r"), await door.secret("trigger", name="t")
    manager = await door.secret("manage", name="m")

    said = {
        (name, method): (await door.ask(method, "/things", x_api_key=secret))[0]
        for name, secret in (("read", reader), ("trigger", starter), ("manage", manager))
        for method in ("GET", "POST", "DELETE")
    }
    _, told, _ = await door.ask("POST", "/things", x_api_key=reader)

    assert [place for place, status in said.items() if status == 200] == [
        ("read", "GET"),
        ("trigger", "POST"),
        ("manage", "GET"),
        ("manage", "POST"),
        ("manage", "DELETE"),
    ]
    assert set(said.values()) == {200, 403}
    assert told["error"]["code"] == "scope_missing"


async def test_a_page_that_made_a_name_point_here_is_refused(door: GuardedDoor) -> None:
    secret = await door.secret("manage")

    rebound, host, _ = await door.ask("GET", "/things", x_api_key=secret, Host="evil.example")
    foreign, origin, _ = await door.ask(
        "GET", "/things", x_api_key=secret, Origin="https://evil.example"
    )
    nobody, _, _ = await door.ask("GET", "/things", x_api_key=secret, Origin="null")
    own, _, _ = await door.ask("GET", "/things", x_api_key=secret, Origin=door.url)

    assert (rebound, host["error"]["code"]) == (403, "bad_host")
    assert (foreign, origin["error"]["code"]) == (403, "bad_origin")
    assert (nobody, own) == (403, 200)


async def test_webhooks_and_health_need_no_token(door: GuardedDoor) -> None:
    answers = [
        await door.ask("GET", "/healthz"),
        await door.ask("GET", "/readyz"),
        await door.ask("POST", "/webhooks/auto_1", b"{}", Host="hooks.example"),
        await door.ask("POST", "/integrations/github/int_1", b"{}"),
        await door.ask("POST", "/api/trigger-callback", b"{}"),
    ]

    assert [status for status, _, _ in answers] == [200, 200, 202, 202, 202]


async def test_a_sender_that_misses_its_path_is_told_so(door: GuardedDoor) -> None:
    missed = [
        await door.ask("POST", "/webhooks/auto_1/more", b"{}"),
        await door.ask("POST", "/integrations/github", b"{}"),
    ]

    assert [status for status, _, _ in missed] == [404, 404]


async def test_who_is_known_is_told_what_there_is(door: GuardedDoor) -> None:
    secret = await door.secret("read")

    nothing, gone, _ = await door.ask("GET", "/nothing", x_api_key=secret)
    wrong, told, headers = await door.ask("PATCH", "/things", x_api_key=secret)
    head, _, _ = await door.ask("HEAD", "/things", x_api_key=secret)

    assert (nothing, gone["error"]["code"]) == (404, "no_such_path")
    assert (wrong, told["error"]["code"]) == (405, "method_not_allowed")
    assert headers["allow"] == "DELETE, GET, HEAD, POST"
    assert head == 200


async def test_an_error_is_told_by_code_and_message_and_a_defect_by_neither(
    door: GuardedDoor,
) -> None:
    secret = await door.secret("read")

    conflict, told, _ = await door.ask("GET", "/conflict", x_api_key=secret)
    broken, defect, _ = await door.ask("GET", "/broken", x_api_key=secret)

    assert conflict == 409
    assert told == {
        "error": {
            "code": "there",
            "kind": "conflict",
            "message": "it is there already",
            "hint": "take another name",
        }
    }
    assert (broken, defect["error"]["code"]) == (500, "internal")
    assert "secret" not in str(defect)
    assert "Error" not in str(defect)


async def test_a_body_is_bounded_in_size_and_time_and_has_no_coding(door: GuardedDoor) -> None:
    secret = await door.secret("trigger")

    whole, told, _ = await door.ask("POST", "/things", b"x" * LARGEST_BODY, x_api_key=secret)
    large, too, _ = await door.ask("POST", "/things", b"x" * (LARGEST_BODY + 1), x_api_key=secret)
    packed, _, _ = await door.ask(
        "POST", "/things", b"x", x_api_key=secret, Content_Encoding="gzip"
    )
    host, _, port = door.url.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = f"POST /things HTTP/1.1\r\nHost: {host}\r\nX-Api-Key: {secret}\r\n"
    writer.write(f"{head}Content-Length: 10\r\n\r\nslow".encode())
    late = await reader.read()
    writer.close()

    assert (whole, told["bytes"]) == (200, LARGEST_BODY)
    assert (large, too["error"]["code"]) == (413, "too_large")
    assert packed == 415
    assert late.startswith(b"HTTP/1.1 408 ")
    assert b'"sender_slow"' in late
