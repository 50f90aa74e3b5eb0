"""One folder of `connections/`: what it may say, and what is told of what it may not."""

import json
from typing import Any

import pytest

from amodal_rt.definitions.connection import parse_connection
from amodal_rt.domain.connection import (
    AccessRule,
    AuthType,
    Confirm,
    Connection,
    ConnectionAuth,
    Intent,
    McpServer,
    Protocol,
    Threshold,
)
from amodal_rt.domain.problem import Problem
from amodal_rt.domain.secret import SecretRef

REST = {"protocol": "rest", "baseUrl": "https://api.example"}


def _files(spec: object, access: object = None, **more: str) -> dict[str, bytes]:
    files = {"spec.json": json.dumps(spec).encode()}
    if access is not None:
        files["access.json"] = json.dumps(access).encode()
    return files | {f"{name}.md": text.encode() for name, text in more.items()}


def _parse(spec: object, access: object = None, **more: str) -> Connection:
    found, problems = parse_connection("crm", _files(spec, access, **more))
    assert problems == ()
    assert found is not None
    return found


def _refused(files: dict[str, bytes]) -> Problem:
    found, problems = parse_connection("crm", files)
    assert found is None
    return problems[0]


@pytest.mark.parametrize(
    ("auth", "expected"),
    [
        ({"type": "none"}, ConnectionAuth(prefix="")),
        ({"type": "bearer", "token": "env:K"},
         ConnectionAuth(type=AuthType.BEARER, token=SecretRef("K"))),
        ({"type": "bearer", "token": "env:K", "header": "X-Auth", "prefix": "Token"},
         ConnectionAuth(type=AuthType.BEARER, token=SecretRef("K"), header="X-Auth",
                        prefix="Token")),
        ({"type": "header", "token": "env:K", "header": "X-Api-Key"},
         ConnectionAuth(type=AuthType.HEADER, token=SecretRef("K"), header="X-Api-Key", prefix="")),
        ({"type": "header", "token": "env:K"},
         ConnectionAuth(type=AuthType.HEADER, token=SecretRef("K"), prefix="")),
        ({"type": "query", "token": "env:K", "header": "key"},
         ConnectionAuth(type=AuthType.QUERY, token=SecretRef("K"), header="key", parameter="key",
                        prefix="")),
        ({"type": "basic", "token": "env:UP"},
         ConnectionAuth(type=AuthType.BASIC, token=SecretRef("UP"), prefix="")),
        ({"type": "basic", "username": "me", "password": "env:P"},
         ConnectionAuth(type=AuthType.BASIC, username="me", password=SecretRef("P"), prefix="")),
        ({"type": "query", "token": "env:K", "parameter": "api_key"},
         ConnectionAuth(type=AuthType.QUERY, token=SecretRef("K"), parameter="api_key", prefix="")),
    ],
)  # fmt: skip
def test_every_kind_of_proof(auth: dict[str, str], expected: ConnectionAuth) -> None:
    found = _parse({**REST, "auth": auth})

    assert found.auth == expected
    assert found.secrets == tuple(
        value.removeprefix("env:") for value in auth.values() if value.startswith("env:")
    )


def test_a_rest_connection() -> None:
    found = _parse(
        {"protocol": "rest", "base_url": "env:BASE", "headers": {"Accept": "text/plain"},
         "test_path": "/me", "specUrl": "https://api.example/openapi.json", "description": "CRM"},
        surface="## Included\n", rules="Be gentle.",
    )  # fmt: skip

    assert (found.name, found.protocol, found.base_url) == ("crm", Protocol.REST, SecretRef("BASE"))
    assert (found.headers, found.test_path) == ({"Accept": "text/plain"}, "/me")
    assert (found.surface, found.rules) == ("## Included", "Be gentle.")
    assert found.spec_url == "https://api.example/openapi.json"
    assert found.secrets == ("BASE",)


