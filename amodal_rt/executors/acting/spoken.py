"""How much of what a model says is kept: a model in a loop, or a broken server, says no end."""

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
