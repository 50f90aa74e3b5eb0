"""Killed while it brings an older ledger up to date or forgets what is old: whole after."""

import os
import shutil
import signal
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from figures import Figures
from integration import older_ledger as older
from lives import PATIENCE, Zygote, read_json

UPKEEP = ("upgrade.", "prune.")
POINTS = {
    "upgrade.before_copy_rename", "upgrade.after_copy_rename", "upgrade.before_commit",
    "upgrade.after_commit",
}  # fmt: skip
"""Where nothing but this kills a daemon: prunes are in the sweep's scene too."""
OLD = 90
"""Finished runs, from months ago."""
SURE_BATCHES = 4
"""Batches that it takes to forget them, however large they grow."""


@dataclass(frozen=True)
class Attic:
    """A folder with the ledger of an older version, to be copied for each scene."""

    folder: Path

    def scene(self, name: str) -> Path:
        root = self.folder / name / "w"
        root.mkdir(parents=True)
        (root / "amodal.json").write_text('{"limits": {"history": "7d"}}')
        # Paused, what waits of it is over at once.
        (root / "automations").mkdir()
        paused = '{"title": "Digest", "prompt": "x", "status": "paused"}'
        (root / "automations" / "digest.json").write_text(paused)
        shutil.copytree(self.folder / "old", root / ".amodal-rt")
        return root


@pytest.fixture(scope="module")
def attic(tmp_path_factory: pytest.TempPathFactory) -> Attic:
    folder = tmp_path_factory.mktemp("attic")
    (folder / "old").mkdir(mode=0o700)
    older.make_older(folder / "old" / "ledger.sqlite", finished=OLD)
    return Attic(folder)


def _live(zygote: Zygote, root: Path, fate: str = "") -> bool:
    """One life, stopped when nothing is left to do; False when it was killed before."""
    log = root.parent / f"{time.monotonic_ns()}.log"
    hits = log.with_suffix(".hits")
    variables = {
        "PATH": os.environ["PATH"],
        "HOME": str(root.parent),
        "XDG_RUNTIME_DIR": str(root.parent),
        "AMODAL_RT_FAILPOINTS": fate,
        "AMODAL_RT_FAILPOINTS_LOG": str(hits),
    }
    life = zygote.bear(root, log, variables, "127.0.0.1:0")
    until = time.monotonic() + PATIENCE
    while life.alive:
        record = read_json(root / ".amodal-rt" / "daemon.json")
        if record and record["pid"] == life.pid and _is_tidy(root, hits):
            life.send(signal.SIGTERM)
            break
        assert time.monotonic() < until, f"it is never done:\n{life.output()}"
        time.sleep(0.02)
    status = life.wait()
    assert status in {0, -signal.SIGKILL}, life.output()
    (root.parent / "hits").write_text(hits.read_text())
    return status == 0


def _is_tidy(root: Path, hits: Path) -> bool:
    """Whether nothing is open, and what is old was gone through."""
    batches = hits.read_text().count("prune.after_batch")
    old = "SELECT count(*) FROM rejections"
    open_runs = "SELECT count(*) FROM runs WHERE status IN ('pending', 'running')"
    return batches > 0 and _ask(root, old) == [(0,)] and _ask(root, open_runs) == [(0,)]


def _ask(root: Path, query: str) -> list[tuple[object, ...]]:
    path = root / ".amodal-rt" / "ledger.sqlite"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=20)) as ledger:
        return ledger.execute(query).fetchall()


def _left(root: Path) -> dict[str, object]:
    """What must be there at the end. Of what is old each row may have gone or stayed whole: a
    message that expires in another life keeps its run for longer."""
    assert _ask(root, "PRAGMA integrity_check") == [("ok",)]
    assert _ask(root, "PRAGMA foreign_key_check") == []
    return {
        "runs": _ask(root, "SELECT id, status, reason FROM runs WHERE id NOT LIKE 'run_slot_%'"),
        "events": _ask(root, "SELECT id FROM events ORDER BY id"),
        "stores": _ask(root, "SELECT store, key, value FROM store_items ORDER BY 1, 2"),
        "facts": _ask(root, "SELECT key, value FROM facts WHERE key = 'webhook_key'"),
        "version": _ask(root, "SELECT version_num FROM alembic_version"),
    }


@pytest.fixture(scope="module")
def undisturbed(attic: Attic, zygote: Zygote) -> tuple[list[str], dict[str, object]]:
    """The failpoints of upkeep, and what is left when nothing happens."""
    root = attic.scene("undisturbed")
    assert _live(zygote, root)
    hits = (root.parent / "hits").read_text().split()
    return [hit for hit in hits if hit.startswith(UPKEEP)], _left(root)


def _is_late_batch(hit: str) -> bool:
    point, _, number = hit.partition(":")
    return point.startswith("prune.") and int(number) > SURE_BATCHES


def test_a_kill_in_upkeep_leaves_the_ledger_whole(
    undisturbed: tuple[list[str], dict[str, object]],
    attic: Attic,
    zygote: Zygote,
    figures: Figures,
) -> None:
    hits, left = undisturbed
    assert {"prune.before_batch:1", *(f"{point}:1" for point in POINTS)} <= set(hits)
    for number, hit in enumerate(hits):
        root = attic.scene(f"s{number}")
        killed = not _live(zygote, root, f"{hit}=kill")
        # How many batches there are follows the time that each takes: late ones need not come.
        assert killed or _is_late_batch(hit), f"{hit} was not reached"
        assert not killed or _live(zygote, root)
        assert _left(root) == left, hit
        figures.add("failpoint_hits", int(killed))
        shutil.rmtree(root.parent)
    # Each name counts once: prunes are counted where the sweep passes them.
    figures.add("failpoints", len(POINTS))
