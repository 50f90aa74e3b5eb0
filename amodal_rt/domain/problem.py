"""What is wrong with a file, precisely enough to mend it."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One finding about one file.

    `file` is relative to the workspace; `line` and `column` count from 1 and are None
    where no place can be named. `code` is stable (`unknown_key`, `bad_cron`, `not_yet`,
    `env_missing`, …); `hint` says how to mend it.
    """

    file: str
    code: str
    message: str
    severity: Severity = "error"
    line: int | None = None
    column: int | None = None
    hint: str | None = None

    def document(self) -> dict[str, object]:
        """The shape of `validate --json`."""
        return {
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "severity": self.severity,
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
        }

    def finding(self) -> str:
        """`file:line:column: message`, where the hint is shown apart."""
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part)
        return f"{place}: {self.message}"

    def sentence(self) -> str:
        """`file:line:column: message (hint)` for people."""
        return self.finding() + (f" ({self.hint})" if self.hint else "")
