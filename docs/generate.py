"""Writes the pages of docs/reference that are made from the program: `make docs`.

A page here says what the code says, so it is never edited by hand; a test fails when the
committed text differs from what this file makes.
"""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from generating import command_line, environment, errors, files, http

REFERENCE = Path(__file__).parent / "reference"

PAGES: Mapping[str, Callable[[], str]] = {
    "automation-file.md": files.automation_page,
    "settings-file.md": files.settings_page,
    "other-files.md": files.other_page,
    "command-line.md": command_line.page,
    "errors.md": errors.page,
    "http.md": http.page,
    "environment.md": environment.page,
}


def main() -> None:
    """Write what has changed and say so."""
    for name, make in PAGES.items():
        path, text = REFERENCE / name, make()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"wrote docs/reference/{name}")


if __name__ == "__main__":
    main()
