"""How much of everything there is."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Census:
    """What of the ledger is open at one instant, on all nodes together.

    `pending` counts runs in the queue, `asking` those among them whose workflow asks a person,
    `running` those that are carried. `parked` counts writes that wait for a person. `owed` counts
    messages on their way, `dead` those that were given up (died or expired) and are kept.
    """

    pending: int = 0
    asking: int = 0
    running: int = 0
    parked: int = 0
    owed: int = 0
    dead: int = 0
