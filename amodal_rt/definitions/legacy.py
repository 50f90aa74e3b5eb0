"""The legacy Markdown form: a heading, a `Schedule:` line and a `## Check` section.

Read with a real Markdown parser, so that a `Schedule:` inside a code block or a `##` inside
a quotation is text. What is ambiguous is refused with a hint, never guessed.
"""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from markdown_it import MarkdownIt
from markdown_it.token import Token

from amodal_rt.definitions.document import Document
from amodal_rt.definitions.positions import Place
from amodal_rt.definitions.source import SourceError
from amodal_rt.domain.problem import Problem

_SCHEDULE = re.compile(r"Schedule:[ \t]*(.*?)[ \t]*")
_LOOKALIKE = re.compile(r"[\s>*_`+-]*schedule[*_`]*\s*:", re.IGNORECASE)
_WEBHOOK = re.compile(r"\bon webhook\b|^[\s*_-]*trigger[*_]*\s*:", re.IGNORECASE)
_TITLE = re.compile(r"^Automation:\s*")
_MODERN = "for everything else, begin the file with --- and keys, as in schedule: 0 9 * * *"


class Heading(NamedTuple):
    """`h1`…`h6`, the lines it takes (from 0, `end` exclusive) and its text."""

    tag: str
    start: int
    end: int
    text: str


class Text(NamedTuple):
    """One line (from 0) of a paragraph; `nested` in a list or a quotation."""

    line: int
    text: str
    nested: bool


def read(text: str, file: str) -> Document:
    """The keys that the file means: title, schedule, prompt. Raises SourceError."""
    # The parser takes a lone CR for a line's end too; counting otherwise would miss lines.
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    tokens = MarkdownIt("commonmark").parse("\n".join(lines))
    headings = [
        Heading(token.tag, token.map[0], token.map[1], tokens[place + 1].content.strip())
        for place, token in enumerate(tokens)
        if token.type == "heading_open" and token.level == 0 and token.map is not None
    ]
    title, title_line = _title(headings, file)
    start, end = _check(headings, lines, file)
    schedule = _schedule(list(_texts(tokens, lines)), range(start, end), file)
    value: dict[str, object] = {"title": title, "prompt": "\n".join(lines[start:end]).strip()}
    first = next(line for line in range(start, end) if lines[line].strip())
    places: dict[str, Place] = {"": (1, 1), "/title": (title_line, 1), "/prompt": (first + 1, 1)}
    if schedule is not None:
        value["schedule"], line = schedule
        places["/schedule"] = (line + 1, 1)
    found: Mapping[str, Place] = places
    return Document(file, value, lambda: found)


def _texts(tokens: list[Token], lines: list[str]) -> Iterator[Text]:
    for place, token in enumerate(tokens):
        if token.type == "inline" and token.map and tokens[place - 1].type == "paragraph_open":
            for line in range(*token.map):
                yield Text(line, lines[line], nested=token.level != 1)


def _title(headings: list[Heading], file: str) -> tuple[str, int]:
    tops = [each for each in headings if each.tag == "h1"]
    if not tops:
        message, hint = "no heading names the automation", f"begin with # Title; {_MODERN}"
        raise _refused(file, "missing_title", message, 0, hint)
    if len(tops) > 1:
        message, hint = "two headings could be the title", "keep one # heading; write the other ##"
        raise _refused(file, "ambiguous", message, tops[1].start, hint)
    title = _TITLE.sub("", tops[0].text).strip()
    if not title:
        message = "the heading has no title"
        raise _refused(file, "missing_title", message, tops[0].start, "write # Title")
    return title, tops[0].start + 1


def _schedule(texts: list[Text], check: range, file: str) -> tuple[str, int] | None:
    """The schedule and its line (from 0). A line that only looks like one is refused."""
    found: list[tuple[str, int]] = []
    for each in texts:
        match = _SCHEDULE.fullmatch(each.text)
        if match and not each.nested and each.line in check:
            message = "a Schedule: line inside ## Check may be schedule or prompt"
            raise _refused(file, "ambiguous", message, each.line, "put it above ## Check")
        if match and not each.nested:
            found.append((match[1].strip("`").strip(), each.line))
        elif _LOOKALIKE.match(each.text) and each.line not in check:
            message = "this line looks like the schedule, but is not read as one"
            hint = "begin the line with Schedule: as in Schedule: 0 9 * * *"
            raise _refused(file, "ambiguous", message, each.line, hint)
        elif _WEBHOOK.search(each.text) and each.line not in check:
            message = "the legacy form knows no webhook and no trigger"
            raise _refused(file, "ambiguous", message, each.line, _MODERN)
    if len(found) > 1:
        message = "two lines begin with Schedule:"
        raise _refused(file, "ambiguous", message, found[1][1], "keep one")
    if found and not found[0][0]:
        hint = "for example Schedule: 0 9 * * *"
        raise _refused(file, "empty", "Schedule: is empty", found[0][1], hint)
    return found[0] if found else None


def _check(headings: list[Heading], lines: list[str], file: str) -> tuple[int, int]:
    """The lines (from 0) of the section that is the prompt."""
    places = [n for n, each in enumerate(headings) if (each.tag, each.text) == ("h2", "Check")]
    if not places:
        near = next((each for each in headings if each.text.casefold() == "check"), None)
        hint = "write ## Check, exactly" if near else f"the prompt stands below it; {_MODERN}"
        line = near.start if near else 0
        raise _refused(file, "missing_check", "no section is headed ## Check", line, hint)
    if len(places) > 1:
        message = "two sections are headed ## Check"
        raise _refused(file, "ambiguous", message, headings[places[1]].start, "keep one")
    start = headings[places[0]].end
    ends = [each.start for each in headings[places[0] + 1 :] if each.tag in ("h1", "h2")]
    end = ends[0] if ends else len(lines)
    if not "".join(lines[start:end]).strip():
        message = "the section ## Check is empty"
        raise _refused(file, "empty", message, start - 1, "write below it what the agent shall do")
    return start, end


def _refused(file: str, code: str, message: str, line: int, hint: str) -> SourceError:
    """`line` counts from 0, as the Markdown parser does."""
    return SourceError(
        Problem(file=file, code=code, message=message, line=line + 1, column=1, hint=hint)
    )
