"""Addresses are read as people write them."""

import pytest

from amodal_rt.errors import InvalidError
from amodal_rt.servers.control_requests import number_of
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
    [
        "",
        "3847",
        ":3847",
        "localhost",
        "localhost:",
        "::1:80",
        "a:b",
        "a:-1",
        "a:65536",
        "a:٣",
        "a:" + "9" * 5_000,
    ],
)
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InvalidError) as caught:
        parse_listen(text)

    assert caught.value.code == "bad_listen"
    assert "127.0.0.1:3847" in (caught.value.hint or "")


@pytest.mark.parametrize("text", ["x", "-1", "1.5", "٣", "9" * 5_000])
def test_a_sequence_is_a_number_and_no_other_text_is_a_fault_of_ours(text: str) -> None:
    assert (number_of(None), number_of("17")) == (0, 17)
    with pytest.raises(InvalidError) as caught:
        number_of(text)

    assert caught.value.code == "bad_sequence"
