"""The verbs of identities: who is a member, and which accounts are theirs."""

import asyncio
from collections.abc import Awaitable, Callable

from amodal_rt.definitions import linking
from amodal_rt.definitions.catalogue import PROVIDERS
from amodal_rt.definitions.words import suggestion
from amodal_rt.domain.identity import Member
from amodal_rt.errors import InvalidError
from amodal_rt.operations.changes import Changes, Told
from amodal_rt.operations.shapes import Document
from amodal_rt.ports import Caller, Catalogue
from amodal_rt.workspace.rewrite import Witness

_OTHERS = ("token",)
"""What else the actor of an event may begin with: whoever sends it to `POST /events`."""

Edit = Callable[[bytes | None], bytes]
"""From the bytes of `identities.json`, None where there is none, to its new bytes."""
WriteIdentities = Callable[[Edit, Witness], Awaitable[None]]
"""Writes `identities.json`, whole or not at all; live on return.

Raises DeniedError (`read_only`), ConflictError (`changed`), InvalidError, UnavailableError, and
what the edit raises.
"""


class Members:
    """Reads and writes `identities.json`: the file alone says who is who."""

    def __init__(self, catalogue: Catalogue, *, write: WriteIdentities, changes: Changes) -> None:
        self._catalogue = catalogue
        self._write = write
        self._changes = changes
        # Of two who write at once, the second would find the file changed under its hands.
        self._one_at_a_time = asyncio.Lock()

    async def list_all(self, caller: Caller) -> list[Document]:
        """The members in the order of the file."""
        members = self._catalogue.snapshot().identities.members
        return [member_document(each) for each in members.values()]

    async def link_account(
        self, caller: Caller, member: str, provider: str, account: str, *, create: bool = False
    ) -> Document:
        """Make the provider's account the member's, who with `create` need not be there yet.

        Raises NotFoundError, ConflictError (`account_taken`), InvalidError (`unknown_provider`
        where no event can name such an account), or as the file is written.
        """
        self._require_known(provider)
        make = linking.link_new if create else linking.link
        name = f"{provider}:{account}"
        async with self._one_at_a_time:
            await self._changes.make(
                caller,
                lambda: _told("identity.linked", member, name),
                lambda witness: self._write(lambda text: make(text, member, name), witness),
            )
        return self._shown(member)

    async def unlink_account(self, caller: Caller, provider: str, account: str) -> Document:
        """Take the account from whose it is. Raises NotFoundError (`account_not_found`), or as
        `link_account`."""
        name = f"{provider}:{account}"
        owners: list[str] = []

        def edit(text: bytes | None) -> bytes:
            changed, owner = linking.unlink(text, name)
            owners.append(owner)
            return changed

        async with self._one_at_a_time:
            await self._changes.make(
                caller,
                lambda: _told("identity.unlinked", owners[-1], name),
                lambda witness: self._write(edit, witness),
            )
        return self._shown(owners[-1])

    def _require_known(self, provider: str) -> None:
        snapshot = self._catalogue.snapshot()
        families = {each.family for each in snapshot.integrations.values()}
        known = {*PROVIDERS, *families, *snapshot.connections, *_OTHERS}
        if provider not in known:
            raise InvalidError(
                f"no events name accounts of {provider[:64]!r}",
                code="unknown_provider",
                hint=suggestion(provider, known)
                or "the word before the colon in the actor that ops events show prints",
            )

    def _shown(self, member: str) -> Document:
        found = self._catalogue.snapshot().identities.members.get(member)
        # The file may have been written once more since.
        return member_document(found or Member(id=member))


def _told(action: str, member: str, account: str) -> Told:
    return Told(action=action, subject=member, data={"account": account})


def member_document(found: Member) -> Document:
    """One row of `ops identities list`."""
    accounts: dict[str, list[str]] = {}
    for each in found.accounts:
        provider, _, subject = each.partition(":")
        accounts.setdefault(provider, []).append(subject)
    return {"id": found.id, "name": found.name, "email": found.email, "accounts": accounts}
