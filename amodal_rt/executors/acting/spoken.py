"""What a run has to say: how much is kept of a model that says no end, what is said of writes that
wait for a person."""

from collections.abc import Mapping

SAID_BYTES = 1_048_576
"""How much of one message is kept, in the journal and as a run's result (UTF-8)."""


def keep(text: str) -> tuple[str, bool]:
    """`text`, or its first mebibyte with a note; and whether all of it is there.

    The caller has masked it: the half of a secret would not be recognised.
    """
    if len(text) * 4 <= SAID_BYTES:
        return text, True
    whole = text.encode("utf-8", "replace")
    if len(whole) <= SAID_BYTES:
        return text, True
    kept = whole[:SAID_BYTES].decode("utf-8", "ignore")
    return f"{kept}\n(cut: the first {SAID_BYTES:,} of {len(whole):,} bytes are kept)", False


def parked_text(parked: Mapping[str, str], said: str = "") -> str:
    """The result of a run that ends because of its parked writes, after what it `said` last."""
    lines = "\n".join(parked.values())
    return f"{said.strip()}\n\n{lines}" if said.strip() else lines