@pytest.mark.parametrize(
    ("spec", "server"),
    [
        ({"command": "npx", "args": ["-y", "x"], "env": {"A_TOKEN": "env:T", "LEVEL": "info"}},
         McpServer(command="npx", args=("-y", "x"),
                   env={"A_TOKEN": SecretRef("T"), "LEVEL": "info"})),
        ({"transport": "stdio", "command": "serve"}, McpServer(command="serve")),
        ({"transport": "http", "url": "https://m.example/mcp", "headers": {"X-Token": "env:T"}},
         McpServer(url="https://m.example/mcp", headers={"X-Token": SecretRef("T")})),
        ({"url": "env:MCP"}, McpServer(url=SecretRef("MCP"))),
    ],
)  # fmt: skip
def test_an_mcp_connection(spec: dict[str, Any], server: McpServer) -> None:
    found = _parse({"protocol": "mcp", **spec})

    assert found.mcp == server
    assert found.trust_annotations is False
    assert _parse({"protocol": "mcp", "trustAnnotations": True, **spec}).trust_annotations


def test_the_runtime_itself() -> None:
    found = _parse({"protocol": "runtime"})

    assert (found.protocol, found.mcp, found.secrets) == (Protocol.RUNTIME, None, ())


def test_access_rules_in_the_order_of_the_file() -> None:
    access = {
        "endpoints": {"POST /search": {"intent": "read"}, "GET /items/{id}": {"intent": "write"}},
        "tools": {
            "delete_*": {"confirm": "never", "reason": "for good"},
            "send": {"confirm": True},
            "note": {"confirm": False},
            "ask": {"confirm": "review", "above": {"order.total": 10, "count": 2.5}},
        },
    }

    found = _parse(REST, access).access

    assert found.endpoints == (
        AccessRule(match="POST /search", intent=Intent.READ),
        AccessRule(match="GET /items/{id}", intent=Intent.WRITE),
    )
    assert found.tools == (
        AccessRule(match="delete_*", confirm=Confirm.NEVER, reason="for good"),
        AccessRule(match="send", confirm=Confirm.APPROVE),
        AccessRule(match="note"),
        AccessRule(
            match="ask",
            confirm=Confirm.REVIEW,
            above=(Threshold(("order", "total"), 10), Threshold(("count",), 2.5)),
        ),
    )


def test_the_hash_changes_with_every_file_and_with_a_literal_token() -> None:
    variants = [
        _parse(REST),
        _parse(REST, {}, rules="x"),
        _parse(REST, surface="x"),
        _parse(REST, {"tools": {"x": {"intent": "read"}}}),
        _parse({**REST, "testPath": "/"}),
    ]
    literal = [
        parse_connection("crm", _files({**REST, "auth": {"type": "bearer", "token": token}}))[0]
        for token in ("planted-one", "planted-two")
    ]

    assert len({each.hash for each in variants}) == len(variants)
    assert len({each.hash for each in literal if each}) == 2


@pytest.mark.parametrize(
    ("spec", "where"),
    [
        ({**REST, "auth": {"type": "bearer", "token": "planted"}}, "auth.token"),
        ({**REST, "auth": {"type": "basic", "username": "u", "password": "planted"}},
         "auth.password"),
        ({**REST, "headers": {"Authorization": "Bearer planted"}}, "headers.Authorization"),
        ({"protocol": "mcp", "command": "x", "env": {"GITHUB_TOKEN": "planted"}},
         "env.GITHUB_TOKEN"),
    ],
)  # fmt: skip
def test_a_literal_secret_is_a_warning_and_in_no_document(spec: dict[str, Any], where: str) -> None:
    found, (problem,) = parse_connection("crm", _files(spec))

    assert found
    assert (problem.severity, problem.code, problem.line) == ("warning", "secret_in_file", 1)
    assert where in problem.message
    assert "planted" not in found.document + problem.sentence()


