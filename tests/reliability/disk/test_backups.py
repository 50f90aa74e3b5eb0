"""G29: backups that are taken while a daemon works restore to a consistent ledger."""

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

from figures import Figures
from hooked import Hooked
from lives import Zygote
from scale import scaled

from amodal_rt.daemon.keeping import back_up, put_back
from amodal_rt.ports import Caller

BACKUPS = scaled(ci=20, full=20, soak=500)
CALLER = Caller(actor="ada", door="cli")


def test_each_backup_under_load_restores_what_was_acknowledged_before_it(
    scene: Path, zygote: Zygote, figures: Figures
) -> None:
    hooked = Hooked(scene)
    life = hooked.rise(zygote)
    over = threading.Event()
    taken: list[tuple[Path, set[str]]] = []

    def send() -> None:
        while not over.is_set() and hooked.post(b'{"text": "x"}') != 0:
            pass

    senders = [threading.Thread(target=send) for _ in range(4)]
    for each in senders:
        each.start()
    try:
        for number in range(BACKUPS):
            # However fast a backup is, each has something more to hold than the last.
            while len(hooked.sent.accepted) <= 2 * number:
                assert life.alive
                over.wait(0.01)
            before = set(hooked.sent.accepted)
            made = back_up(hooked.root, hooked.state, scene / f"{number}.db", force=False)
            taken.append((made.file, before))
            assert made.events >= len(before)
    finally:
        over.set()
        for each in senders:
            each.join()
    assert life.alive
    life.kill()
    everything = set(hooked.sent.accepted)
    during = 0
    for file, before in taken:
        stored = _restored(hooked, file)
        figures.add("backups")
        figures.add("backups_lost", len(before - stored))
        assert before <= stored
        # Four answers may have been under way when the load ended.
        assert len(stored - everything) <= 4
        during += bool(stored - before)
    assert len(everything) > BACKUPS
    assert during > 0, "nothing was written while a backup was taken"
    again = hooked.rise(zygote)
    assert hooked.post() == 202
    again.kill()


def _restored(hooked: Hooked, file: Path) -> set[str]:
    """The events of the ledger after the backup was put back, which must be whole."""
    done = put_back(hooked.root, hooked.state, file, cancel_pending=False, caller=CALLER)
    if done.aside is not None:
        done.aside.unlink()
        for suffix in ("-wal", "-shm"):
            done.aside.with_name(done.aside.name + suffix).unlink(missing_ok=True)
    assert hooked.judge()[1] == []
    with closing(sqlite3.connect(hooked.ledger)) as raw:
        assert raw.execute("SELECT COUNT(*) FROM runs WHERE status = 'running'").fetchone() == (0,)
        return {row[0] for row in raw.execute("SELECT id FROM events")}
