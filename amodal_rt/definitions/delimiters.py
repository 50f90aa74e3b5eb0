"""Keeps texts from the template language that it would read in the square of their length.

The library looks for the end of a tag anew at each character that could begin one, and at each
one of its name and of the white space in it: a hundred thousand letters took minutes. Here every
`{{` and `{%` must find its end soon, which is looked for once.
"""

import re

from liquid.exceptions import LiquidSyntaxError
from liquid.token import TOKEN_TAG, Token

LONGEST = 4_096
"""Characters of a tag or an output, its delimiters among them."""
LONGEST_NAME = 64
"""Characters of a tag's name."""
LONGEST_GAP = 256
"""White space in one piece, within a tag or an output."""

_OPENING = re.compile(r"\{[{%]")
_HEAD = re.compile(r"\{%-?\s*+(\w*+)")
_VERBATIM = {
    name: (
        re.compile(rf"\{{%-?\s*+{name}\s*+-?%\}}"),
        re.compile(rf"\{{%-?\s*+end{name}\s*+-?%\}}"),
    )
    for name in ("raw", "doc")
}
_GAP = re.compile(rf"\s{{{LONGEST_GAP + 1}}}")


def require_bounded(text: str) -> None:
    """Raises LiquidSyntaxError for a tag or an output that does not end, or not soon."""
    place = 0
    while found := _OPENING.search(text, place):
        begin = found.start()
        place = _verbatim_end(text, begin) or _end(text, begin)


def _end(text: str, begin: int) -> int:
    """Where what begins at `begin` is over."""
    head = _HEAD.match(text, begin)
    closing = "}}" if head is None else "%}"
    if head is not None and len(head[1]) > LONGEST_NAME:
        raise _fault(f"a tag's name has at most {LONGEST_NAME} characters", text, begin)
    end = text.find(closing, begin + 2, begin + LONGEST)
    if end < 0:
        raise _fault(f"expected '{closing}' within {LONGEST:,} characters", text, begin)
    if _GAP.search(text, begin, end):
        raise _fault(f"white space of more than {LONGEST_GAP} characters in a tag", text, begin)
    return end + 2


def _verbatim_end(text: str, begin: int) -> int | None:
    """Where a part is over in which nothing begins; None where none begins."""
    for name, (opening, closing) in _VERBATIM.items():
        head = opening.match(text, begin)
        if head is None:
            continue
        end = closing.search(text, head.end())
        if end is None:
            raise _fault(f"expected tag end{name}, found end of file", text, begin)
        return end.end()
    return None


def _fault(message: str, text: str, place: int) -> LiquidSyntaxError:
    token = Token(TOKEN_TAG, text[place : place + 2], start_index=place, source=text)
    return LiquidSyntaxError(message, token=token)
