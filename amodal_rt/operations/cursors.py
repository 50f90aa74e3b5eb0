"""Places in a list, as texts that mean nothing to who holds them."""

import base64
import binascii

from amodal_rt.errors import InvalidError

_LONGEST = 256


def cursor_of(what: str, place: str) -> str:
    """A cursor to `place` in the list of `what`."""
    return base64.urlsafe_b64encode(f"{what}:{place}".encode()).decode().rstrip("=")


def place_of(what: str, cursor: str) -> str:
    """Where a cursor of the list of `what` leads. Raises InvalidError (`bad_cursor`)."""
    padded = cursor + "=" * (-len(cursor) % 4)
    try:
        text = base64.b64decode(padded.encode("ascii"), b"-_", validate=True).decode()
    except (UnicodeError, binascii.Error):
        text = ""
    kind, colon, place = text.partition(":")
    if len(cursor) > _LONGEST or kind != what or not colon or not place.isprintable() or not place:
        raise bad_cursor()
    return place


def bad_cursor() -> InvalidError:
    """Nothing is at that place."""
    return InvalidError(
        "that is no cursor of this list",
        code="bad_cursor",
        hint="take it from the answer before, or leave it out to begin anew",
    )
