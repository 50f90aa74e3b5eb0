"""Every body is kept, and what is kept can always be written as JSON and UTF-8."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amodal_rt.intake.bodies import DEEPEST, parse_body

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("body", "content_type", "data"),
    [
        (b"", None, None),
        (b"", JSON, None),
        (b'{"a": 1}', JSON, {"a": 1}),
        (b'{"a": 1}', "application/vnd.github+json; charset=utf-8", {"a": 1}),
        (b'{"a": 1}', None, {"a": 1}),
        (b'{"a": 1}', "text/plain", {"a": 1}),
        (b'{"a": 1}', FORM, {"a": 1}),
        (b"\xef\xbb\xbf[1]", JSON, [1]),
        (b"5", JSON, 5),
        (b"5", "text/plain", "5"),
        (b"null", JSON, None),
        (b"a=1&b=x%20y&a=2&c=", FORM, {"a": ["1", "2"], "b": "x y", "c": ""}),
        (b"no form at all", FORM, "no form at all"),
        ("grüße".encode(), "text/plain", "grüße"),
        ("grüße".encode("latin-1"), "text/plain; charset=ISO-8859-1", "grüße"),
        (b'{"a": ', JSON, '{"a": '),
        (b"{'a': 1}", JSON, "{'a': 1}"),
        (b"[NaN]", JSON, "[NaN]"),
        (b"[-Infinity]", JSON, "[-Infinity]"),
        (b"[1e400]", JSON, ["1e400"]),
        (b"[9223372036854775807]", JSON, [9223372036854775807]),
        (b"[9223372036854775808]", JSON, ["9223372036854775808"]),
        (b"[" + b"9" * 5000 + b"]", JSON, ["9" * 5000]),
        (rb'{"a\ud800": "\udfff x"}', JSON, {"a\ufffd": "\ufffd x"}),
        (rb'["\ud83d\ude00"]', JSON, ["\U0001f600"]),
        (rb'["a\u0000b"]', JSON, ["a\0b"]),
    ],
)
def test_a_body_becomes_data(body: bytes, content_type: str | None, data: object) -> None:
    assert parse_body(body, content_type) == data


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"\x89PNG\r\n\x1a\n\xff", "image/png"),
        (b"text with a byte \0 zero", "text/plain"),
        ("grüße".encode("latin-1"), "text/plain"),
        ('{"a": 1}'.encode("utf-16"), JSON),
        (b"x", "text/plain; charset=klingon"),
    ],
)
def test_other_bytes_are_kept_as_base64(body: bytes, content_type: str) -> None:
    data = parse_body(body, content_type)

    assert isinstance(data, dict)
    assert data["encoding"] == "base64"
    assert data["content_type"] == content_type.partition(";")[0]
    assert base64.b64decode(data["content"]) == body


def test_json_is_data_down_to_the_deepest_level_and_text_below() -> None:
    deep = "[" * DEEPEST + "]" * DEEPEST
    deeper = "[" * (DEEPEST + 1) + "]" * (DEEPEST + 1)

    assert parse_body(deep.encode(), JSON) == json.loads(deep)
    assert parse_body(deeper.encode(), JSON) == deeper


def test_many_brackets_side_by_side_are_not_deep() -> None:
    flat = json.dumps([[{"a": []}]] * 500)

    assert parse_body(flat.encode(), JSON) == json.loads(flat)


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"a":['])
def test_a_hundred_thousand_levels_are_kept_as_text(opening: str) -> None:
    text = opening * 100_000

    assert parse_body(text.encode(), JSON) == text


def test_too_many_fields_are_kept_as_text() -> None:
    text = "&".join(f"f{number}=1" for number in range(1001))

    assert parse_body(text.encode(), FORM) == text


CONTENT_TYPES = st.sampled_from([None, "", ";", JSON, FORM, "text/plain; charset=utf-16", "a/b"])


@given(body=st.binary(max_size=200) | st.text("[]{}\":,\\u0dD9e-. ").map(str.encode),
       content_type=CONTENT_TYPES)  # fmt: skip
def test_whatever_came_can_be_written_as_json(body: bytes, content_type: str | None) -> None:
    data = parse_body(body, content_type)

    written = json.dumps(data, ensure_ascii=False, allow_nan=False).encode("utf-8")
    assert json.loads(written) == data
