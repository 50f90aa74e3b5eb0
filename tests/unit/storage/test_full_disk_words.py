"""What a failing database says, in our words."""

import sqlite3

from amodal_rt.errors import UnavailableError
from amodal_rt.storage import faults


def test_a_disk_without_room_for_shared_memory_is_called_full() -> None:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR | (19 << 8)
    error.sqlite_errorname = "SQLITE_IOERR_SHMSIZE"

    told = faults.translated(error)

    assert isinstance(told, UnavailableError)
    assert "no room on its disk" in told.message
    assert told.hint == "free space on the disk that holds the ledger"
