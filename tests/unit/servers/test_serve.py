"""Addresses are read as people write them."""

import pytest

from amodal_rt.errors import InvalidError
from amodal_rt.servers.serve import parse_listen


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:3847", ("127.0.0.1", 3847)),
        ("localhost:0", ("localhost", 0)),
        ("[::1]:80", ("::1", 80)),
        ("0.0.0.0:65535", ("0.0.0.0", 65535)),
    ],
)
def test_a_host_and_a_port(text: str, address: tuple[str, int]) -> None:
    assert parse_listen(text) == address


@pytest.mark.parametrize(
    "text",
    ["", "3847", ":3847", "localhost", "localhost:", "::1:80", "a:b", "a:-1", "a:65536", "a:٣"],
)
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InvalidError) as caught:
        parse_listen(text)

    assert caught.value.code == "bad_listen"
    assert "127.0.0.1:3847" in (caught.value.hint or "")
