"""The strip of the next day."""

from datetime import UTC, datetime, timedelta

from amodal_rt.operations.outlook import Fires
from amodal_rt.servers.dashboard.timeline import strip

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)


def fires(*hours: float) -> Fires:
    times = [NOW + timedelta(hours=each) for each in hours]
    return Fires(count=len(times), times=times, first=times[0], last=times[-1])


def test_marks_stand_where_their_instants_are() -> None:
    drawn = strip(fires(0, 12, 24), since=NOW, zone="UTC")

    assert drawn.marks == "M1 4v16M144 4v16M287 4v16"
    assert drawn.band is None
    assert drawn.words == "3 times in the next 24 hours, first Mon 2 Mar 08:00:00 UTC"


def test_a_line_stands_every_six_hours() -> None:
    assert strip(Fires(), since=NOW, zone="UTC").grid == "M72 0v24M144 0v24M216 0v24"


def test_very_many_are_one_band() -> None:
    many = Fires(count=1440, first=NOW + timedelta(hours=6), last=NOW + timedelta(hours=18))

    drawn = strip(many, since=NOW, zone="UTC")

    assert (drawn.band, drawn.marks) == ((72.5, 143.0), "")
    assert drawn.words == "1,440 times in the next 24 hours"


def test_once_and_never_are_said_too() -> None:
    once = strip(fires(1), since=NOW, zone="Europe/Berlin")

    assert once.words == "Once in the next 24 hours, first Mon 2 Mar 10:00:00 CET"
    assert strip(Fires(), since=NOW, zone="UTC").words == "Nothing due in the next 24 hours"
