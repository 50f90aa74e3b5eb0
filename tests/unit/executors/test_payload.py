import pytest

from amodal_rt.executors.acting.payload import count_of, parse_payload


@pytest.mark.parametrize(
    ("text", "payload"),
    [
        ('{"a": 1}', {"a": 1}),
        (" [1, 2] ", [1, 2]),
        ('```json\n{"a": 1}\n```', {"a": 1}),
        ("Here:\n\n```\n[1]\n```\nThat is all.", [1]),
        ("```json\n{}\n```\n```json\n{}\n```", None),
        ("42", None),
        ('"text"', None),
        ('{"a": NaN}', None),
        ("[" * 100_000, None),
        ("plain", None),
        ("", None),
    ],
)
def test_the_payload_is_the_text_parsed_if_it_is_json(text: str, payload: object) -> None:
    assert parse_payload(text) == payload


def test_only_lists_are_counted() -> None:
    assert (count_of([1, 2]), count_of({"a": 1}), count_of("ab")) == (2, None, None)
