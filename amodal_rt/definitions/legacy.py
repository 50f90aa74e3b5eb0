"""The legacy Markdown form: a heading, a `Schedule:` line and a `## Check` section.

Read with a real Markdown parser, so that a `Schedule:` inside a code block or a `##` inside
a quotation is text. What is ambiguous is refused with a hint, never guessed.
"""

import re
from collections.abc import Mapping

from markdown_it import MarkdownIt
from markdown_it.token import Token

from amodal_rt.definitions.positions import Place
from amodal_rt.definitions.source import Document, SourceError
from amodal_rt.domain.problem import Problem

_SCHEDULE = re.compile(r"^[ \t]*Schedule:[ \t]*(.*?)[ \t]*$")
_TITLE = re.compile(r"^Automation:\s*")
_MODERN = 'begin the file with --- and keys, as in "schedule: 0 9 * * *"'


def read(text: str, file: str) -> Document:
    """The keys that the file means: title, schedule, prompt. Raises SourceError."""
    text = text.replace("\r\n", "\n")
    lines = text.split("\n")
    tokens = MarkdownIt("commonmark").parse(text)
    headings = [
        (token.tag, *(token.map or [0, 1]), tokens[place + 1].content.strip())
        for place, token in enumerate(tokens)
        if token.type == "heading_open" and token.level == 0
    ]
    title, title_line = _title(headings, file)
    schedule = _schedule(tokens, lines, file)
    prompt, prompt_line = _check(headings, lines, file)
    value: dict[str, object] = {"title": title, "prompt": prompt}
    places: dict[str, Place] = {
        "": (1, 1),
        "/title": (title_line, 1),
        "/prompt": (prompt_line, 1),
    }
    if schedule is not None:
        value["schedule"], line = schedule
        places["/schedule"] = (line, 1)
    found: Mapping[str, Place] = places
    return Document(file, value, lambda: found)


Heading = tuple[str, int, int, str]


def _title(headings: list[Heading], file: str) -> tuple[str, int]:
    tops = [each for each in headings if each[0] == "h1"]
    if not tops:
        raise _refused(
            file, "missing_title", "no heading names the automation", 1, "begin with # Title"
        )
    if len(tops) > 1:
        raise _refused(
            file,
            "ambiguous",
            "two headings could be the title",
            tops[1][1] + 1,
            "keep one # heading",
        )
    title = _TITLE.sub("", tops[0][3]).strip()
    if not title:
        raise _refused(
            file, "missing_title", "the heading is empty", tops[0][1] + 1, "write # Title"
        )
    return title, tops[0][1] + 1


def _schedule(tokens: list[Token], lines: list[str], file: str) -> tuple[str, int] | None:
    found: list[tuple[str, int]] = []
    for token in tokens:
        if token.type != "inline" or token.map is None or token.level != 1:
            continue
        for line in range(token.map[0], token.map[1]):
            match = _SCHEDULE.match(lines[line])
            if match:
                found.append((match[1].strip("`").strip(), line + 1))
    if len(found) > 1:
        raise _refused(file, "ambiguous", "two lines begin with Schedule:", found[1][1], "keep one")
    if found and not found[0][0]:
        raise _refused(
            file, "empty", "Schedule: is empty", found[0][1], "for example Schedule: 0 9 * * *"
        )
    return found[0] if found else None


def _check(headings: list[Heading], lines: list[str], file: str) -> tuple[str, int]:
    sections = [
        place for place, each in enumerate(headings) if each[0] == "h2" and each[3] == "Check"
    ]
    if not sections:
        near = next((each for each in headings if each[3].casefold() == "check"), None)
        line = near[1] + 1 if near else 1
        raise _refused(file, "missing_check", "no section is headed ## Check", line, _MODERN)
    if len(sections) > 1:
        line = headings[sections[1]][1] + 1
        raise _refused(file, "ambiguous", "two sections are headed ## Check", line, "keep one")
    start = headings[sections[0]][2]
    ends = [each[1] for each in headings[sections[0] + 1 :] if each[0] in ("h1", "h2")]
    end = ends[0] if ends else len(lines)
    prompt = "\n".join(lines[start:end]).strip()
    if not prompt:
        raise _refused(file, "empty", "the section ## Check is empty", start, "it is the prompt")
    return prompt, start + 1


def _refused(file: str, code: str, message: str, line: int, hint: str) -> SourceError:
    return SourceError(
        Problem(file=file, code=code, message=message, line=line, column=1, hint=hint)
    )
