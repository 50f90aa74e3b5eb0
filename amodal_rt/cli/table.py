"""Tables and small words for people, from the standard library alone.

Rich costs four empty interpreters to import; a listing is not worth that.
"""

import os
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo

from amodal_rt.guardrails.untrusted import plain

_GAP = "  "
_LEAST = 8
"""Columns of a terminal that prose keeps, however narrow that is."""
_WALL = "%Y-%m-%d %H:%M:%S"
_WHOLE = re.compile(
    r"(run|msg|evt|write|auto_run)_\w+|https?://|(\w{3} )?\d{4}-\d\d-\d\d \d\d:"
).match
_BOLD, _DIM, _RESET = "\x1b[1m", "\x1b[2m", "\x1b[0m"
_COLOURS = {
    "active": "\x1b[32m",
    "completed": "\x1b[32m",
    "delivered": "\x1b[32m",
    "running": "\x1b[36m",
    "pending": "\x1b[36m",
    "paused": "\x1b[33m",
    "draft": "\x1b[33m",
    "skipped": "\x1b[33m",
    "suppressed": "\x1b[33m",
    "invalid": "\x1b[31m",
    "failed": "\x1b[31m",
    "dead": "\x1b[31m",
    "cancelled": "\x1b[33m",
}


def render(
    heads: Sequence[str], rows: Sequence[Sequence[str]], *, styled: bool, width: int | None = None
) -> str:
    """A table with aligned columns. Cells are stripped of control and markup sequences.

    With `styled`, statuses are coloured and prose is cut to the terminal's width (the last
    column gives way first); the first column, ids, times and URLs are for copying and stay
    whole, even where the terminal has to wrap the line: the line of a long URL at the end alone.
    Otherwise nothing is cut.
    """
    cells = [[plain(cell).replace("\n", " ") for cell in row] for row in rows]
    widths = [
        max([len(head), *(len(row[place]) for row in cells)]) for place, head in enumerate(heads)
    ]
    if styled:
        whole = [any(_WHOLE(row[place]) for row in cells) for place in range(len(heads))]
        whole[0] = True
        room = width or _terminal_width()
        # No cutting elsewhere makes room for a URL that is longer than most of the line.
        fitting = [len(row[-1]) for row in cells if len(row[-1]) <= room // 2]
        ends = widths[-1]
        if whole[-1]:
            widths[-1] = max([len(heads[-1]), *fitting])
        widths = _fit(widths, whole, room)
        widths[-1] = ends if whole[-1] else widths[-1]
    lines = [_line(heads, widths, style=_BOLD if styled else "")]
    lines += [_line(row, widths, coloured=styled) for row in cells]
    return "\n".join(lines)


def _terminal_width() -> int:
    # The shutil function of this name would cost more to import than the listing to print.
    try:
        return os.get_terminal_size().columns
    except OSError:
        return 120


def _fit(widths: list[int], whole: list[bool], room: int) -> list[int]:
    over = sum(widths) + len(_GAP) * (len(widths) - 1) - room
    fitted = list(widths)
    givers = [place for place in range(len(widths)) if not whole[place] and widths[place] > _LEAST]
    while over > 0 and givers:
        place = max(givers, key=lambda each: (fitted[each], each))
        if fitted[place] <= _LEAST:
            break
        step = min(over, fitted[place] - _LEAST)
        fitted[place] -= step
        over -= step
    return fitted


def _line(
    cells: Sequence[str], widths: Sequence[int], *, style: str = "", coloured: bool = False
) -> str:
    parts: list[str] = []
    for place, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        shown = cell if len(cell) <= width else cell[: width - 1] + "…"
        padded = shown if place == len(cells) - 1 else shown.ljust(width)
        colour = _COLOURS.get(cell.split(" ")[0].split("/")[0], "") if coloured else ""
        parts.append(f"{colour}{padded}{_RESET}" if colour else padded)
    line = _GAP.join(parts).rstrip()
    return f"{style}{line}{_RESET}" if style else line


def instant(text: object) -> str:
    """`2026-03-02 09:00:00` in the reader's zone for an ISO time; `-` for null."""
    if not isinstance(text, str):
        return "-"
    return datetime.fromisoformat(text).astimezone().strftime(_WALL)


def typed_instant(text: str) -> str:
    """What `instant` printed, as an ISO time with its offset; any other text as it is."""
    try:
        local = datetime.strptime(text.strip(), _WALL).astimezone()
    except ValueError:
        return text
    return local.isoformat()


def upcoming(text: object, zone: str = "UTC", *, now: datetime | None = None) -> str:
    """`Mon 2026-03-02 09:00 (in 14 h)` on the wall of `zone`, for an ISO time; `-` for null."""
    if not isinstance(text, str):
        return "-"
    at = datetime.fromisoformat(text)
    return f"{at.astimezone(_zone(zone)):%a %Y-%m-%d %H:%M} (in {until(text, now=now)})"


def until(text: object, *, now: datetime | None = None) -> str:
    """`14 h` for an ISO time that comes in so long; `-` for null."""
    if not isinstance(text, str):
        return "-"
    return span(datetime.fromisoformat(text) - (now or datetime.now(UTC)))


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo

    return ZoneInfo(name)


def span(length: timedelta) -> str:
    """The coarsest unit that says enough: `45 s`, `14 min`, `3 h`, `12 d`."""
    seconds = max(length.total_seconds(), 0)
    for unit, size, upto in (("s", 1, 60), ("min", 60, 3600), ("h", 3600, 86400 * 2)):
        if seconds < upto:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86400:.0f} d"


_SPANS = (("d", 86_400, "h", 3_600), ("h", 3_600, "min", 60))


def seconds(value: object) -> str:
    """`0.3 s`, `2 min 5 s`, `3 h 12 min`, `6 d 0 h`; `-` for null."""
    if not isinstance(value, int | float):
        return "-"
    if value < 60:
        return f"{value:.1f} s"
    for unit, size, part, smaller in _SPANS:
        if value >= size:
            return f"{int(value // size)} {unit} {int(value % size // smaller)} {part}"
    return f"{int(value // 60)} min {int(value % 60)} s"


def dollars(amount: float) -> str:
    """`$4.02`, `$0.0031`: never less than is there."""
    return f"${amount:,.2f}" if amount == 0 or amount >= 0.01 else f"${amount:.2g}"


def text(value: object) -> str:
    """A cell for any JSON scalar; `-` for null and empty."""
    return "-" if value is None or value == "" else str(value)
