"""Verbs about the providers that send here."""

from typing import Protocol

from amodal_rt.domain.integration import Integration
from amodal_rt.domain.secret import SecretRef
from amodal_rt.intake.examining import has_key
from amodal_rt.operations.address import Address
from amodal_rt.operations.shapes import Document
from amodal_rt.ports import Caller, Catalogue
from amodal_rt.workspace.secret_faults import secret_faults

READY, NOT_SET = "ready", "not set up"


class Keys(Protocol):
    """The second part of each integration's address."""

    def key_for(self, integration: Integration) -> str | None:
        """The key as it counts now; None while the variable that holds it has no key."""
        ...


class Integrations:
    """Where each provider sends, and whether it may."""

    def __init__(self, catalogue: Catalogue, keys: Keys, address: Address) -> None:
        self._catalogue = catalogue
        self._keys = keys
        self._address = address

    async def list_all(self, caller: Caller) -> list[Document]:
        """By name. `unset` names the variables that lack a value, or one that is a key; `state`
        says whether the address takes anything as it is."""
        return self.documents()

    def documents(self) -> list[Document]:
        """As `list_all`, for those who have no door."""
        integrations = self._catalogue.snapshot().integrations
        return [self._document(each) for _, each in sorted(integrations.items())]

    def _document(self, integration: Integration) -> Document:
        environment = self._catalogue.environment()
        missing = environment.missing(integration.secrets)
        useless = [name for name, _ in secret_faults(integration.auth, environment)]
        key, given = self._keys.key_for(integration), integration.endpoint_key
        if key is None and isinstance(given, SecretRef) and given.name not in missing:
            useless.append(given.name)
        unset = (*missing, *useless)
        takes = key is not None and has_key(integration.auth, environment)
        return {
            "name": integration.name,
            "provider": integration.auth.scheme.value,
            "state": READY if takes else NOT_SET,
            "unset": list(unset),
            "url": self._address.integration(integration.name, key) if key else None,
            "local_only": self._address.local_only,
            "account": integration.account,
            "own_accounts": list(integration.own_accounts),
        }
