import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amodal_rt.delivery.payload import RESULT_LIMIT, cut_result, parse_data, plain_data


def test_a_short_result_is_whole() -> None:
    assert cut_result("Größe ✓").text == "Größe ✓"
    assert not cut_result("Größe ✓").truncated
    assert cut_result(None).text == ""
    assert not cut_result("x" * RESULT_LIMIT).truncated


def test_a_long_result_keeps_its_beginning_and_its_end() -> None:
    text = "BEGIN" + "x" * 50_000 + "END"

    result = cut_result(text)

    assert result.truncated
    assert result.text.startswith("BEGINxxx")
    assert result.text.endswith("xxxEND")
    assert "bytes left out" in result.text
    assert RESULT_LIMIT - 10 < len(result.text.encode()) <= RESULT_LIMIT


@given(st.text(alphabet="aé✓😀\n", min_size=100), st.integers(min_value=80, max_value=400))
def test_a_cut_never_splits_a_character_nor_exceeds_the_limit(text: str, limit: int) -> None:
    result = cut_result(text, limit)

    assert len(result.text.encode()) <= limit
    assert result.truncated is (len(text.encode()) > limit)
    if result.truncated:
        head, mark, rest = result.text.partition("\n\n[… ")
        missing, _, tail = rest.partition(" bytes left out …]\n\n")
        assert mark
        assert text.startswith(head)
        assert text.endswith(tail)
        assert len(head.encode()) + len(tail.encode()) + int(missing) == len(text.encode())


def test_half_a_surrogate_pair_does_not_stop_a_delivery() -> None:
    assert cut_result("a\ud800b").text == "a?b"


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ('{"total": 3}', {"total": 3}),
        (' [1, "a"]\n', [1, "a"]),
        ('```json\n{"a": 1}\n```', {"a": 1}),
        ("```\n[1]\n```\n", [1]),
        ('```JSON \n{"a": "```"}\n```', {"a": "```"}),
    ],
)
def test_a_text_that_is_json_is_data(text: str, data: object) -> None:
    assert parse_data(text) == data


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "All is well.",
        "42",
        '"text"',
        "null",
        "true",
        'Here: {"a": 1}',
        '```json\n{"a": 1}\n```\nand more',
        '{"a": NaN}',
        "[Infinity]",
        "[1e999]",
        '{"a": [-Infinity]}',
        "[" * 5_000 + "]" * 5_000,
        "[" * 200 + "]" * 200,
        "[" + "1" * 5_000 + "]",
    ],
)
def test_all_else_is_text(text: str | None) -> None:
    assert parse_data(text) is None


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_data_is_always_strict_json(value: object) -> None:
    data = plain_data(value)

    json.dumps(data, allow_nan=False)
    assert data is None or data == value
