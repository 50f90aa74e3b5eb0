"""A daemon whose wall clock a test turns, with the monotonic one left real: libfaketime."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from needs import missing

NAME = "libfaketimeMT.so.1"
FOLDERS = ("/usr/lib", "/usr/local/lib", "/opt/homebrew/lib", "/usr/lib64")


def find_library() -> str:
    """The library for programs with threads; skips where there is none."""
    for folder in FOLDERS:
        for found in sorted(Path(folder).glob(f"**/faketime/{NAME}")):
            return str(found)
    missing(f"{NAME} not found (Debian: faketime)")
    raise AssertionError("unreachable")


class Turned:
    """The wall clock of one process: `now` is what it reads, `turn` sets it."""

    def __init__(self, folder: Path, at: datetime) -> None:
        self._file = folder / "faketime"
        self._offset = timedelta()
        self.set(at)

    @property
    def variables(self) -> dict[str, str]:
        """For the process: without a cache each look at the clock reads the file."""
        return {
            "LD_PRELOAD": find_library(),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
            # A child's files must keep their own times.
            "NO_FAKE_STAT": "1",
        }

    def now(self) -> datetime:
        """What the process reads now."""
        return datetime.fromtimestamp(time.time(), UTC) + self._offset

    def set(self, at: datetime) -> None:
        """From now on it reads `at` and goes on from there."""
        self._offset = at - datetime.fromtimestamp(time.time(), UTC)
        self._write()

    def slew(self, by: timedelta) -> None:
        """Move it by a little, as a time service does."""
        self._offset += by
        self._write()

    def _write(self) -> None:
        whole = self._file.with_suffix(".new")
        whole.write_text(f"{self._offset.total_seconds():+.6f}\n", "ascii")
        whole.replace(self._file)
