"""Writing `identities.json`: one account more or less, and every other byte as it was."""

import difflib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amodal_rt.definitions.identities import parse_identities
from amodal_rt.definitions.linking import link, link_new, unlink
from amodal_rt.errors import ConflictError, InvalidError, NotFoundError

FILE = """\
{
  "$schema": "./identities.schema.json",
  "members": [
    {
      "id": "anna",
      "name":   "Änna \\u00e9",
      "accounts": {
        "github": "octocat",
        "slack": [
          "U1",
          "U2"
        ]
      }
    },
    {"id": "ben", "accounts": {}},
    {"id": "carl"}
  ]
}
"""


def _accounts(text: bytes) -> dict[str, tuple[str, ...]]:
    found, problems = parse_identities(text, "identities.json")
    assert found is not None, problems
    return {each.id: each.accounts for each in found.members.values()}


def _difference(before: str, after: bytes) -> tuple[list[str], list[str]]:
    """Lines that went, lines that came."""
    lines = list(difflib.ndiff(before.splitlines(), after.decode().splitlines()))
    gone = [each[2:].strip() for each in lines if each.startswith("- ")]
    return gone, [each[2:].strip() for each in lines if each.startswith("+ ")]


@pytest.mark.parametrize(
    ("member", "account", "gone", "came"),
    [
        ("anna", "slack:U3", ['"U2"'], ['"U2",', '"U3"']),
        ("anna", "github:hubot", ['"github": "octocat",'],
         ['"github": ["octocat", "hubot"],']),
        ("anna", "linear:9d4b", ["]"], ["],", '"linear": ["9d4b"]']),
        ("ben", "slack:U9", ['{"id": "ben", "accounts": {}},'],
         ['{"id": "ben", "accounts": {"slack": ["U9"]}},']),
        ("carl", "slack:U9", ['{"id": "carl"}'],
         ['{"id": "carl", "accounts": {"slack": ["U9"]}}']),
    ],
)  # fmt: skip
def test_a_link_changes_its_own_lines_alone(
    member: str, account: str, gone: list[str], came: list[str]
) -> None:
    after = link(FILE.encode(), member, account)

    assert _difference(FILE, after) == (gone, came)
    assert account in _accounts(after)[member]


@pytest.mark.parametrize("account", ["slack:U1", "slack:U2", "github:octocat", "github:OctoCat"])
def test_an_unlink_takes_the_account_and_nothing_else(account: str) -> None:
    after, owner = unlink(FILE.encode(), account)

    assert owner == "anna"
    before = _accounts(FILE.encode())
    left = tuple(each for each in before["anna"] if each.lower() != account.lower())
    assert _accounts(after) == {**before, "anna": left}
    assert "Änna \\u00e9" in after.decode()
    assert after.decode().startswith('{\n  "$schema"')


def test_the_last_account_of_a_provider_takes_its_key_with_it() -> None:
    after, _ = unlink(FILE.encode(), "github:octocat")

    assert "github" not in after.decode()


def test_a_link_that_stands_changes_no_byte() -> None:
    assert link(FILE.encode(), "anna", "github:OctoCat") == FILE.encode()


def test_a_bom_stays() -> None:
    after = link(b"\xef\xbb\xbf" + FILE.encode(), "carl", "slack:U9")

    assert after.startswith(b"\xef\xbb\xbf{")


@pytest.mark.parametrize(
    "text", [None, b'{"members": []}', b'{"members": [\n]}', b'{\n "members":\n [  ]\n}']
)
def test_a_new_member_where_there_was_none(text: bytes | None) -> None:
    after = link_new(text, "dora", "github:dora")

    assert _accounts(after) == {"dora": ("github:dora",)}
    assert _accounts(link_new(after, "emil", "github:emil"))["emil"] == ("github:emil",)


def test_a_new_file_reads_well() -> None:
    after = link_new(link_new(None, "dora", "github:dora"), "emil", "slack:U1")

    assert after.decode() == (
        '{\n  "members": [\n    {"id": "dora", "accounts": {"github": ["dora"]}},\n'
        '    {"id": "emil", "accounts": {"slack": ["U1"]}}\n  ]\n}\n'
    )


def test_creating_a_member_who_is_there_links() -> None:
    assert "slack:U9" in _accounts(link_new(FILE.encode(), "carl", "slack:U9"))["carl"]


@pytest.mark.parametrize("make", [link, link_new])
def test_an_account_of_another_is_not_taken(make: object) -> None:
    with pytest.raises(ConflictError) as raised:
        make(FILE.encode(), "ben", "github:OctoCat")  # type: ignore[operator]

    assert raised.value.code == "account_taken"
    assert "anna" in raised.value.message
    assert "ops identities unlink github OctoCat" in (raised.value.hint or "")


def test_who_is_not_there_is_named_with_the_nearest() -> None:
    with pytest.raises(NotFoundError) as raised:
        link(FILE.encode(), "ana", "slack:U9")
    assert raised.value.code == "member_not_found"
    assert "anna" in (raised.value.hint or "")

    with pytest.raises(NotFoundError) as raised:
        unlink(FILE.encode(), "slack:U9")
    assert raised.value.code == "account_not_found"

    with pytest.raises(NotFoundError):
        unlink(None, "slack:U9")
    with pytest.raises(NotFoundError):
        link(None, "anna", "slack:U9")


@pytest.mark.parametrize("account", ["github:", ":x", "GitHub:x", "github: x", "github:a\nb"])
def test_what_is_no_account_is_refused_before_the_file_is_looked_at(account: str) -> None:
    for make in (
        lambda: link(FILE.encode(), "anna", account),
        lambda: link_new(None, "anna", account),
        lambda: unlink(FILE.encode(), account),
    ):
        with pytest.raises(InvalidError) as raised:
            make()
        assert raised.value.code == "bad_account"


def test_a_member_id_that_is_no_slug_is_refused() -> None:
    with pytest.raises(InvalidError):
        link_new(FILE.encode(), "Anna Meyer", "slack:U9")


def test_a_broken_file_is_not_written_over() -> None:
    with pytest.raises(InvalidError) as raised:
        link(b'{"members": [', "anna", "slack:U9")

    assert raised.value.code == "bad_json"


_SUBJECT = st.text(
    st.characters(categories=["L", "N", "P"], exclude_characters="\x00"), min_size=1, max_size=6
)


@given(st.integers(0, 3), st.sampled_from([None, 1, 4]), st.lists(_SUBJECT, unique=True))
def test_linking_and_unlinking_any_account_comes_back_to_what_it_was(
    others: int, indent: int | None, subjects: list[str]
) -> None:
    members = [{"id": f"m{each}", "accounts": {"slack": [f"planted-{each}"]}}
               for each in range(others)]  # fmt: skip
    members.append({"id": "anna"})
    text = json.dumps({"members": members}, indent=indent).encode()
    before = _accounts(text)

    for subject in subjects:
        text = link(text, "anna", f"slack:{subject}")
    assert _accounts(text)["anna"] == tuple(f"slack:{each}" for each in subjects)
    for subject in subjects:
        text, owner = unlink(text, f"slack:{subject}")
        assert owner == "anna"

    assert _accounts(text) == before
