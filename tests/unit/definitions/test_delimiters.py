"""Templates whose tags do not end, or not soon: refused at once, however long they are."""

import pytest

from amodal_rt.delivery.template import render
from amodal_rt.errors import InvalidError

LONG = 100_000
"""What the library would read for minutes."""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{% endcapture" + "A" * LONG, "at most 64 characters"),
        ("{% if" + " " * LONG, "expected '%}' within"),
        ("{% if" + " " * 4_000 + "%}", "white space"),
        ("{{" + " " * 4_000 + "}}", "white space"),
        ("{{ a" + " " * LONG + "}}", "expected '}}' within"),
        ("{{ " + "(" * LONG + " }}", "expected '}}' within"),
        ("{{" * LONG, "expected '}}' within"),
        ("{% comment %}" + "{{ " * LONG, "expected '}}' within"),
        ("{% comment %}" + "{% if " * LONG, "expected '%}' within"),
        ("{% raw %}" * LONG, "endraw"),
        ("{% doc -%}" * LONG, "enddoc"),
    ],
    ids=lambda each: each[:20],
)
def test_a_tag_without_an_end_in_reach_is_refused_at_once(text: str, said: str) -> None:
    with pytest.raises(InvalidError, match=said):
        render(text, {"a": 1})


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("{% raw %}{{ {% if {% endraw %}", "{{ {% if "),
        ("{%- raw -%} {{ {%- endraw -%} x", " {{ x"),
        ("{{ '" + "x" * 4_000 + "' }}", "x" * 4_000),
        ("{% comment %}" + "y" * LONG + "{% endcomment %}{{ a }}", "1"),
        ("{% if a %}b" + " " * 1_000 + "{% endif %}|", "b" + " " * 1_000 + "|"),
        ("{% # a word %}}} %} }{", "}} %} }{"),
        ("{{- a -}} { {", "1{ {"),
        ("{{ a }}" * 2_000, "1" * 2_000),
    ],
    ids=lambda each: each[:20],
)
def test_what_ends_in_time_prints_as_ever(text: str, printed: str) -> None:
    assert render(text, {"a": 1}).text == printed
