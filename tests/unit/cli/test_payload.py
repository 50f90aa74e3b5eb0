"""What `--payload` accepts."""

import pytest

from amodal_rt.cli import payload


def test_a_json_value_is_read() -> None:
    assert payload.parse('{"a": [1, 2.5, null]}') == {"a": [1, 2.5, None]}


@pytest.mark.parametrize("text", ["", "{", "NaN", "[-Infinity]", "1e999", "[" * 100_000])
def test_what_is_no_json_is_an_error_in_words(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w+ \w+"):
        payload.parse(text)
