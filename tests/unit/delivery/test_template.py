import threading

import pytest

from amodal_rt.delivery.neutral import Neutral
from amodal_rt.delivery.template import OUTPUT_LIMIT, render
from amodal_rt.domain.delivery import Format
from amodal_rt.errors import InvalidError

VALUES = {
    "automation": "digest",
    "result": "<!here> a & b",
    "data": {"total": 3, "none": None, "list": [1, {"ü": True}], "items": ["a", "b"]},
    "total": 3,
    "self": "own",
    "args": [1],
}


@pytest.mark.parametrize(
    ("template", "text"),
    {
        "plain": "plain",
        "{{ automation }}: {{ total }}": "digest: 3",
        "{{ data.total }} {{ data['total'] }}": "3 3",
        "{{ data.list[1] }}": '{"ü": true}',
        "{{ data.list }}": '[1, {"ü": true}]',
        "{{ data.none }}": "null",
        "{{ data.items | join: ', ' }}": "a, b",
        "{{ data.list | join: ', ' }}": '1, {"ü": true}',
        "{{ data | json }}": '{"total": 3, "none": null, "list": [1, {"ü": true}], '
        '"items": ["a", "b"]}',
        "{% for item in data.items %}{{ forloop.index }}{{ item }} {% endfor %}": "1a 2b ",
        "{% if total > 2 %}many{% else %}few{% endif %}": "many",
        "{{ true }} {{ 1.5 }} {{ (1..3) }}": "true 1.5 1..3",
        "{{ self }} {{ args }}": "own [1]",
        "{% assign x = data.total %}{{ x | plus: 1 }}": "4",
        "{% liquid echo automation %}": "digest",
    }.items(),
)
def test_values_print_as_people_and_programs_expect(template: str, text: str) -> None:
    rendered = render(template, VALUES)

    assert rendered.text == text
    assert rendered.missing == ()


def test_a_missing_name_prints_nothing_and_is_reported_once() -> None:
    rendered = render(
        "[{{ nope }}{{ data.gone }}{{ nope }}{{ other | upcase }}{{ data.list[9] }}]", VALUES
    )

    assert rendered.text == "[]"
    assert rendered.missing == ("nope", "data.gone", "other", "data")


def test_a_name_that_is_only_asked_for_is_not_missed() -> None:
    rendered = render("{% if nope %}x{% endif %}{{ nope | default: 'd' }}", VALUES)

    assert rendered.text == "d"
    assert rendered.missing == ()


def test_values_are_escaped_and_the_templates_own_words_are_not() -> None:
    template = (
        "<!here> {% capture x %}<{{ result }}>{% endcapture %}{{ x }}{{ x }} {% echo result %}"
    )

    rendered = render(template, VALUES, escape=Neutral(Format.SLACK))

    once = "&lt;!here&gt; a &amp; b"
    assert rendered.text == f"<!here> <{once}><{once}> {once}"


def test_containers_cannot_smuggle_what_texts_cannot() -> None:
    rendered = render(
        "{{ d }} {{ d | json }}", {"d": {"<!here>": ["<@U1>"]}}, escape=Neutral(Format.SLACK)
    )

    assert "<" not in rendered.text


@pytest.mark.parametrize(
    "template",
    [
        "{{ result",
        "{% if %}",
        "{% nope %}",
        "{{ result | nope }}",
        "{{ total | divided_by: 0 }}",
        "{% include 'other' %}",
        "{% render 'other' %}",
        "{% for i in (1..100000) %}x{% endfor %}",
        "{% for i in (1..99) %}{% for j in (1..999) %}{% endfor %}{% endfor %}",
        "{% for i in (1..9000) %}0123456789{% endfor %}",
        "{% if x %}" * 40 + "{% endif %}" * 40,
    ],
)
def test_a_template_that_cannot_be_printed_says_so_in_one_line(template: str) -> None:
    with pytest.raises(InvalidError) as caught:
        render(template, VALUES)

    assert caught.value.code == "template"
    assert "\n" not in caught.value.message


def test_output_is_bounded_in_bytes() -> None:
    assert len(render("{{ x }}", {"x": "ü" * (OUTPUT_LIMIT // 2)}).text) == OUTPUT_LIMIT // 2
    with pytest.raises(InvalidError):
        render("{{ x }}", {"x": "ü" * (OUTPUT_LIMIT // 2 + 1)})


@pytest.mark.parametrize(
    "template", ["{{ x.__class__ }}", "{{ x.upper }}", "{{ d.items }}", "{{ d.keys }}"]
)
def test_nothing_of_python_is_reachable(template: str) -> None:
    rendered = render(template, {"x": "text", "d": {"a": 1}})

    assert rendered.text == ""


def test_one_template_is_printed_by_two_threads_without_mixing() -> None:
    template = "{% for i in (1..200) %}{{ value }}{{ gone }}{% endfor %}"
    wrong: list[str] = []

    def print_often(value: str) -> None:
        for _ in range(20):
            rendered = render(template, {"value": value})
            if rendered.text != value * 200 or rendered.missing != ("gone",):
                wrong.append(value)

    threads = [threading.Thread(target=print_often, args=(each,)) for each in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []
