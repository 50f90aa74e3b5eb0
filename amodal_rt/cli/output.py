"""What a command says, and where: documents and tables on stdout, remarks on stderr."""

import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from amodal_rt.cli.table import render
from amodal_rt.errors import AmodalError
from amodal_rt.guardrails.untrusted import plain

OK, FAILED, USAGE, INVALID, NOT_FOUND, UNREACHABLE, AWAITING = 0, 1, 2, 3, 4, 5, 6
"""Exit codes of every command (specification §8)."""

_BY_KIND = {"invalid": INVALID, "not_found": NOT_FOUND}
_ASKED_WRONG = (
    "usage",
    "bad_limit",
    "bad_status",
    "bad_instant",
    "bad_payload",
    "bad_event",
    "bad_name",
    "bad_note",
    "bad_scope",
    "unknown_provider",
    "bad_head",
)
_BY_CODE = {
    "daemon_unreachable": UNREACHABLE,
    **dict.fromkeys(_ASKED_WRONG, USAGE),
}


class Output:
    """One command's voice. With `as_json`, stdout carries exactly one JSON document."""

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json
        self.styled = sys.stdout.isatty() and not as_json and "NO_COLOR" not in os.environ

    def document(self, value: object) -> None:
        """The `--json` document."""
        print(json.dumps(value, ensure_ascii=True, indent=2 if sys.stdout.isatty() else None))

    def table(self, heads: Sequence[str], rows: Sequence[Sequence[str]], *, empty: str) -> None:
        """Rows for people, or the sentence `empty` when there are none."""
        if rows:
            print(render(heads, rows, styled=self.styled))
        else:
            print(empty)

    def rows(
        self,
        rows: Sequence[dict[str, Any]],
        heads: Sequence[str],
        cells: Callable[[dict[str, Any]], Sequence[str]],
        *,
        empty: str,
    ) -> int:
        """A list of the daemon's: the `--json` document, or a table of the `cells` of each row."""
        if self.as_json:
            self.document(rows)
        else:
            self.table(heads, [cells(row) for row in rows], empty=empty)
        return OK

    def answer(self, document: object, line: str) -> int:
        """What came of a verb: the `--json` document, or a line for people."""
        if self.as_json:
            self.document(document)
        self.say(line)
        return OK

    def say(self, text: str) -> None:
        """A line for people on stdout; silent with `--json`."""
        if not self.as_json:
            print(plain(text), flush=True)

    def remark(self, text: str) -> None:
        """A line on stderr, in either mode."""
        print(plain(text), file=sys.stderr, flush=True)

    def error(self, error: AmodalError) -> int:
        """Show an error; returns the exit code that belongs to it."""
        self.remark(f"error: {error.message}")
        if error.hint:
            self.remark(f"hint: {error.hint}")
        if self.as_json:
            self.document({"error": error.document()})
        return _BY_CODE.get(error.code) or _BY_KIND.get(error.kind, FAILED)
