"""The fast path recognises plain forms only, and leaves the rest to typer."""

import subprocess
import sys

import pytest

from amodal_rt.cli import fast

FORM = fast.Form(lambda door, words: 0, "name", frozenset({"limit", "status"}), frozenset({"wait"}))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("digest", {"name": "digest"}),
        ("digest --json", {"name": "digest", "json": "yes"}),
        ("--limit 3 digest --status=failed", {"name": "digest", "limit": "3", "status": "failed"}),
        ("digest --wait --workspace /w", {"name": "digest", "wait": "yes", "workspace": "/w"}),
    ],
)
def test_a_plain_form_is_read_to_its_words(line: str, words: dict[str, str]) -> None:
    assert fast._read(line.split(), FORM) == words


@pytest.mark.parametrize(
    "line",
    [
        "",
        "--json",
        "digest other",
        "digest --help",
        "digest -h",
        "digest --unknown",
        "digest --limit",
        "digest --limit many",
        "digest --wait=yes",
        "digest --json --json",
    ],
)
def test_anything_else_is_left_to_typer(line: str) -> None:
    assert fast._read(line.split(), FORM) is None


def test_other_commands_are_left_to_typer() -> None:
    assert fast.run(["validate"]) is None
    assert fast.run(["ops", "automations", "--help"]) is None
    assert fast.run(["ops", "automations", "unheard-of"]) is None


def test_the_fast_path_imports_nothing_heavy() -> None:
    """A listing costs a few empty interpreters, not thirty."""
    script = (
        "import sys; from amodal_rt.cli import entry; "
        "print([m for m in ('typer', 'rich', 'pydantic', 'aiohttp', 'sqlalchemy', 'asyncio',"
        " 'pydantic_ai') if m in sys.modules])"
    )

    shown = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert shown.stdout.strip() == "[]"
