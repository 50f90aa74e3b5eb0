"""Small words of Markdown."""

from collections.abc import Iterable, Sequence

NOTE = "*Made by `make docs` from the program; not edited by hand.*"


def page(title: str, *parts: str) -> str:
    """A whole page: its title, the note that it is generated, its parts."""
    return "\n\n".join([f"# {title}", NOTE, *(part.strip("\n") for part in parts if part)]) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; `|` and line breaks inside cells are taken care of."""
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    lines += [f"| {' | '.join(cell(each) for each in row)} |" for row in rows]
    return "\n".join(lines)


def cell(text: str) -> str:
    """Text as the content of one cell."""
    return " ".join(text.split()).replace("|", "\\|")


def code(text: str) -> str:
    """Text as code on one line."""
    return f"`` {text} ``" if "`" in text else f"`{text}`"
