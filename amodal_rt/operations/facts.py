"""What the ledger knows of automations beside their files, at hand."""

from collections.abc import Mapping
from types import MappingProxyType

from amodal_rt.ports import FACTS, AutomationFacts, Ledger, Signals


class KnownFacts:
    """The facts as last read: asking for them costs no trip to the ledger.

    Every change in this process goes through operations, which refresh before they answer,
    so that a webhook after the answer to `pause` is skipped.
    """

    def __init__(self, ledger: Ledger, signals: Signals) -> None:
        self._ledger = ledger
        self._signals = signals
        self._current: Mapping[str, AutomationFacts] = MappingProxyType({})

    @property
    def current(self) -> Mapping[str, AutomationFacts]:
        """By stem; automations without facts are absent."""
        return self._current

    def of(self, name: str) -> AutomationFacts:
        """The facts of one automation; nothing is paused unless it says so."""
        return self._current.get(name) or AutomationFacts(name=name)

    async def refresh(self) -> None:
        """Read again and tell everybody who listens to FACTS."""
        await self.reread()
        self._signals.notify(FACTS)

    async def reread(self) -> None:
        """Read again what another node may have changed, and tell nobody."""
        self._current = await self._ledger.automation_facts()
