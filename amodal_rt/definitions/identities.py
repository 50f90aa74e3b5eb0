"""`identities.json` → members and the accounts that are theirs."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from amodal_rt.definitions.accounts import ProviderName, Subject
from amodal_rt.definitions.catalogue import PROVIDERS
from amodal_rt.definitions.document import Document, Loc, in_file_order
from amodal_rt.definitions.judging import judge
from amodal_rt.definitions.shapes import FileShape, Filled, Listed, SchemaKey, Slug, described
from amodal_rt.definitions.source import SourceError, read_json
from amodal_rt.definitions.words import shown, suggestion
from amodal_rt.domain.identity import Identities, Member, comparable
from amodal_rt.domain.problem import Problem


class MemberShape(FileShape):
    """One member."""

    id: Annotated[Slug, described("What runs, `runAs` and `createdBy` call the member.")]
    name: Annotated[Filled | None, described("As people call the member.")] = None
    email: Annotated[Filled | None, described("Where to reach the member.")] = None
    accounts: Annotated[
        dict[ProviderName, Annotated[list[Subject], Listed]],
        Field(
            default_factory=dict[str, list[str]],
            description='By provider, what it calls the member: `{"github": "octocat", '
            '"slack": ["U024BE7LH"]}`. An account belongs to one member.',
        ),
    ]


class IdentitiesShape(FileShape):
    """`identities.json`."""

    schema_: SchemaKey = None
    members: Annotated[list[MemberShape], described("Who belongs to this workspace.")]


Result = tuple[Identities | None, tuple[Problem, ...]]


def parse_identities(text: bytes, file: str) -> Result:
    """The members, or None with at least one error; a provider that is probably misspelt is a
    warning."""
    try:
        document = read_json(text, file)
    except SourceError as error:
        return None, (error.problem,)
    shape, problems = judge(document, IdentitiesShape)
    if shape is None:
        return None, problems
    found = list(_contradictions(document, shape))
    if found:
        return None, in_file_order(found)
    members = {each.id: _member(each) for each in shape.members}
    owners = {
        comparable(account): member.id for member in members.values() for account in member.accounts
    }
    warnings = in_file_order(list(_misspelt(document, shape)))
    return Identities(members=members, owners=owners, known=True), warnings


def _contradictions(document: Document, shape: IdentitiesShape) -> Iterator[Problem]:
    ids: set[str] = set()
    owners: dict[str, str] = {}
    for place, member in enumerate(shape.members):
        if member.id in ids:
            loc: Loc = ("members", place, "id")
            message = f"two members have the id {shown(member.id)}"
            yield document.problem("duplicate_member", message, loc, hint="join the two")
        ids.add(member.id)
        for provider, subjects in member.accounts.items():
            for subject in subjects:
                account = f"{provider}:{subject}"
                owner = owners.setdefault(comparable(account), member.id)
                if owner != member.id:
                    yield document.problem(
                        "duplicate_account",
                        f"{account} belongs to {shown(owner)} and to {shown(member.id)}",
                        ("members", place, "accounts", provider),
                        hint="an account is one person's; take it away from one of them",
                    )


def _misspelt(document: Document, shape: IdentitiesShape) -> Iterator[Problem]:
    for place, member in enumerate(shape.members):
        for provider in member.accounts:
            hint = None if provider in PROVIDERS else suggestion(provider, PROVIDERS)
            if hint:
                yield document.problem(
                    "unknown_provider",
                    f"no events of {shown(provider)} are known",
                    ("members", place, "accounts", provider),
                    hint=hint,
                    severity="warning",
                )


def _member(shape: MemberShape) -> Member:
    accounts = (
        f"{provider}:{subject}"
        for provider, subjects in shape.accounts.items()
        for subject in subjects
    )
    return Member(
        id=shape.id,
        name=shape.name,
        email=shape.email,
        accounts=tuple(dict.fromkeys(accounts)),
    )
