"""The pages for readers, taken apart."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """One fenced block: where, in which language, with what text."""

    page: Path
    language: str
    text: str

    def __str__(self) -> str:
        return f"{name(self.page)}: {self.text.strip().splitlines()[0][:60]}"


def pages() -> list[Path]:
    """Every page that users read."""
    top = [ROOT / each for each in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
    return [*top, *sorted(DOCS.rglob("*.md")), ROOT / "automations.example" / "README.md"]


def name(page: Path) -> str:
    """A page's path from the root of the tree."""
    return page.relative_to(ROOT).as_posix()


def read(page: Path) -> str:
    """Its text."""
    return page.read_text(encoding="utf-8")


def blocks(*languages: str) -> list[Block]:
    """The fenced blocks in one of `languages`, of all pages."""
    return [
        Block(page, language, _outdented(indent, text))
        for page in pages()
        for indent, language, text in _FENCE.findall(read(page))
        if language in languages
    ]


def _outdented(indent: str, text: str) -> str:
    return "".join(line.removeprefix(indent) for line in text.splitlines(keepends=True))


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return _FENCE.sub("", read(page))


def anchors(page: Path) -> Iterator[str]:
    """The names that links may end in, as GitHub makes them from headings."""
    for heading in re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE):
        plain = re.sub(r"[^\w\- ]", "", heading.strip().lower().replace("`", ""))
        yield plain.replace(" ", "-")


def commands(block: Block) -> list[str]:
    """The commands of a terminal session, continued lines joined."""
    joined = block.text.replace("\\\n", " ")
    return [line[2:].strip() for line in joined.splitlines() if line.startswith("$ ")]
