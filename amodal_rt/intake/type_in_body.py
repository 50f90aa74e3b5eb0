"""What a body alone says of its event's type, where no header came with it."""

from collections.abc import Sequence

from amodal_rt.domain.glob import fits
from amodal_rt.intake.headers import Headers
from amodal_rt.intake.providers import Part, words_of

ONE, SOME = "?", "*"
"""What stands for what a header would say: one word, or any number of them."""
_NO_HEADERS = Headers(())
_ANY_WORD = "x"


def words_in_body(parts: Sequence[Part], first: str, data: object) -> tuple[str, ...]:
    """The words of the type behind `first`, as `type_of` makes them of a whole request."""
    words: list[str] = []
    for part in parts:
        if part.header is not None:
            words.append(SOME if part.split else ONE)
        else:
            words += words_of(part, _NO_HEADERS, data)
    words = words[1:] if words[:1] == [first] else words
    return (first, *(words or ["event"]))


def shown(words: Sequence[str]) -> str:
    """The type as far as the body says it, as a glob."""
    return ".".join(SOME if each == ONE else each for each in words)


def agreed(words: Sequence[str], wanted: str) -> str | None:
    """What the event is called if it is one that `wanted`, a type or a glob, stands for; None
    where what the body says leaves no room for that."""
    asked = wanted.split(".")
    if SOME in words:
        return wanted if fits(asked[0], words[0]) else None
    filled: list[str] = []
    tried: list[str] = []
    for place, word in enumerate(words):
        given = asked[place] if word == ONE and place < len(asked) else word
        given = SOME if given == ONE else given
        filled.append(given)
        tried.append(given.replace(SOME, "") or _ANY_WORD)
    return ".".join(filled) if fits(wanted, ".".join(tried)) else None
