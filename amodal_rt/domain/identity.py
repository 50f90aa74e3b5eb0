"""Who is meant: members, and the accounts that providers know them by."""

from collections.abc import Mapping
from dataclasses import dataclass, field

# Their logins mean one account however they are written; ids elsewhere (`U024BE7LH`) do not.
_ANY_CASE = frozenset({"github", "gitlab"})


def comparable(account: str) -> str:
    """`provider:subject` as it is compared: `github:Octocat` is `github:octocat`."""
    provider, colon, subject = account.partition(":")
    return f"{provider}{colon}{subject.casefold()}" if provider in _ANY_CASE else account


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A person. `accounts` are `provider:subject`, as the file writes them."""

    id: str
    name: str | None = None
    email: str | None = None
    accounts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Identities:
    """`identities.json`. `owners` has whose each account is, by its `comparable` form. `known`
    is False where there is no such file: then nobody's membership is judged."""

    members: Mapping[str, Member] = field(default_factory=dict[str, Member])
    owners: Mapping[str, str] = field(default_factory=dict[str, str])
    known: bool = False

    def find(self, account: str | None) -> Member | None:
        """Whose account it is, or None."""
        owner = self.owners.get(comparable(account)) if account else None
        return self.members.get(owner) if owner else None

    def is_member(self, id: str) -> bool:
        """Whether `id` may be named as a member; true of all where there is no file."""
        return not self.known or id in self.members
