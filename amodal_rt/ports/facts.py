"""Small facts, and what definitions were."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from amodal_rt.domain.records import ArchivedDefinition, LiveDates
from amodal_rt.domain.token import Token
from amodal_rt.ports.audit import Act
from amodal_rt.ports.signals import Caller


@dataclass(frozen=True, slots=True, kw_only=True)
class AutomationFacts:
    """What the ledger knows of an automation beside its file."""

    name: str
    paused: bool = False
    paused_reason: str | None = None
    paused_at: datetime | None = None
    resumed_at: datetime | None = None
    rotation: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A file that is about to be changed, and what the audit trail is to say of it.

    `before` and `after` are SHA-256 of its content, None where there is no file. `place` is the
    state folder of the daemon that changes it, with its host: nobody else is at work there.
    """

    id: str
    action: str
    subject: str
    caller: Caller
    at: datetime
    data: Mapping[str, object]
    file: str
    before: str | None
    after: str | None
    place: str


class FactLedger(Protocol):
    """Small facts, and who changed them."""

    async def automation_facts(self) -> Mapping[str, AutomationFacts]:
        """By stem; automations without facts are absent."""
        ...

    async def set_paused(
        self, name: str, *, paused: bool, reason: str | None, caller: Caller, at: datetime
    ) -> AutomationFacts:
        """Pause or resume, with an audit row, and cancel pending runs when pausing."""
        ...

    async def rotate(self, name: str, *, caller: Caller, at: datetime) -> AutomationFacts:
        """Count one more rotation of its webhook URL, with an audit row."""
        ...

    async def fact(self, key: str) -> str | None:
        """A single value (`webhook_key` …)."""
        ...

    async def set_fact(self, key: str, value: str) -> str:
        """Keep `value` unless one is there; returns the one that stands."""
        ...

    async def set_facts(self, values: Mapping[str, str], *, act: Act) -> None:
        """Keep each value unless one is there, all in one transaction with `act`."""
        ...

    async def audit(
        self, action: str, *, subject: str, caller: Caller, at: datetime, data: Mapping[str, object]
    ) -> None:
        """Append to the audit trail."""
        ...

    async def intend(self, intent: Intent) -> None:
        """Keep what is about to be done until it is settled."""
        ...

    async def intents(self) -> Sequence[Intent]:
        """What is not settled, in the order of their instants."""
        ...

    async def settle(self, id: str, *, data: Mapping[str, object] | None) -> bool:
        """Take an intent away: it was done, and is appended to the audit trail with `data`, as of
        the instant of the intent; with None it was not. False, and nothing written, where there is
        no such intent, or no more."""
        ...


class DefinitionArchive(Protocol):
    """Every version of a definition that was ever live, by hash."""

    async def record_live(self, versions: Sequence[ArchivedDefinition]) -> None:
        """Keep the versions and mark each as the live one of its kind and name."""
        ...

    async def live(self) -> list[ArchivedDefinition]:
        """The version of each kind and name that was live last."""
        ...

    async def live_dates(self, kind: str) -> Mapping[str, LiveDates]:
        """By name, how old that is which is live; a name that was given up begins anew."""
        ...

    async def forget_live(self, kind: str, name: str) -> None:
        """The file is gone: keep the version, but nothing is live under that name."""
        ...

    async def find_definition(
        self, hash: str, *, kind: str | None = None, name: str | None = None
    ) -> ArchivedDefinition | None:
        """One version, or None. Several names may have one text: without `kind` and `name`,
        the one that was recorded last."""
        ...

    async def versions_of(
        self, kind: str, name: str, *, limit: int = 100
    ) -> list[ArchivedDefinition]:
        """The versions of one kind and name, those first that were recorded last."""
        ...


class TokenLedger(Protocol):
    """What lets programs in through the TCP door."""

    async def tokens(self) -> list[Token]:
        """All of them, the revoked ones too, oldest first."""
        ...

    async def add_token(self, token: Token, *, caller: Caller) -> None:
        """Keep a new token, with an audit row. Raises ConflictError (`token_exists`) when one
        that was not revoked has its name."""
        ...

    async def revoke_token(self, id: str, *, caller: Caller, at: datetime) -> Token:
        """End a token, by its id or its name, with an audit row; one that was ended before is
        left as it is. Of several of one name, the one that was not. Raises NotFoundError."""
        ...
