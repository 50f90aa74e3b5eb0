"""`python upgrade_child.py FOLDER`: opens `FOLDER/older` again and again, each time as a copy in
a process of its own that is killed before its Nth statement; the copies are `FOLDER/<N>.db`.

Ends after the first that was not killed, and prints how many were.
"""

import os
import shutil
import signal
import sqlite3
import sys
from pathlib import Path

from amodal_rt.storage import upgrade
from amodal_rt.storage.sqlite_file import SqliteFile


class Dying(SqliteFile):
    """Connections on which the Nth statement is never reached."""

    left = 0

    def _connect_driver(self) -> sqlite3.Connection:
        raw = super()._connect_driver()
        raw.set_trace_callback(self._count)
        return raw

    def _count(self, _: str) -> None:
        Dying.left -= 1
        if Dying.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def main(folder: Path) -> int:
    """How many were killed."""
    # Imported before the forks: each would pay for alembic again.
    assert upgrade.command is not None
    nth = 0
    while True:
        nth += 1
        path = folder / f"{nth}.db"
        shutil.copyfile(folder / "older", path)
        pid = os.fork()
        if pid == 0:
            Dying.left = nth
            Dying(path).open_writer().close()
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        if not os.WIFSIGNALED(status):
            assert status == 0
            return nth - 1


if __name__ == "__main__":
    print(main(Path(sys.argv[1])))
