"""The next day as a strip: where on it an automation is due."""

from dataclasses import dataclass
from datetime import datetime

from amodal_rt.operations.outlook import AHEAD, Fires
from amodal_rt.servers.dashboard.words import instant

WIDTH, HEIGHT = 288, 24
"""Units of a day, one for each five minutes, and of a strip."""
_QUARTER = WIDTH // 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """What is drawn, as paths of SVG: a line at each instant (`marks`), or one `band` (where it
    begins, how wide it is) for a schedule that has very many; `words` say the same."""

    marks: str = ""
    band: tuple[float, float] | None = None
    words: str

    @property
    def grid(self) -> str:
        """A line every six hours."""
        return "".join(f"M{_QUARTER * each} 0v{HEIGHT}" for each in range(1, 4))


def strip(fires: Fires, *, since: datetime, zone: str) -> Strip:
    """The strip of one automation, from `since` on."""
    if fires.first is None or fires.last is None:
        return Strip(words="Nothing due in the next 24 hours")
    if not fires.times:
        begin, end = _place(fires.first, since), _place(fires.last, since)
        words = f"{fires.count:,} times in the next 24 hours"
        return Strip(band=(begin, round(max(end - begin, 2), 1)), words=words)
    # One path for all of them: an element each would be most of the page.
    marks = "".join(f"M{_place(each, since):g} 4v16" for each in fires.times)
    times = "Once" if fires.count == 1 else f"{fires.count} times"
    words = f"{times} in the next 24 hours, first {instant(fires.first, zone)}"
    return Strip(marks=marks, words=words)


def _place(at: datetime, since: datetime) -> float:
    return round(min((at - since) / AHEAD, 1) * (WIDTH - 2) + 1, 1)
