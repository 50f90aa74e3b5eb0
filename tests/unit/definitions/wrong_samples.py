"""One wrong automation file, and short ways to write one."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Wrong:
    """`line` and `column` are those of the first error; `says` must stand in its message, `hint`
    in its hint."""

    content: bytes
    code: str
    line: int | None
    column: int | None
    says: str
    hint: str | None = None
    file: str = "automations/sample.json"


def raw(content: bytes | str, code: str, line: int | None, column: int | None, says: str,
        hint: str | None = None) -> Wrong:  # fmt: skip
    """A `.json` file as it stands."""
    data = content.encode() if isinstance(content, str) else content
    return Wrong(data, code, line, column, says, hint)


def key(text: str, code: str, says: str, hint: str | None = None, *, at: tuple[int, int] = (4, 2),
        ) -> Wrong:  # fmt: skip
    """A file that is right but for its fourth line, which begins with a space."""
    content = f'{{\n "title": "T",\n "prompt": "Look.",\n {text}\n}}\n'
    return raw(content, code, *at, says, hint)


def work(text: str, code: str, says: str, hint: str | None = None, *, at: tuple[int, int] = (3, 2),
         ) -> Wrong:  # fmt: skip
    """A file whose third line says what runs."""
    return raw(f'{{\n "title": "T",\n {text}\n}}\n', code, *at, says, hint)


def page(content: bytes | str, code: str, line: int | None, column: int | None, says: str,
         hint: str | None = None) -> Wrong:  # fmt: skip
    """A `.md` file as it stands."""
    data = content.encode() if isinstance(content, str) else content
    return Wrong(data, code, line, column, says, hint, "automations/sample.md")


def front(text: str, code: str, line: int, column: int, says: str,
          hint: str | None = None) -> Wrong:  # fmt: skip
    """Front matter after a title on the second line; the body is the prompt."""
    return page(f"---\ntitle: T\n{text}\n---\nLook.\n", code, line, column, says, hint)