@pytest.mark.parametrize(
    ("files", "code", "says", "hint"),
    [
        ({}, "missing_file", "needs spec.json", "runtime"),
        (_files({}), "missing_key", "protocol is missing", "rest"),
        (_files({"protocol": "rst"}), "wrong_value", '"rest", "mcp" or "runtime"', '"rest"'),
        (_files({"protocol": "rest"}), "missing_key", "needs baseUrl", "https://"),
        (_files({"protocol": "mcp"}), "missing_key", "over http needs url", "command"),
        (_files({"protocol": "mcp", "transport": "stdio"}), "missing_key", "needs command", "npx"),
        (_files({"protocol": "mcp", "command": "x", "url": "https://x"}), "conflict",
         "url does not belong to an mcp connection over stdio", "take away url"),
        (_files({"protocol": "mcp", "transport": "http", "command": "x", "url": "https://x"}),
         "conflict", "command does not belong", "transport"),
        (_files({"protocol": "runtime", "baseUrl": "https://x"}), "conflict",
         "baseUrl belongs to protocol rest, and this is runtime", "take baseUrl away"),
        (_files({**REST, "args": ["x"]}), "conflict", "args belongs to protocol mcp", ""),
        (_files(REST, {"endpoints": {"POST /x": {"confirm": "never", "above": {"amount": 1}}}}),
         "bad_threshold", "no field of a request", '"data."'),
        (_files(REST, {"tools": {"x": {"above": {"amount": 1}}}}), "conflict",
         "goes with confirm", "never"),
        (_files(REST, {"tools": {"x": {"confirm": "never", "above": {"a..b": 1}}}}),
         "bad_threshold", "no threshold", "joined by dots"),
        (_files(REST, {"tools": {"x": {"confirm": "never", "above": {"a": "1"}}}}),
         "wrong_type", "number", ""),
        (_files({**REST, "base_uri": "x"}), "unknown_key", '"base_uri"', '"baseUrl"'),
        (_files({**REST, "auth": {"type": "bearer"}}), "missing_key", "auth bearer needs token",
         "env:NAME"),
        (_files({**REST, "auth": {"type": "query", "token": "env:T"}}), "missing_key",
         "needs parameter", "api_key"),
        (_files({**REST, "auth": {"type": "basic"}}), "missing_key", "token or username", ""),
        (_files({**REST, "auth": {"token": "env:T"}}), "missing_key", "auth.type is missing", ""),
        (_files({**REST, "headers": {"A B": "x"}}), "bad_header", '"A B"', ""),
        (_files({**REST, "headers": {"A": "x\r\ny"}}), "bad_text", "line break", ""),
        (_files({**REST, "headers": {"Authorization": "Bearer env:KEY"}}), "bad_env",
         "headers.Authorization: a variable stands only as the whole value", "env:NAME"),
        (_files({**REST, "auth": {"type": "bearer", "token": "${KEY}"}}), "bad_env",
         "whole value", "env:NAME"),
        (_files({**REST, "testPath": "me"}), "wrong_value", "testPath must match ^/", ""),
        (_files({**REST, "specUrl": "env:U"}), "env_not_here", "specUrl", "the URL itself"),
        (_files({**REST, "baseUrl": "https://u:planted@x"}), "bad_url", "password", "auth"),
        (_files(REST, {"endpoints": {"FETCH /x": {}}}), "bad_endpoint", '"FETCH /x"',
         "POST /search"),
        (_files(REST, {"endpoints": {"GET x": {}}}), "bad_endpoint", '"GET x"', ""),
        (_files(REST, {"endpoints": {"GET /x": {"intend": "read"}}}), "unknown_key", '"intend"',
         '"intent"'),
        (_files(REST, {"tools": {"x": {"confirm": "maybe"}}}), "wrong_value", '"never"', ""),
        (_files(REST, []), "wrong_type", "a list, not an object", ""),
        ({"spec.json": b"{"}, "bad_json", "ends in the middle", ""),
        ({"spec.json": json.dumps(REST).encode(), "rules.md": b"\xff"}, "not_utf8", "0xff",
         "UTF-8"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(files: dict[str, bytes], code: str, says: str, hint: str) -> None:
    problem = _refused(files)

    assert problem.code == code
    assert problem.file.startswith("connections/crm")
    assert says in problem.message
    assert hint in (problem.hint or "")
    assert "planted" not in problem.sentence()


def test_a_connection_says_whose_events_are_its_own() -> None:
    assert _parse({**REST, "account": "github:acme-bot"}).account == "github:acme-bot"
    assert _parse(REST).account is None


@pytest.mark.parametrize("account", ["acme-bot", "github:", "GitHub:acme-bot", "github: acme", ""])
def test_what_names_no_account_is_refused(account: str) -> None:
    """Else what the connection causes would start it again."""
    problem = _refused(_files({**REST, "account": account}))

    assert problem.code == "wrong_value"
    assert "account" in problem.message
