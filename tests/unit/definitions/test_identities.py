"""`identities.json`: who is meant by an account, and what is told of a wrong file."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amodal_rt.definitions.identities import parse_identities
from amodal_rt.domain.identity import Identities
from amodal_rt.domain.problem import Problem

FILE = "identities.json"


def _parse(members: object, **more: object) -> Identities:
    text = json.dumps({"members": members, **more}).encode()
    found, problems = parse_identities(text, FILE)
    assert problems == ()
    assert found is not None
    return found


def _refused(content: object) -> Problem:
    text = content if isinstance(content, str) else json.dumps(content, indent=1)
    found, problems = parse_identities(text.encode(), FILE)
    assert found is None
    return problems[0]


def test_members_and_their_accounts() -> None:
    found = _parse(
        [
            {
                "id": "anna",
                "name": "Anna Meyer",
                "email": "anna@acme.example",
                "accounts": {"github": "octocat", "slack": ["U1", "U2"]},
            },
            {"id": "ben"},
        ]
    )

    anna = found.members["anna"]
    assert (anna.name, anna.email) == ("Anna Meyer", "anna@acme.example")
    assert anna.accounts == ("github:octocat", "slack:U1", "slack:U2")
    assert found.members["ben"].accounts == ()
    assert found.find("slack:U2") == anna
    assert found.find("slack:U3") is None
    assert found.find(None) is None
    assert found.known
    assert found.is_member("ben")
    assert not found.is_member("carl")


@pytest.mark.parametrize(
    ("written", "said", "same"),
    [
        ({"github": "OctoCat"}, "github:octocat", True),
        ({"github": "octocat"}, "github:OctoCat", True),
        ({"gitlab": "Root"}, "gitlab:root", True),
        ({"slack": "U024BE7LH"}, "slack:u024be7lh", False),
        ({"slack": "U024BE7LH"}, "github:U024BE7LH", False),
    ],
)
def test_an_account_is_found_in_any_case_where_its_provider_knows_no_case(
    written: dict[str, str], said: str, same: bool
) -> None:
    found = _parse([{"id": "anna", "accounts": written}])

    assert (found.find(said) is not None) is same


def test_no_members_are_known_members_all_the_same() -> None:
    assert _parse([]).known
    assert not _parse([]).is_member("anna")


@pytest.mark.parametrize(
    ("content", "code", "line", "says"),
    [
        ("{", "bad_json", 1, ""),
        ([], "wrong_type", 1, "object"),
        ({}, "missing_key", 1, "members"),
        ({"members": {}}, "wrong_type", 2, "a list"),
        ({"member": []}, "missing_key", 1, "members"),
        ({"members": [{}]}, "missing_key", 3, "members[0].id"),
        ({"members": [{"id": "Anna"}]}, "wrong_value", 4, "slug"),
        ({"members": [{"id": "anna", "mail": "x"}]}, "unknown_key", 5, "mail"),
        ({"members": [{"id": "anna", "accounts": {"GitHub": "a"}}]}, "wrong_value", 6, "provider"),
        ({"members": [{"id": "anna", "accounts": {"github": ""}}]}, "wrong_value", 6, "account"),
        ({"members": [{"id": "anna", "accounts": {"github": " a"}}]}, "wrong_value", 6, "account"),
        ({"members": [{"id": "anna", "accounts": {"github": 7}}]}, "wrong_type", 6, "list"),
        ({"members": [{"id": "anna", "accounts": ["github"]}]}, "wrong_type", 5, "object"),
        ({"members": [{"id": "anna"}, {"id": "anna"}]}, "duplicate_member", 7, "anna"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(
    content: object, code: str, line: int, says: str
) -> None:
    problem = _refused(content)

    assert (problem.code, problem.line) == (code, line)
    assert says in problem.message
    assert problem.severity == "error"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"slack": "U1"}, {"slack": ["U2", "U1"]}),
        ({"github": "octocat"}, {"github": "OctoCat"}),
    ],
)
def test_an_account_of_two_members_is_an_error_that_names_both(one: object, other: object) -> None:
    members = [{"id": "anna", "accounts": one}, {"id": "ben", "accounts": other}]

    problem = _refused({"members": members})

    assert problem.code == "duplicate_account"
    assert '"anna"' in problem.message
    assert '"ben"' in problem.message


def test_one_account_twice_of_one_member_is_one() -> None:
    found = _parse([{"id": "anna", "accounts": {"github": ["octocat", "octocat"]}}])

    assert found.members["anna"].accounts == ("github:octocat",)


def test_a_misspelt_provider_is_a_warning_and_an_unknown_one_is_not() -> None:
    members = [{"id": "anna", "accounts": {"gihub": "octocat", "backstage": "anna"}}]

    found, problems = parse_identities(json.dumps({"members": members}).encode(), FILE)

    assert found is not None
    assert [(each.code, each.severity) for each in problems] == [("unknown_provider", "warning")]
    assert "github" in (problems[0].hint or "")


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5),
                    lambda inner: st.lists(inner, max_size=3)
                    | st.dictionaries(st.sampled_from(["id", "accounts", "github", "x"]), inner),
                    max_leaves=12))  # fmt: skip
def test_nothing_in_it_raises(members: object) -> None:
    found, problems = parse_identities(json.dumps({"members": members}).encode(), FILE)

    assert (found is None) == any(each.severity == "error" for each in problems)
