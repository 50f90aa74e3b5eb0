"""Logging: one line an event, named as the journal and the event catalogue name it.

`log.info("run.started", run=run_id)`. Text for people, JSON lines for machines. Values of
untrusted origin cannot forge a line: control characters are escaped in both forms.
"""

import json
import logging
import sys
from collections.abc import Callable
from typing import Literal

from amodal_rt.clock import Clock

Format = Literal["text", "json"]
Mask = Callable[[str], str]

_ROOT = "amodal_rt"
_SHORTEST, _LONGEST = 5.0, 60.0
"""Seconds between two lines about one fault that goes on: twice as long each time."""


class Log:
    """A named source of log lines."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(f"{_ROOT}.{name}")

    def debug(self, event: str, **fields: object) -> None:
        """For a developer who follows one run."""
        self._write(logging.DEBUG, event, fields)

    def info(self, event: str, **fields: object) -> None:
        """Ordinary life: started, finished, reloaded."""
        self._write(logging.INFO, event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """Something a person should look at some time."""
        self._write(logging.WARNING, event, fields)

    def error(self, event: str, **fields: object) -> None:
        """Something that was lost or refused because of a fault."""
        self._write(logging.ERROR, event, fields)

    def exception(self, event: str, error: BaseException, **fields: object) -> None:
        """A defect, with its traceback."""
        self._logger.error(
            event, exc_info=(type(error), error, error.__traceback__), extra={"fields": fields}
        )

    def _write(self, level: int, event: str, fields: dict[str, object]) -> None:
        if self._logger.isEnabledFor(level):
            self._logger.log(level, event, extra={"fields": fields})


class Spell:
    """A fault that repeats: one line when it begins, ever fewer while it lasts, one when it is
    over. Whatever is tried again every second would otherwise fill the disk with its lines."""

    def __init__(self, log: Log, clock: Clock, *, event: str, over: str) -> None:
        """`event` names the line of a failure, `over` that of its end."""
        self._log = log
        self._clock = clock
        self._event = event
        self._over = over
        self._times = 0
        self._since = self._next = 0.0
        self._pause = _SHORTEST

    def failed(self, **fields: object) -> None:
        """It happened (again). The line says how often since it began."""
        now = self._clock.monotonic()
        if self._times == 0:
            self._since, self._next, self._pause = now, now, _SHORTEST
        self._times += 1
        if now < self._next:
            return
        self._log.error(self._event, **fields, times=self._times)
        self._next = now + self._pause
        self._pause = min(self._pause * 2, _LONGEST)

    def ended(self, **fields: object) -> None:
        """What failed went well; says so where it had failed before."""
        if self._times:
            seconds = round(self._clock.monotonic() - self._since, 1)
            self._log.info(self._over, **fields, times=self._times, seconds=seconds)
            self._times = 0


def unheard() -> None:
    """Print nothing where whoever holds the runtime has configured no logging: Python's last
    resort would print warnings as bare names of events, without what they are about."""
    logger = logging.getLogger(_ROOT)
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())


def configure(form: Format, *, mask: Mask, level: int = logging.INFO) -> None:
    """Send the package's log lines to stderr; `mask` sees each finished line and hides secrets.

    Warnings of Python, and what other libraries log from `warning` up, go the same way.
    """
    stream = logging.StreamHandler(sys.stderr)
    stream.setFormatter(_Lines(form, mask))
    logger = logging.getLogger(_ROOT)
    logger.handlers[:] = [stream]
    logger.setLevel(level)
    logger.propagate = False
    # Left to Python these would be printed as they are: secrets, line breaks and no JSON.
    others = logging.getLogger()
    kept = [each for each in others.handlers if not isinstance(each.formatter, _Lines)]
    others.handlers[:] = [*kept, stream]
    logging.captureWarnings(True)


class _Lines(logging.Formatter):
    def __init__(self, form: Format, mask: Mask) -> None:
        super().__init__()
        self._form = form
        self._mask = mask

    def format(self, record: logging.LogRecord) -> str:
        # What others say is no event's name, and may hold anything.
        event = record.getMessage() if hasattr(record, "fields") else record.name
        fields: dict[str, object] = getattr(record, "fields", {"message": record.getMessage()})
        at = self.formatTime(record, "%Y-%m-%dT%H:%M:%S")
        trace = self.formatException(record.exc_info) if record.exc_info else None
        if self._form == "json":
            document: dict[str, object] = {
                "at": at,
                "level": record.levelname.lower(),
                "event": event,
                **fields,
            }
            if trace:
                document["trace"] = trace
            return self._mask(json.dumps(document, default=str))
        pairs = " ".join(f"{key}={_shown(value)}" for key, value in fields.items())
        line = f"{at} {record.levelname.lower():7} {event} {pairs}".rstrip()
        return self._mask(f"{line}\n{trace}" if trace else line)


def _shown(value: object) -> str:
    text = str(value)
    # A value with a line break would read as a second log line.
    return text if text.isprintable() and " " not in text and text else json.dumps(text)
