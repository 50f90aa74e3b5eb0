"""Webhook ids and the automations they belong to."""

from collections.abc import Mapping
from typing import Protocol

from amodal_rt import ids
from amodal_rt.ports import FACTS, AutomationFacts, Catalogue, Signals


class FactSource(Protocol):
    """The part of the ledger that counts rotations."""

    async def automation_facts(self) -> Mapping[str, AutomationFacts]:
        """By stem; automations without facts are absent."""
        ...


class Endpoints:
    """`auto_…` ↔ stem: an HMAC of the name under the workspace's key, times rotated.

    A new snapshot counts at once. A rotation counts after the next `refresh`, which
    `rotate-url` awaits before it answers.
    """

    def __init__(self, key: bytes, catalogue: Catalogue, facts: FactSource) -> None:
        self._key = key
        self._catalogue = catalogue
        self._facts = facts
        self._rotations: dict[str, int] = {}
        self._made: dict[tuple[str, int], str] = {}
        self._stems: dict[str, str] = {}
        self._version: int | None = None

    async def refresh(self) -> None:
        """Read the rotations again. Await it once before the first request."""
        facts = await self._facts.automation_facts()
        self._rotations = {name: each.rotation for name, each in facts.items() if each.rotation}
        self._version = None

    async def run(self, signals: Signals) -> None:
        """Refresh whenever facts change, until cancelled."""
        with signals.listen(FACTS) as changed:
            while True:
                await changed()
                await self.refresh()

    def id_for(self, name: str) -> str:
        """The webhook id of the automation `name`, whether it has a webhook or not."""
        made = (name, self._rotations.get(name, 0))
        if made not in self._made:
            self._made[made] = ids.webhook(self._key, *made)
        return self._made[made]

    def find(self, endpoint: str) -> str | None:
        """The stem, or None for an id that is unknown, was rotated away or lost its file."""
        snapshot = self._catalogue.snapshot()
        if snapshot.version != self._version:
            self._stems = {self.id_for(name): name for name in snapshot.automations}
            self._version = snapshot.version
        return self._stems.get(endpoint)
