"""Who is meant: members, and the accounts that providers know them by."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A person. `accounts` are `provider:subject`, as events name their actors."""

    id: str
    name: str | None = None
    email: str | None = None
    accounts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Identities:
    """`identities.json`. `known` is False where there is no such file: then nobody's membership
    is judged."""

    members: Mapping[str, Member] = field(default_factory=dict[str, Member])
    owners: Mapping[str, str] = field(default_factory=dict[str, str])
    known: bool = False

    def find(self, account: str | None) -> Member | None:
        """Whose account it is, or None."""
        owner = self.owners.get(account) if account else None
        return self.members.get(owner) if owner else None

    def is_member(self, id: str) -> bool:
        """Whether `id` may be named as a member; true of all where there is no file."""
        return not self.known or id in self.members
