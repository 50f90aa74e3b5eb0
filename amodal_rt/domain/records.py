"""What the ledger keeps beside runs, events and messages."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedDefinition:
    """A version that was live once."""

    kind: str
    name: str
    hash: str
    document: str
    file: str
    recorded_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveDates:
    """Since when anything is live under a name, and since when what is live there now."""

    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleState:
    """Where a schedule stands. Slots count from `counted_from`; `last_slot` is the newest
    slot that was ruled on. `fingerprint` changes when the schedule's text does."""

    automation: str
    key: str
    fingerprint: str
    counted_from: datetime
    last_slot: datetime | None = None

    @property
    def ruled(self) -> datetime:
        """Up to when its slots are on record."""
        return max(self.counted_from, self.last_slot or self.counted_from)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreItem:
    """One value of a store."""

    key: str
    value: object
    updated_at: datetime
    run_id: str | None = None
