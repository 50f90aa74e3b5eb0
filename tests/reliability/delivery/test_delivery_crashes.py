"""G14, G15: what is owed arrives through every crash, each message once more for each at most.

Eight messages are under way at once, so that one kill may repeat eight of them, once each.
"""

import random
import signal
from dataclasses import replace
from itertools import product
from pathlib import Path

from delivery_life import POINTS, Lives, Places, Wish  # pyright: ignore[reportMissingImports]
from figures import Figures
from scale import scaled

COOLDOWN = 3_600
PLACES = (*POINTS, "ledger.before_commit", "ledger.after_commit")
NTH = scaled(ci=(1, 2), full=(1, 2, 3, 4, 6, 8), soak=(1, 2, 3, 4, 5, 6, 8, 10, 12, 16))


async def test_fifty_crash_looped_failures_in_one_cooldown_are_one_alert(
    tmp_path: Path, lives: Lives, rng: random.Random, figures: Figures
) -> None:
    times, killed = 50, 0
    async with Places() as places:
        wish = Wish(ledger=str(tmp_path / "ledger.db"), url=places.url, runs="f")
        for number in range(times):
            commit = f"ledger.{rng.choice(('before', 'after'))}_commit:{rng.randint(1, 7)}=kill"
            place = f"{rng.choice(POINTS)}:{rng.randint(1, 3)}=kill,{commit}"
            after = (COOLDOWN - 60) * number / times
            status = await lives.live(replace(wish, number=number, after=after, failpoints=place))
            assert status in (0, -signal.SIGKILL), place
            killed += status != 0
        last = replace(wish, number=times, after=COOLDOWN - 30)
        assert await lives.live(last) == 0

    figures.add("delivery_kills", killed)
    figures.add("alerts", len(places.messages("/ops")))
    figures.add("repeated", places.repeated)
    assert killed > 0
    assert len(places.messages("/ops")) == 1
    assert places.most <= 1 + killed


async def test_every_place_and_then_another_nothing_is_missing_and_little_repeated(
    tmp_path: Path, lives: Lives, rng: random.Random, figures: Figures
) -> None:
    """A result dies and both its automation and the workspace are told, with two kills."""
    missing = 0
    for number, (place, nth) in enumerate(product(PLACES, NTH)):
        second = f"{rng.choice(PLACES)}:{rng.randint(1, 4)}=kill"
        async with Places() as places:
            wish = Wish(ledger=str(tmp_path / f"{number}.db"), url=places.url)
            first = replace(wish, runs="c", failpoints=f"{place}:{nth}=kill")
            ended = [
                await lives.live(first),
                await lives.live(replace(wish, number=1, failpoints=second)),
                await lives.live(replace(wish, number=2)),
            ]
            if places.got == []:
                # Killed before the run's own commit: nothing was owed yet.
                assert place.startswith("ledger.")
                continue
        kills = ended.count(-signal.SIGKILL)
        found = {path: len(places.messages(path)) for path in ("/gone", "/ops", "/workspace")}
        missing += list(found.values()).count(0)
        assert ended[-1] == 0
        assert found == {"/gone": 1, "/ops": 1, "/workspace": 1}, (place, nth, second)
        assert places.most <= 1 + kills, (place, nth, second)
        figures.add("delivery_kills", kills)
        figures.add("repeated", places.repeated)
    figures.add("missing", missing)


async def test_a_target_that_fails_is_tried_little_however_often_we_die(
    tmp_path: Path, lives: Lives, rng: random.Random, figures: Figures
) -> None:
    """The breaker is on disk: a daemon that crashes in a loop does not hammer a bad target."""
    times = scaled(ci=15, full=40, soak=200)
    killed = 0
    async with Places() as places:
        wish = Wish(ledger=str(tmp_path / "ledger.db"), url=places.url, result="/bad", runs="ccc")
        for number in range(times):
            place = f"{rng.choice(PLACES)}:{rng.randint(1, 12)}=kill"
            status = await lives.live(replace(wish, number=number, failpoints=place))
            assert status in (0, -signal.SIGKILL), place
            killed += status != 0
        tried = sum(places.messages("/bad").values())

    figures.add("delivery_kills", killed)
    figures.note("tries_at_a_bad_target", tried)
    # Five in a row open it; each kill may hide the failures of those that were under way.
    assert tried <= 5 + 8 * (killed + 1)
    assert tried < 3 * times
