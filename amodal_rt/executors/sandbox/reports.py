"""What bubblewrap tells of a program, over a pipe that the program itself does not have."""

import json
import os
from contextlib import suppress
from typing import cast

_CHUNK = 65_536


class Reports:
    """The pipe, and the facts that came over it. `passed` is the end that bubblewrap inherits.
    Raises OSError where no pipe can be had."""

    def __init__(self) -> None:
        self._read, self.passed = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._told = b""

    def find(self, name: str) -> int | None:
        """The number that was reported under that name, if it has been."""
        with suppress(OSError):
            while self._read >= 0 and (part := os.read(self._read, _CHUNK)):
                self._told += part
        for line in self._told.splitlines():
            with suppress(ValueError):
                value = cast("dict[str, object]", json.loads(line)).get(name)
                if isinstance(value, int):
                    return value
        return None

    def let_go(self) -> None:
        """Close the end that was passed on, so that the other one ends with whoever has it."""
        if self.passed >= 0:
            os.close(self.passed)
            self.passed = -1

    def close(self) -> None:
        """Close both; what was told so far is still found."""
        self.find("exit-code")
        self.let_go()
        if self._read >= 0:
            os.close(self._read)
            self._read = -1
