"""What the origin of a URL is, and which URLs a list of origins permits."""

import pytest

from amodal_rt.errors import DeniedError, InvalidError
from amodal_rt.guardrails.egress import Egress, is_loopback_host, origin_of


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
