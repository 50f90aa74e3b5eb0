"""What counts as standing in a file, and what only looks as if it did."""

import pytest

from amodal_rt.guardrails.trusted import Trusted, parts_of, texts_in

FILE = (
    "Mail the digest to Bob@acme.example. Then pay Ann Lee (DE89370400440532013000), and read "
    "https://docs.acme.example/guide?x=1, www.acme.example and #general's topic."
)
TRUSTED = Trusted(rules=[FILE])

SAID = [
    "bob@acme.example", "BOB@ACME.EXAMPLE", "Ann Lee", "DE89370400440532013000",
    "https://docs.acme.example/guide?x=1", "www.acme.example", "www.acme.example/", "#general",
    "digest",
]  # fmt: skip
NOT_SAID = [
    "ob@acme.example", "bob@acme.exam", "acme.example", "@acme.example", "bob",
    "https://docs.acme.example", "https://docs.acme.example/", "https://docs.acme.example/guide",
    "docs.acme.example", "DE8937040044053201300", "DE893704004405320130001",
    "bob@acme.example.evil", "bob@acme.example,eve@evil.example", "\u212dob@acme.example", "",
    "  ", "bob@acme.example\u200b", "www.acme.example.evil", "ann\u00a0lee",
]  # fmt: skip


@pytest.mark.parametrize("value", SAID)
def test_a_whole_word_of_a_file_is_said(value: str) -> None:
    assert TRUSTED.says(value)


@pytest.mark.parametrize("value", NOT_SAID)
def test_a_part_of_a_word_and_a_longer_one_are_not(value: str) -> None:
    assert not TRUSTED.says(value)


def test_what_liquid_prints_is_no_word_of_the_file() -> None:
    trusted = Trusted(rules=["Tell {{ payload.user }} and {% if evil.example %}x{% endif %}"])

    assert trusted.says("Tell")
    assert not trusted.says("payload.user")
    assert not trusted.says("evil.example")


def test_placeholders_of_a_path_are_open_and_nothing_else_is() -> None:
    trusted = Trusted(
        rules=["POST /notes/{{ payload.id }}", "`PUT /items/{id}/parts`, /users/:name."],
        prose=["`GET /pages/{id}`"],
    )

    def holes(path: str) -> list[tuple[str, ...]]:
        parts = parts_of(path)
        found = (each.holes(parts) for each in trusted.shapes(len(parts)))
        return [each for each in found if each is not None]

    assert holes("/items/7/parts") == [("7",)]
    assert holes("/users/bob") == [("bob",)]
    assert holes("/notes/7") == [("7",)]
    assert holes("/pages/7") == []
    assert holes("/items/7/other") == []
    assert holes("/items/7") == []


def test_every_text_of_a_document_counts_by_itself() -> None:
    assert texts_in('{"a": ["one\\ntwo", {"b": 3}], "c": null, "d": true}') == [
        "a", "one\ntwo", "b", "3", "c", "d",
    ]  # fmt: skip
    assert texts_in("no json") == ["no json"]


def test_a_word_that_stands_in_many_longer_ones_is_found_alone_and_nowhere_else() -> None:
    trusted = Trusted(rules=["see issues-1 and /issues/2, " * 500 + "then issues."])

    assert trusted.says("issues")
    assert trusted.says("issues")
    assert not trusted.says("issue")
    assert not Trusted(rules=["see issues-1 and /issues/2, " * 500]).says("issues")
