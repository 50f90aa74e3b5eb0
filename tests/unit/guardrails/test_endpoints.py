import pytest

from amodal_rt.errors import DeniedError
from amodal_rt.guardrails.endpoints import check_headers, check_method, parse_endpoint


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://evil.example/x", "//evil.example/x", "/x//y", "x", "", "/../admin", "/a/./b",
        "/a/..", "/%2e%2e/admin", "/%2E./admin", "/a%2fb", "/a%252fb", "/a%5cb", "/a\\b",
        "/a/..;/admin", "/a/%2e%2e;x/admin", "/a\r\nX: y", "/a%0d%0aX", "/a%00", "/a#b", "@evil/x",
        "/a\tb", "/a/ ../b", "/a%252e%252e/../b", "/%252e%252e/admin",
    ],
)  # fmt: skip
def test_a_path_that_could_mean_another_place_is_refused(endpoint: str) -> None:
    with pytest.raises(DeniedError) as refused:
        parse_endpoint(endpoint)

    assert refused.value.code == "bad_endpoint"


def test_an_ordinary_path_stays_as_it_is_and_its_query_becomes_parameters() -> None:
    parsed = parse_endpoint("/v1/items/a%20b/..c?limit=3&q=a%2Fb&flag=")

    assert parsed.path == "/v1/items/a%20b/..c"
    assert parsed.params == (("limit", "3"), ("q", "a/b"), ("flag", ""))


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PURGE", "GET / HTTP/1.1\r\nX:", ""])
def test_unusual_methods_are_refused(method: str) -> None:
    with pytest.raises(DeniedError):
        check_method(method)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Authorization", "x"), ("AUTHORIZATION", "x"), ("Host", "evil"), ("Cookie", "a=b"),
        ("Content-Length", "0"), ("Transfer-Encoding", "chunked"), ("Connection", "close"),
        ("X-Forwarded-Host", "evil"), ("X-Original-URL", "/admin"), ("Idempotency-Key", "x"),
        ("X-Api-Key", "mine"), ("x_api_key", "mine"), ("X-A", "a\r\nB: c"), ("X A", "v"),
        ("X-A\r\nHost", "v"), ("Proxy-Authorization", "x"), ("X-A", "\0"),
    ],
)  # fmt: skip
def test_headers_that_the_runtime_owns_or_that_break_lines_are_refused(
    name: str, value: str
) -> None:
    with pytest.raises(DeniedError) as refused:
        check_headers({name: value}, frozenset({"x-api-key"}))

    assert refused.value.code == "bad_header"


def test_ordinary_headers_pass() -> None:
    check_headers({"Accept": "application/json", "Stripe-Version": "2024-01-01"})
