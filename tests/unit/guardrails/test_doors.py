"""What a request over TCP must show."""

import socket

import pytest

from amodal_rt.guardrails.doors import bearer_of, host_allowed, origin_allowed

PUBLIC = "https://runs.acme.example/base"
OWN = (PUBLIC, "http://127.0.0.1:3847")


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:3847",
        "localhost",
        "LOCALHOST:1",
        "[::1]:3847",
        "192.168.1.5:3847",
        "runs.acme.example",
        "runs.acme.example:443",
        "Runs.Acme.Example.",
        socket.gethostname(),
    ],
)
def test_a_request_that_was_meant_for_us_is_let_in(host: str) -> None:
    assert host_allowed([host], PUBLIC)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example:3847",
        "",
        "runs.acme.example.evil.example",
        "a@127.0.0.1",
        "127.0.0.1/x",
        "127.0.0.1:x",
        "[::1",
        "evil.example#127.0.0.1",
        "127.0.0.1.evil.example",
    ],
)
def test_a_name_of_somebody_else_is_not_ours(host: str) -> None:
    assert not host_allowed([host], PUBLIC)


def test_one_host_is_named() -> None:
    assert not host_allowed([], PUBLIC)
    assert not host_allowed(["localhost", "localhost"], PUBLIC)
    assert not host_allowed(["runs.acme.example"], None)


def test_programs_name_no_origin_and_pages_must_be_ours() -> None:
    assert origin_allowed([], OWN)
    assert origin_allowed(["https://runs.acme.example"], OWN)
    assert origin_allowed(["http://127.0.0.1:3847"], OWN)


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "",
        "http://runs.acme.example",
        "http://127.0.0.1:8080",
        "https://runs.acme.example:8443",
        "file://",
        "http://127.0.0.1:x",
    ],
)
def test_another_page_is_not_ours(origin: str) -> None:
    assert not origin_allowed([origin], OWN)
    assert not origin_allowed([origin], (None, None))
    assert not origin_allowed(["https://runs.acme.example", origin], OWN)


@pytest.mark.parametrize(
    ("values", "token"),
    [
        (["Bearer art_1"], "art_1"),
        (["bearer  art_1 "], "art_1"),
        (["Basic art_1"], None),
        (["Bearer"], None),
        (["Bearer "], None),
        (["art_1"], None),
        (["Bearer a", "Bearer a"], None),
        (["Bearer " + "a" * 257], None),
        (["Bearer é"], None),
        ([], None),
    ],
)
def test_one_bearer_token_is_read(values: list[str], token: str | None) -> None:
    assert bearer_of(values) == token
