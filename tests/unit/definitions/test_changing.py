"""Keys are set and taken away, and every other byte stays."""

import pytest

from amodal_rt.definitions.changing import change, new_file
from amodal_rt.errors import ConflictError, InvalidError

JSON = b'{\n  "title": "A",\n  "write_enabled": false, "metadata": {"a" : 1}\n}\n'
MARKDOWN = b"---\ntitle: A # mine\nwrite_enabled: false\nlist:\n  - 1\nlast: x\n---\nBody.\n"


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({}, JSON),
        ({"title": "B"}, JSON.replace(b'"A"', b'"B"')),
        ({"writeEnabled": True}, JSON.replace(b"false", b"true")),
        ({"writeEnabled": None}, JSON.replace(b',\n  "write_enabled": false', b"")),
        ({"gone": None}, JSON),
        ({"new": [1]}, JSON.replace(b"1}\n", b'1},\n  "new": [1]\n')),
    ],
)
def test_a_json_file(keys: dict[str, object], text: bytes) -> None:
    assert change(JSON, "automations/a.json", keys) == text


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({"title": "B"}, MARKDOWN.replace(b": A", b': "B"')),
        ({"writeEnabled": None}, MARKDOWN.replace(b"write_enabled: false\n", b"")),
        ({"list": None}, MARKDOWN.replace(b"list:\n  - 1\n", b"")),
        ({"last": None}, MARKDOWN.replace(b"last: x\n", b"")),
        ({"gone": None}, MARKDOWN),
        ({"new": {"a": [1]}}, MARKDOWN.replace(b"title", b'new: {"a": [1]}\ntitle')),
        ({"prompt": "New."}, MARKDOWN.replace(b"Body.\n", b"\nNew.\n")),
    ],
)
def test_a_markdown_file(keys: dict[str, object], text: bytes) -> None:
    assert change(MARKDOWN, "automations/a.md", keys) == text


@pytest.mark.parametrize("spelling", ["workflow", "config", "configId", "config_id"])
def test_a_key_that_is_called_otherwise_gets_the_value_in_its_place(spelling: str) -> None:
    json = f'{{"name": "A", "{spelling}": "a"}}'.encode()
    markdown = f"---\nname: A\n{spelling}: a\n---\n".encode()
    keys: dict[str, object] = {"title": "B", "workflow": "b"}

    assert change(json, "a.json", keys) == f'{{"name": "B", "{spelling}": "b"}}'.encode()
    assert change(json, "a.json", {"workflow": None}) == b'{"name": "A"}'
    assert change(markdown, "a.md", keys) == f'---\nname: "B"\n{spelling}: "b"\n---\n'.encode()
    assert change(markdown, "a.md", {"workflow": None}) == b"---\nname: A\n---\n"


def test_a_byte_order_mark_stays() -> None:
    bom = b"\xef\xbb\xbf"

    assert change(bom + JSON, "a.json", {"metadata": None, "title": "B"}).startswith(bom + b"{")


def test_what_cannot_be_read_or_has_no_keys_is_refused() -> None:
    with pytest.raises(InvalidError):
        change(b"{", "a.json", {"title": "B"})
    with pytest.raises(ConflictError) as caught:
        change(b"# Automation: A\n", "a.md", {"title": "B"})

    assert caught.value.code == "legacy_markdown"


def test_a_new_file_has_the_keys_that_have_a_value() -> None:
    assert new_file({"title": "Ä", "description": None}) == '{\n  "title": "Ä"\n}\n'.encode()
