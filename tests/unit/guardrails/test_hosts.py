"""Which hosts a profile's list allows."""

import pytest

from amodal_rt.domain.profile import NetworkHost
from amodal_rt.guardrails.hosts import find_host

ALLOWED = (
    NetworkHost(host="api.example"),
    NetworkHost(host="*.pages.example", port=8443),
    NetworkHost(host="10.0.0.5", port=80),
    NetworkHost(host="fd00::5", port=80),
)


@pytest.mark.parametrize(
    ("host", "port"),
    [
        ("api.example", 443),
        ("API.Example.", 443),
        ("a.pages.example", 8443),
        ("a.b.pages.example", 8443),
        ("10.0.0.5", 80),
        ("[fd00:0:0::5]", 80),
        ("fd00::5", 80),
    ],
)
def test_what_stands_in_the_list_is_allowed(host: str, port: int) -> None:
    assert find_host(host, port, ALLOWED) is not None


@pytest.mark.parametrize(
    ("host", "port"),
    [
        ("api.example", 80),
        ("evil-api.example", 443),
        ("api.example.evil.test", 443),
        ("x.api.example", 443),
        ("pages.example", 8443),
        (".pages.example", 8443),
        ("evilpages.example", 8443),
        ("10.0.0.6", 80),
        ("::ffff:10.0.0.5", 80),
        ("", 443),
    ],
)
def test_everything_else_is_not(host: str, port: int) -> None:
    assert find_host(host, port, ALLOWED) is None


def test_a_pattern_of_names_allows_no_address_and_a_star_everything() -> None:
    assert find_host("1.2.3.4", 443, [NetworkHost(host="*.4")]) is None
    assert find_host("1.2.3.4", 443, [NetworkHost(host="*")]) is not None
    assert find_host("1.2.3.4", 80, [NetworkHost(host="*")]) is None
